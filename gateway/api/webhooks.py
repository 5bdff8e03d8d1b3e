"""The webhooks of providers, answered ahead of the framework's own layers.

They are most of what a gateway is asked, and need nothing of these: each is found by its path alone, answers
what it refuses itself, and opens nothing that would have to be closed.
"""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send


class Webhooks:
    """Wraps the application. What is no webhook, or asked with another method, is the application's."""

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        self._app = app
        self._endpoints = {
            (route.path, method): route.endpoint
            for route in routes
            if isinstance(route, Route) and not route.param_convertors
            for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        asked = (scope["path"], scope["method"]) if scope["type"] == "http" else None
        endpoint = self._endpoints.get(asked) if asked else None
        if endpoint is None:
            await self._app(scope, receive, send)
            return
        scope["endpoint"], scope["path_params"] = endpoint, {}
        response = await endpoint(Request(scope, receive))
        await response(scope, receive, send)
