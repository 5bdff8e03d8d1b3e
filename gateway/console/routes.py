"""Serves the console: the page to a key with the role operator, and its files, which say nothing, to anybody.

A browser without a key is answered 401 with the same page, which asks for one and sends it as x-api-key from
then on: never as a cookie or by HTTP Basic, which a browser would send along with what another site asks for.
"""

from pathlib import Path

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response

from gateway.api.pages import refused
from gateway.settings import KeyRole

router = APIRouter(prefix="/console", include_in_schema=False)

_STATIC = Path(__file__).parent / "static"
_MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Nothing but its own files and the API is reached, and nobody frames it."""
_FILES = {path.name: path for path in _STATIC.iterdir() if path.suffix in _MEDIA_TYPES}


@router.get("")
@router.get("/")
async def console(request: Request) -> Response:
    """The page."""
    answer = await refused(request, KeyRole.OPERATOR)
    if answer is not None and "text/html" not in request.headers.get("accept", ""):
        return answer
    status = 200 if answer is None else answer.status_code
    return FileResponse(_STATIC / "index.html", status, _HEADERS, "text/html; charset=utf-8")


@router.get("/{name}")
async def console_file(name: str) -> Response:
    """A file of the page."""
    path = _FILES.get(name)
    if path is None:
        raise HTTPException(404)
    return FileResponse(path, headers=_HEADERS, media_type=_MEDIA_TYPES[path.suffix])
