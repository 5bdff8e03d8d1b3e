"""The OpenAPI document and a page to read it, for holders of a key.

A browser cannot be told to send x-api-key, so these two also take the key as an HTTP Basic password.
"""

from fastapi import APIRouter, Request
from fastapi.openapi.docs import get_swagger_ui_html
from pydantic_core import to_json
from starlette.responses import Response

from gateway.api.auth import Keyring, basic_password, unauthorized
from gateway.api.errors import error_response

router = APIRouter(include_in_schema=False)


async def _refused(request: Request) -> Response | None:
    keyring: Keyring = request.app.state.keyring
    headers = request.headers
    key = headers.get("x-api-key") or basic_password(headers.get("authorization"))
    if await keyring.find(key) is not None:
        return None
    error = unauthorized()
    return error_response(
        error.status,
        error.code.value,
        "send an API key in the header x-api-key, or as the password of HTTP Basic",
        headers={"WWW-Authenticate": 'Basic realm="API key as password", charset="UTF-8"'},
    )


@router.get("/openapi.json")
async def openapi(request: Request) -> Response:
    """The OpenAPI document."""
    refused = await _refused(request)
    return refused or Response(to_json(request.app.openapi()), media_type="application/json")


@router.get("/docs")
async def docs(request: Request) -> Response:
    """Swagger UI; its assets come from a CDN."""
    refused = await _refused(request)
    return refused or get_swagger_ui_html(openapi_url="/openapi.json", title=f"{request.app.title} – API")
