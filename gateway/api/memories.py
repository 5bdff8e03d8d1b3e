"""What is remembered of a person: seen, corrected, forgotten. Agents of later conversations are told it."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path
from starlette.responses import Response

from gateway.api.answers import json_response
from gateway.api.auth import Admin, Client, OperatorKey
from gateway.api.cursors import read_position
from gateway.api.deps import Deps
from gateway.api.reading import CursorText, EndUserId, Limit
from gateway.api.route import ApiRoute
from gateway.api.schemas.memories import MemoryBody, MemoryList, MemoryShape, memory_list, memory_shape
from gateway.service.remember import (
    Correction,
    correct_memory,
    forget_memories,
    forget_memory,
    memories_page,
)

router = APIRouter(
    prefix="/v1/identity/end-users/{end_user_id}/memories", tags=["identity"], route_class=ApiRoute
)

MemoryId = Annotated[UUID, Path(description="The conversation the memory comes from.")]


@router.get("", response_model=MemoryList)
async def list_memories(
    end_user_id: EndUserId,
    principal: Client,
    deps: Deps,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Response:
    """List what is remembered of a person, newest first, with what merged records bring."""
    after = read_position(cursor)
    page = await deps.store.read(memories_page, principal.organization_id, str(end_user_id), after, limit)
    return json_response(memory_list(page))


@router.patch("/{conversation_id}", response_model=MemoryShape)
async def patch_memory(
    end_user_id: EndUserId, conversation_id: MemoryId, body: MemoryBody, principal: OperatorKey, deps: Deps
) -> Response:
    """Correct a memory: agents are told this from now on. The conversation's summary stays."""
    correction = Correction(text=body.text, facts=body.facts)
    memory = await deps.store.write(
        correct_memory, principal.organization_id, str(end_user_id), str(conversation_id), correction
    )
    return json_response(memory_shape(memory))


@router.delete("/{conversation_id}", status_code=204)
async def delete_memory(
    end_user_id: EndUserId, conversation_id: MemoryId, principal: OperatorKey, deps: Deps
) -> Response:
    """Forget one memory; its conversation stays."""
    await deps.store.write(forget_memory, principal.organization_id, str(end_user_id), str(conversation_id))
    return Response(status_code=204)


@router.delete("", status_code=204)
async def delete_memories(end_user_id: EndUserId, principal: Admin, deps: Deps) -> Response:
    """Forget all that is remembered of a person until now; conversations stay."""
    await forget_memories(deps.store, principal.organization_id, str(end_user_id))
    return Response(status_code=204)
