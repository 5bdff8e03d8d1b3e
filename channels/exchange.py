"""One HTTP request to a provider: how far it got, so that "not sent" is told from "outcome unknown".

Every sender's client is built on this; none retries by itself.
"""

from collections.abc import Coroutine
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import aiohttp
from aiohttp.connector import Connection

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
        return _limits(self.timeout)


@lru_cache(maxsize=64)
def _limits(timeout: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=timeout, connect=min(CONNECT_SECONDS, timeout))


_EXCHANGE: ContextVar[Exchange] = ContextVar("exchange")
"""The request that this task makes: clients have no room to pass it through."""


def begin_exchange(timeout: float) -> Exchange:
    """What the next request of this task is told by: at most `timeout` seconds, and how far it got."""
    exchange = Exchange(timeout)
    _EXCHANGE.set(exchange)
    return exchange


def current_exchange() -> Exchange:
    """What was begun last in this task."""
    return _EXCHANGE.get()


class _NotedRequest(aiohttp.ClientRequest):
    """Notes that it is written. The traces of aiohttp tell as much, and cost a tenth of a request.

    aiohttp 4 sends by another method: `written` would err towards "not sent" there, so 3 is asked for.
    """

    def send(self, conn: Connection) -> Coroutine[Any, Any, aiohttp.ClientResponse]:
        """Noted before the first byte goes out, so `written` errs towards "unknown"."""
        _EXCHANGE.get().written = True
        return super().send(conn)


def open_session(connections: int) -> aiohttp.ClientSession:
    """Connections to one provider; each request is told by the exchange that its task has begun."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections),
        cookie_jar=aiohttp.DummyCookieJar(),
        request_class=_NotedRequest,
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


def _seconds(retry_after: str | None) -> float | None:
    """A Retry-After in seconds, bounded; a date is not worth reading."""
    if retry_after is None or not retry_after.isdecimal():
        return None
    return min(float(retry_after), MAX_RETRY_AFTER)
