"""The requests the fake Twilio makes: signed like the real ones, repeated as their URL's fragment asks for.

Without one they are repeated once, where the connection fails. Source:
https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self
from urllib.parse import parse_qsl, urldefrag, urlencode, urlsplit
from uuid import uuid4

import aiohttp
from yarl import URL

from channels.twilio.signature import sign

CONNECT_SECONDS = 5.0
TOTAL_SECONDS = 15.0
"""Twilio's own limits: https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides"""
MOST_RETRIES = 5
MAX_ANSWER_BYTES = 64 * 1024
"""The largest TwiML document Twilio takes."""


@dataclass(frozen=True, slots=True)
class _Retries:
    """What a URL's fragment says about repeating its requests."""

    count: int = 1
    causes: frozenset[str] = frozenset()
    """`4xx`, `5xx`, `all`; that no connection could be made is always one."""

    @classmethod
    def parse(cls, fragment: str) -> Self:
        """`rc=3&rp=all`; what is not there, or is no number, is as without."""
        fields = dict(parse_qsl(fragment))
        count = fields.get("rc", "")
        return cls(
            count=min(int(count), MOST_RETRIES) if count.isdecimal() else 1,
            causes=frozenset(fields.get("rp", "").split(",")),
        )

    def after(self, status: int) -> bool:
        """Whether an answer with this status is one to try again after."""
        return status >= 400 and not {"all", f"{status // 100}xx"}.isdisjoint(self.causes)


class WebhookUnreachable(Exception):
    """No answer came: the connection failed twice, or time ran out."""


@dataclass(frozen=True, slots=True)
class WebhookAnswer:
    """What the other side answered."""

    status: int
    content_type: str
    body: str


class Webhooks:
    """Makes signed webhook requests for one account. Close it when done."""

    def __init__(self, auth_token: str, max_connections: int) -> None:
        self._auth_token = auth_token
        self._max_connections = max_connections
        self._session: aiohttp.ClientSession | None = None

    async def post(
        self, url: str, form: Sequence[tuple[str, str]], *, via: str = "", method: str = "POST"
    ) -> WebhookAnswer:
        """Send the form to `url` and return the answer, whatever its status.

        `via` is a base URL to connect to instead of the one that is signed, as when a proxy stands between.
        With method GET the form travels, and is signed, in the query. Raises WebhookUnreachable.
        """
        url, fragment = urldefrag(url)
        retries = _Retries.parse(fragment)
        if method == "GET" and form:
            url = f"{url}{'&' if '?' in url else '?'}{urlencode(form)}"
        signed_form = form if method == "POST" else ()
        headers = {
            "X-Twilio-Signature": sign(self._auth_token, url, signed_form),
            "I-Twilio-Idempotency-Token": str(uuid4()),
            "User-Agent": "TwilioProxy/1.1",
            "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
        }
        body = urlencode(signed_form).encode()
        for left in range(retries.count, -1, -1):
            try:
                answer = await self._send(method, _rebased(url, via), headers, body)
            except aiohttp.ClientConnectionError as error:
                if not left or isinstance(error, asyncio.TimeoutError):
                    raise WebhookUnreachable(type(error).__name__) from error
            except (TimeoutError, aiohttp.ClientError, ValueError) as error:
                raise WebhookUnreachable(type(error).__name__) from error
            else:
                if not left or not retries.after(answer.status):
                    return answer
        raise AssertionError("unreachable")

    def signature(self, url: str) -> str:
        """That of a WebSocket upgrade."""
        return sign(self._auth_token, url, ())

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _send(self, method: str, url: str, headers: dict[str, str], body: bytes) -> WebhookAnswer:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._max_connections),
                timeout=aiohttp.ClientTimeout(total=TOTAL_SECONDS, connect=CONNECT_SECONDS),
            )
        # The URL goes out exactly as signed: yarl must not normalise it.
        async with self._session.request(
            method, URL(url, encoded=True), data=body, headers=headers, allow_redirects=False
        ) as response:
            raw = bytearray()
            async for piece in response.content.iter_any():
                raw += piece
                if len(raw) > MAX_ANSWER_BYTES:
                    raise ValueError("answer is too large")
            return WebhookAnswer(
                response.status, response.content_type.lower(), raw.decode("utf-8", errors="replace")
            )


def _rebased(url: str, via: str) -> str:
    if not via:
        return url
    base = urlsplit(via)
    return urlsplit(url)._replace(scheme=base.scheme, netloc=base.netloc).geturl()
