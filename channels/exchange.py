"""One HTTP request to a provider: how far it got, so that "not sent" is told from "outcome unknown".

Every sender's client is built on this; none retries by itself.
"""

from dataclasses import dataclass
from types import SimpleNamespace

import aiohttp

CONNECT_SECONDS = 5.0
"""For a connection, from the pool or new; a request that has none by then was not sent."""
MAX_ANSWER_BYTES = 4_194_304
MAX_RETRY_AFTER = 3600.0
"""The longest wait that a provider's Retry-After is believed, in seconds."""


@dataclass(slots=True)
class Exchange:
    """How far one request got."""

    timeout: float
    """Seconds for all of it."""
    written: bool = False
    status: int = 0
    """Of the answer; 0 while there is none."""
    retry_after: float | None = None

    @property
    def limits(self) -> aiohttp.ClientTimeout:
        """The time limits of the request."""
        return aiohttp.ClientTimeout(total=self.timeout, connect=min(CONNECT_SECONDS, self.timeout))


def open_session(connections: int) -> aiohttp.ClientSession:
    """Connections to one provider; each request is given its `Exchange` as `trace_request_ctx`."""
    trace = aiohttp.TraceConfig()
    # Fires before the first byte goes out, so `written` errs towards "unknown".
    trace.on_request_headers_sent.append(_note_written)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections),
        cookie_jar=aiohttp.DummyCookieJar(),
        trace_configs=[trace],
    )


def json_headers(api_key: str) -> dict[str, str]:
    """Those of a request with a key of ours whose body, and whose answer, is JSON."""
    return {
        "Authorization": f"Bearer {api_key}",
        "Content-Type": "application/json",
        "Accept": "application/json",
    }


async def read_answer(exchange: Exchange, response: aiohttp.ClientResponse) -> bytes:
    """Note what the answer says of itself and read it; raises ClientPayloadError where it is too large."""
    exchange.status = response.status
    exchange.retry_after = _seconds(response.headers.get("Retry-After"))
    return await read_body(response, MAX_ANSWER_BYTES)


async def read_body(response: aiohttp.ClientResponse, most: int) -> bytes:
    """All of a body; raises ClientPayloadError where it has more than `most` bytes."""
    raw = b""
    while more := await response.content.read(most + 1 - len(raw)):  # what has arrived, not all of it
        raw += more
        if len(raw) > most:
            raise aiohttp.ClientPayloadError("the answer is too large")
    return raw


async def _note_written(
    _session: aiohttp.ClientSession, context: SimpleNamespace, _sent: aiohttp.TraceRequestHeadersSentParams
) -> None:
    context.trace_request_ctx.written = True


def _seconds(retry_after: str | None) -> float | None:
    """A Retry-After in seconds, bounded; a date is not worth reading."""
    if retry_after is None or not retry_after.isdecimal():
        return None
    return min(float(retry_after), MAX_RETRY_AFTER)
