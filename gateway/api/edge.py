"""The outermost layer: bounds what is read of a request, and lets no exception out unanswered.

Plain ASGI, so that streams pass through untouched.
"""

import logging
from collections.abc import Container, Mapping

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.api.errors import FAULT, error_response
from gateway.domain.clock import Clock
from gateway.domain.errors import ErrorCode

MAX_BODY = 1024 * 1024
"""Bytes of a request's body, but where a route bounds it itself."""
_DISCARDED = 16 * MAX_BODY
"""A refused body of up to this length is read and thrown away: a connection that is closed while the client
still writes may lose it the answer."""

_log = logging.getLogger(__name__)


class BodyTooLarge(HTTPException):
    """More was sent than a body may have; frameworks answer it, or pass it on as it is."""

    def __init__(self) -> None:
        super().__init__(413)


class Edge:
    """Wraps the application."""

    def __init__(self, app: ASGIApp, clock: Clock, large: Container[str]) -> None:
        """`large`: paths whose routes bound what they read themselves, and take more than others."""
        self._app = app
        self._clock = clock
        self._large = large

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope.setdefault("state", {})["arrived"] = self._clock.monotonic()
        if scope["path"] in self._large:
            await self._guarded(scope, receive, send)
            return
        announced = _announced(scope)
        if announced > MAX_BODY:
            response = _too_large({"Connection": "close"} if announced > _DISCARDED else None)
            await response(scope, receive, send)
            return
        await self._guarded(scope, _counted(receive), send)

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except ClientDisconnect:
            return
        except BodyTooLarge:
            if started:
                raise
            await _too_large()(scope, receive, send)
        except Exception:
            _log.exception("a request failed", extra={"action": "http.failed", "method": scope["method"]})
            if started:
                raise
            await send(
                {
                    "type": "http.response.start",
                    "status": 500,
                    "headers": [
                        (b"content-type", b"application/json"),
                        (b"content-length", str(len(FAULT)).encode()),
                    ],
                }
            )
            await send({"type": "http.response.body", "body": FAULT})


def _too_large(headers: Mapping[str, str] | None = None) -> Response:
    return error_response(
        413, ErrorCode.PAYLOAD_TOO_LARGE.value, "a body may have at most 1 MiB", headers=headers
    )


def _announced(scope: Scope) -> int:
    """The body's length as the client says it; 0 where it does not, or not in figures."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value[:20])
    return 0


def _counted(receive: Receive) -> Receive:
    """Raises BodyTooLarge once more than MAX_BODY bytes have come, whatever was announced."""
    read = 0

    async def counted() -> Message:
        nonlocal read
        message = await receive()
        if message["type"] == "http.request":
            read += len(message.get("body", b""))
            if read > MAX_BODY:
                raise BodyTooLarge
        return message

    return counted
