"""Puts each request into a trace: the caller's, where its `traceparent` is valid, else one of its own.

Plain ASGI, so that streams pass through untouched; a span lasts until the last byte of the answer.
"""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.tracing import TRACEPARENT, Kind, continued, is_recording, note, span

_HEADER = TRACEPARENT.encode()
_WEBHOOKS = "/webhooks/"
_UNRECORDED = frozenset({"/healthz", "/readyz", "/metrics"})
"""Asked every few seconds by machines."""


class Traced:
    """Wraps the application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request. A WebSocket is no piece of work: what comes over it begins traces of its own."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with continued(_header(scope)):
            if is_recording() and scope["path"] not in _UNRECORDED:
                await self._recorded(scope, receive, send)
            else:
                await self._app(scope, receive, send)

    async def _recorded(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                note(**{"http.response.status_code": message["status"]})
            await send(message)

        name = "webhook" if scope["path"].startswith(_WEBHOOKS) else "http request"
        with span(name, Kind.SERVER, **{"http.request.method": scope["method"]}):
            try:
                await self._app(scope, receive, watched)
            finally:
                note(**{"http.route": _template(scope)})


def _template(scope: Scope) -> str | None:
    """The path with names for its parameters, which may be anything; None where no route took it.

    From the path itself: the frameworks' own templates lack the prefix a router is included under.
    """
    if "endpoint" not in scope:
        return None
    path, rest = scope["path"], ""
    for name, value in reversed(scope["path_params"].items()):
        path, found, after = path.rpartition(str(value))
        if not found:
            return None
        rest = f"{{{name}}}{after}{rest}"
    return f"{path}{rest}"


def _header(scope: Scope) -> str | None:
    """The header; one that is sent twice is not valid."""
    values: list[bytes] = [value for name, value in scope["headers"] if name == _HEADER]
    return values[0].decode("latin-1") if len(values) == 1 else None
