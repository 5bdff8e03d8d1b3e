"""The documents of the API and of the queues, and a page to read and try the API, for holders of a key.

A browser cannot be told to send x-api-key, so these also take the key as an HTTP Basic password. The page
is Swagger UI, all of it served from here: it works where nothing else can be reached.
"""

from importlib.resources import files
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.openapi.docs import get_swagger_ui_html
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response

from gateway.api.auth import Keyring, basic_password, unauthorized
from gateway.api.deps import Deps
from gateway.api.errors import error_response, gateway_error
from gateway.bus.asyncapi import asyncapi_document
from gateway.domain.errors import ErrorCode, GatewayError
from gateway.settings import KeyRole

router = APIRouter(include_in_schema=False)

_ASSETS = frozenset({"swagger-ui-bundle.js", "swagger-ui.css", "favicon.png"})
_PAGE = {
    "docExpansion": "list",
    "defaultModelsExpandDepth": 0,
    "displayRequestDuration": True,
    "filter": True,
    "persistAuthorization": True,
    "tryItOutEnabled": True,
}
"""Settings of Swagger UI: operations at a glance, each ready to be tried with the key that is given once."""


async def _refused(request: Request, role: KeyRole = KeyRole.CLIENT) -> Response | None:
    keyring: Keyring = request.app.state.keyring
    headers = request.headers
    key = headers.get("x-api-key") or basic_password(headers.get("authorization"))
    principal = await keyring.find(key)
    if principal is None:
        error = unauthorized()
        return error_response(
            error.status,
            error.code.value,
            "send an API key in the header x-api-key, or as the password of HTTP Basic",
            headers={"WWW-Authenticate": 'Basic realm="API key as password", charset="UTF-8"'},
        )
    if not principal.may(role):
        return gateway_error(GatewayError(ErrorCode.FORBIDDEN, f"this needs a key with the role {role}"))
    return None


@router.get("/openapi.json")
async def openapi(request: Request) -> Response:
    """The OpenAPI document."""
    refused = await _refused(request)
    return refused or Response(to_json(request.app.openapi()), media_type="application/json")


@router.get("/asyncapi")
async def asyncapi(request: Request, deps: Deps) -> Response:
    """The AsyncAPI document of the queues, with the names they have here."""
    refused = await _refused(request, KeyRole.OPERATOR)
    document = asyncapi_document(deps.queue_prefix, deps.partitions)
    return refused or Response(to_json(document), media_type="application/json")


@router.get("/docs")
async def docs(request: Request) -> Response:
    """The page."""
    refused = await _refused(request)
    return refused or get_swagger_ui_html(
        openapi_url="/openapi.json",
        title=f"{request.app.title} – API",
        swagger_js_url="/docs/swagger-ui-bundle.js",
        swagger_css_url="/docs/swagger-ui.css",
        swagger_favicon_url="/docs/favicon.png",
        swagger_ui_parameters=_PAGE,
    )


@router.get("/docs/{name}")
async def docs_asset(request: Request, name: str) -> Response:
    """A file of the page; they come with a package that has nothing else to do here."""
    refused = await _refused(request)
    if refused is not None:
        return refused
    if name not in _ASSETS:
        raise HTTPException(404)
    return FileResponse(Path(str(files("fastapi_offline"))) / "static" / name)
