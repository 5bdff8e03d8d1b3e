"""Errors as clients see them: one shape for every status from 400 on, and nothing from the inside."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.responses import Response

from gateway.domain.errors import ErrorCode, GatewayError

_MAX_DETAILS = 20
"""Faults of one request that are told."""
_MAX_TEXT = 300

_BY_STATUS: dict[int, tuple[ErrorCode, str]] = {
    401: (ErrorCode.UNAUTHORIZED, "send a valid API key in the header x-api-key"),
    403: (ErrorCode.FORBIDDEN, "this key may not do that"),
    404: (ErrorCode.NOT_FOUND, "there is nothing at this path; see /openapi.json for what there is"),
    405: (ErrorCode.METHOD_NOT_ALLOWED, "this path does not take this method; the Allow header says which"),
    413: (ErrorCode.PAYLOAD_TOO_LARGE, "a body may have at most 1 MiB"),
}
_OTHER = (ErrorCode.VALIDATION_ERROR, "the request cannot be read")

FAULT = b'{"error":"unavailable","message":"the gateway failed to answer; its log says why"}'
"""The body of a 500."""


def error_response(
    status: int,
    code: str,
    message: str,
    *,
    headers: Mapping[str, str] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Response:
    """An error answer."""
    body = to_json({"error": code, "message": message, **(extra or {})})
    return Response(body, status, headers, media_type="application/json")


def gateway_error(error: GatewayError) -> Response:
    """The answer to a refusal."""
    headers = {"Retry-After": "1"} if error.status in (429, 503) else None
    return error_response(error.status, error.code.value, error.message, headers=headers)


def install(app: FastAPI) -> None:
    """Have every exception of a route answered in our shape."""
    app.add_exception_handler(GatewayError, _on_gateway_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_validation_error)


async def _on_gateway_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, GatewayError)
    return gateway_error(error)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code, message = _BY_STATUS.get(error.status_code, _OTHER)
    status = error.status_code if error.status_code in _BY_STATUS else 422
    headers = dict(error.headers or {})
    if status == 405 and (allowed := _allowed(request)):
        headers["Allow"] = allowed
    return error_response(status, code.value, message, headers=headers)


def _allowed(request: Request) -> str:
    """The methods of a path over all its routes, by the document; the framework names those of one route."""
    path = request.scope["path"]
    paths: dict[str, dict[str, Any]] = request.app.openapi()["paths"]
    found = [path] if path in paths else [p for p in paths if _pattern(p).fullmatch(path)]
    return ", ".join(sorted({method.upper() for template in found for method in paths[template]}))


@cache
def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template)))


async def _on_validation_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return validation_response(error.errors())


def _sentence(fault: Any) -> str:
    """What is wrong, in a sentence: our own without pydantic's word for it, and no pattern to decipher."""
    if fault["type"] == "string_pattern_mismatch":
        return "This is not written as it has to be; see its description and example in /openapi.json"
    return str(fault["msg"]).removeprefix("Value error, ")


def validation_response(faults: Sequence[Any]) -> Response:
    """422 with FastAPI's `detail`, but for the values that were sent: a body is never echoed."""
    detail = [
        {"type": fault["type"], "loc": list(fault["loc"]), "msg": _sentence(fault)[:_MAX_TEXT]}
        for fault in faults[:_MAX_DETAILS]
    ]
    first = detail[0]
    place = ".".join(str(step) for step in first["loc"])[:_MAX_TEXT]
    return error_response(
        422, ErrorCode.VALIDATION_ERROR.value, f"{place}: {first['msg']}", extra={"detail": detail}
    )
