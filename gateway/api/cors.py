"""Cross-origin requests of browsers, from the origins that gateway.toml names and from no others.

Plain ASGI, so that streams pass through untouched. Credentials mode is never allowed and x-api-key is not
among the headers a page may send: from another origin only a web token opens anything.
Source: https://fetch.spec.whatwg.org/#http-cors-protocol
"""

from collections.abc import Callable, Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_METHODS = "GET, POST"
_SENT = "authorization, content-type, idempotency-key, if-none-match, last-event-id"
_READ = "etag, idempotency-replayed, retry-after"
_MAX_AGE = "600"
"""Seconds a browser keeps the answer to a preflight."""


class Cors:
    """Answers preflights and marks answers for the origins that may read them."""

    def __init__(self, app: ASGIApp, origins: Callable[[], Collection[str]]) -> None:
        """`origins`: those in force now, as browsers write them."""
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        origins = self._origins() if scope["type"] == "http" else ()
        if not origins:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        asked = headers.get("origin", "")
        origin = asked if asked in origins else None
        if origin and scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            await _preflight(origin)(scope, receive, send)
            return

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                answer.add_vary_header("Origin")
                if origin:
                    answer["Access-Control-Allow-Origin"] = origin
                    answer["Access-Control-Expose-Headers"] = _READ
            await send(message)

        await self._app(scope, receive, marked)


def _preflight(origin: str) -> Response:
    return Response(
        status_code=204,
        headers={
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Methods": _METHODS,
            "Access-Control-Allow-Headers": _SENT,
            "Access-Control-Max-Age": _MAX_AGE,
            "Vary": "Origin",
        },
    )
