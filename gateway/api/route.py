"""How every route of the API begins: the key is checked, then the body is read within its bounds."""

import re
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.responses import Response

from gateway.api.auth import Admission
from gateway.api.json_body import BadJson, check, read_json

_Endpoint = Callable[[Request], Coroutine[Any, Any, Response]]


class JsonRequest(Request):
    """A request whose body, where it has one, has been read as JSON."""

    _value: Any = None

    async def load(self) -> None:
        """Read and check the body, path and query. Raises RequestValidationError."""
        _checked("path", list(self.path_params.values()))
        _checked("query", [value for _, value in self.query_params.multi_items()])
        body = await self.body()
        if body:
            if not _says_json(self.headers.get("content-type")):
                raise _invalid("body", "send JSON, with the header Content-Type: application/json")
            try:
                self._value = read_json(body)
            except BadJson as error:
                raise _invalid("body", str(error)) from None

    async def json(self) -> Any:
        """The body's value; None where it has none."""
        return self._value


def _says_json(content_type: str | None) -> bool:
    """Whether a body's media type is JSON's (RFC 6839 §3.1); one that is not named counts as JSON."""
    media_type = (content_type or "application/json").partition(";")[0].strip().lower()
    return (
        media_type == "application/json" or re.fullmatch(r"application/[^/ ]+\+json", media_type) is not None
    )


def _checked(place: str, values: list[Any]) -> None:
    try:
        check(values)
    except BadJson as error:
        raise _invalid(place, str(error)) from None


def _invalid(place: str, reason: str) -> RequestValidationError:
    return RequestValidationError([{"type": "value_error", "loc": (place,), "msg": reason}])


class ApiRoute(APIRoute):
    """A route for holders of a key; its endpoint says by its parameter which role is needed."""

    def get_route_handler(self) -> _Endpoint:
        """Wrap FastAPI's own."""
        endpoint = super().get_route_handler()

        async def handle(request: Request) -> Response:
            admission: Admission = request.app.state.admission
            request.state.principal = await admission.admit(request)
            loaded = JsonRequest(request.scope, request.receive)
            await loaded.load()
            return await endpoint(loaded)

        return handle
