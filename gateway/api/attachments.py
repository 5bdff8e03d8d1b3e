"""The bytes of attachments. A browser is told to keep them, never to show them as a page of this site."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Path
from starlette.responses import Response, StreamingResponse

from gateway.api.auth import Client
from gateway.api.deps import Deps
from gateway.api.reading import not_found
from gateway.api.route import ApiRoute
from gateway.domain.attachment import UNKNOWN_TYPE, AttachmentState
from gateway.domain.errors import ErrorCode, FileMissing, GatewayError, Unavailable
from gateway.service.attachments import StoredAttachment, attachment

router = APIRouter(prefix="/v1", tags=["conversations"], route_class=ApiRoute)

AttachmentId = Annotated[UUID, Path(description="The attachment.")]

_INERT = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp", "application/pdf", "text/plain"})
_INERT_KINDS = ("audio/", "video/")
_DOC: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file.",
        "content": {UNKNOWN_TYPE: {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.get("/attachments/{attachment_id}", response_class=Response, responses=_DOC)
async def read_attachment(attachment_id: AttachmentId, principal: Client, deps: Deps) -> Response:
    """Read a file that came with a message. 503 while it is still fetched from the provider."""
    found = await deps.store.read(attachment, principal.organization_id, str(attachment_id))
    if found is None:
        raise not_found("attachment")
    if found.state is AttachmentState.PENDING:
        raise Unavailable("this attachment is still fetched from the provider; try again soon")
    if found.key is None:
        raise GatewayError(ErrorCode.NOT_FOUND, f"this attachment was not fetched: {found.error}")
    pieces = deps.files.read(found.key)
    try:
        first = await anext(pieces, b"")
    except FileMissing:
        raise not_found("file in the attachment store any more") from None
    body = _joined(first, pieces)
    return StreamingResponse(body, media_type=_told(found.media_type), headers=_headers(found))


async def _joined(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    async with aclosing(rest):
        yield first
        async for piece in rest:
            yield piece


def _told(media_type: str) -> str:
    """The type as a browser may be told it: what can hold a script is a row of bytes."""
    return media_type if media_type in _INERT or media_type.startswith(_INERT_KINDS) else UNKNOWN_TYPE


def _headers(found: StoredAttachment) -> dict[str, str]:
    name = found.name or f"attachment-{found.id}"
    return {
        "Content-Length": str(found.size),
        # RFC 6266 §4.3: the extended form alone, which every browser in use reads
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-store",
    }
