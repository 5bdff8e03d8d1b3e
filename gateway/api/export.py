"""Everything about a person as one JSON document, written while it is read, however long it is."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import partial
from typing import TypeVar

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.responses import StreamingResponse

from gateway.api.auth import Admin
from gateway.api.deps import Deps
from gateway.api.reading import EndUserId
from gateway.api.route import ApiRoute
from gateway.api.schemas.export import (
    PersonExport,
    PersonHead,
    exported_consent,
    exported_conversation,
    exported_message,
    exported_suppression,
)
from gateway.api.schemas.hitl import approval_shape, handoff_shape
from gateway.api.schemas.identity import end_user_shape
from gateway.api.schemas.memories import memory_shape
from gateway.domain.clock import rfc3339
from gateway.domain.conversation import Conversation
from gateway.service.export import Export, ExportedPerson, person

router = APIRouter(prefix="/v1", tags=["identity"], route_class=ApiRoute)

T = TypeVar("T")
Pieces = AsyncGenerator[bytes, None]

PIECE_BYTES = 65_536


@router.get("/identity/end-users/{end_user_id}/export", response_model=PersonExport)
async def export_end_user(end_user_id: EndUserId, principal: Admin, deps: Deps) -> StreamingResponse:
    """Export everything about a person, with all records that are merged.

    The document is as long as it needs to be and comes in pieces; where it does not end with
    `"complete": true` it was cut off. The files themselves are behind the `url` of each attachment.
    """
    found = await deps.store.read(person, principal.organization_id, str(end_user_id))
    export = Export(deps.store, principal.organization_id, found)
    return StreamingResponse(
        _gathered(_document(export, found, deps.clock.now())),
        media_type="application/json",
        headers={
            "Content-Disposition": f'attachment; filename="end-user-{found.record.id}.json"',
            "Cache-Control": "private, no-store",
        },
    )


async def _document(export: Export, found: ExportedPerson, now: int) -> Pieces:
    head = PersonHead.model_construct(
        version=1,
        exported_at=rfc3339(now),
        end_user=end_user_shape(found.record),
        merged=[end_user_shape(record) for record in found.merged],
        suppressions=[exported_suppression(item) for item in found.suppressions],
    )
    yield _unclosed(head)
    async for piece in _array("consents", export.consents(), _whole(exported_consent)):
        yield piece
    async for piece in _array("memories", export.memories(), _whole(memory_shape)):
        yield piece
    async for piece in _array("conversations", export.conversations(), partial(_conversation, export)):
        yield piece
    yield b',"complete":true}\n'


async def _conversation(export: Export, conversation: Conversation) -> Pieces:
    of = conversation.id
    yield _unclosed(exported_conversation(conversation, await export.beside(of)))
    async for piece in _array("messages", export.messages(of), _whole(exported_message)):
        yield piece
    async for piece in _array("handoffs", export.handoffs(of), _whole(handoff_shape)):
        yield piece
    async for piece in _array("approvals", export.approvals(of), _whole(approval_shape)):
        yield piece
    yield b"}"


async def _array(name: str, items: AsyncGenerator[T, None], write: Callable[[T], Pieces]) -> Pieces:
    """One more member of an object: an array, item by item."""
    yield b',"%s":[' % name.encode()
    separator = b""
    async with aclosing(items):
        async for item in items:
            yield separator
            separator = b","
            async for piece in write(item):
                yield piece
    yield b"]"


def _whole(shape: Callable[[T], BaseModel]) -> Callable[[T], Pieces]:
    """Write an item in one piece."""

    async def write(item: T) -> Pieces:
        yield shape(item).model_dump_json().encode()

    return write


def _unclosed(shape: BaseModel) -> bytes:
    """An object that more members follow."""
    return shape.model_dump_json().encode().removesuffix(b"}")


async def _gathered(pieces: Pieces) -> Pieces:
    """The same in fewer pieces, of some 64 KiB."""
    gathered = bytearray()
    async with aclosing(pieces):
        async for piece in pieces:
            gathered += piece
            if len(gathered) >= PIECE_BYTES:
                yield bytes(gathered)
                gathered.clear()
    yield bytes(gathered)
