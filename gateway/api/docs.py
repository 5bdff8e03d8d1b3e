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

from gateway.api.deps import Deps
from gateway.api.pages import refused
from gateway.bus.asyncapi import asyncapi_document
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


@router.get("/openapi.json")
async def openapi(request: Request) -> Response:
    """The OpenAPI document."""
    answer = await refused(request)
    return answer or Response(to_json(request.app.openapi()), media_type="application/json")


@router.get("/asyncapi")
async def asyncapi(request: Request, deps: Deps) -> Response:
    """The AsyncAPI document of the queues, with the names they have here."""
    answer = await refused(request, KeyRole.OPERATOR)
    document = asyncapi_document(deps.queue_prefix, deps.partitions)
    return answer or Response(to_json(document), media_type="application/json")


@router.get("/docs")
async def docs(request: Request) -> Response:
    """The page."""
    answer = await refused(request)
    return answer or get_swagger_ui_html(
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
    answer = await refused(request)
    if answer is not None:
        return answer
    if name not in _ASSETS:
        raise HTTPException(404)
    return FileResponse(Path(str(files("fastapi_offline"))) / "static" / name)
