"""One webhook request: signed, bounded, and never to an address that is not public.

The address is checked where the socket is made, which is after every resolution: a name that resolves to
another address the next time (DNS rebinding), an address written as a number, or one within an IPv6 address
gets no further than a private one that is written plainly.
"""

import socket
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import aiohttp

from gateway import __version__
from gateway.domain.clock import SECOND, Clock
from gateway.domain.public_address import is_public
from gateway.domain.signing import sign
from gateway.domain.webhook import WebhookAttempt, WebhookError, WebhookOutcome
from workers.webhook_names import NameLookups

TIMEOUT_SECONDS = 10.0
"""From the resolution of the name to the end of the answer."""
MAX_ANSWER = 65_536
"""Bytes of an answer's body that are read, so that its connection can be used again; none is kept."""
_KEEP_ALIVE_SECONDS = 4.0
"""Less than the 5 s after which the usual servers drop an idle connection."""


class _AddressRefusedError(OSError):
    """The name leads to an address that is not public."""


def _public_socket(info: tuple[Any, ...]) -> socket.socket:
    family, kind, protocol, _, address = info
    if not is_public(str(address[0])):
        raise _AddressRefusedError("the address is not public")
    return socket.socket(family, kind, protocol)


class WebhookPoster:
    """The connections to webhook receivers; entered by the composition root, open while the role runs."""

    def __init__(
        self,
        clock: Clock,
        *,
        allow_private: bool,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        """`allow_private`: GATEWAY_WEBHOOK_ALLOW_PRIVATE."""
        self._clock = clock
        self._allow_private = allow_private
        self._timeout_seconds = timeout_seconds
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,
                keepalive_timeout=_KEEP_ALIVE_SECONDS,
                resolver=NameLookups(),
                socket_factory=None if self._allow_private else _public_socket,
            ),
            timeout=aiohttp.ClientTimeout(total=self._timeout_seconds),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def post(self, attempt: WebhookAttempt) -> WebhookOutcome:
        """Make one attempt; whatever the receiver does is an outcome. RuntimeError while not entered."""
        if self._session is None:
            raise RuntimeError("webhooks can be sent only while the connections are open")
        body = attempt.body.encode()
        try:
            async with self._session.post(
                attempt.url, data=body, headers=self._headers(attempt, body), allow_redirects=False
            ) as response:
                await _skim(response)
                return WebhookOutcome(response.status)
        except TimeoutError:
            return WebhookOutcome(None, WebhookError.TIMEOUT)
        except aiohttp.ClientConnectorError as error:
            refused = isinstance(error.os_error, _AddressRefusedError)
            return WebhookOutcome(
                None, WebhookError.ADDRESS_REFUSED if refused else WebhookError.CONNECTION_FAILED
            )
        except (aiohttp.ClientError, OSError, ValueError):
            return WebhookOutcome(None, WebhookError.NO_ANSWER)

    def _headers(self, attempt: WebhookAttempt, body: bytes) -> dict[str, str]:
        timestamp = self._clock.now() // SECOND
        return {
            "Content-Type": "application/json",
            "User-Agent": f"channel-gateway/{__version__}",
            "Accept-Encoding": "identity",
            "webhook-id": attempt.event_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": " ".join(
                sign(secret, attempt.event_id, timestamp, body) for secret in attempt.secrets
            ),
        }


async def _skim(response: aiohttp.ClientResponse) -> None:
    """Read a short answer to its end; a long or slow one costs its connection, but its status counts."""
    read = 0
    with suppress(TimeoutError, aiohttp.ClientError, OSError):
        async for piece in response.content.iter_any():
            read += len(piece)
            if read > MAX_ANSWER:
                break
        else:
            return
    response.close()
