"""The revisions of an agent: what conversations are pinned to, and drafts that simulations may try."""

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from gateway.api.answers import json_response
from gateway.api.auth import Admin, OperatorKey
from gateway.api.cursors import read_position
from gateway.api.deps import Deps
from gateway.api.reading import AgentName, CursorText, Limit, agent_of, not_found
from gateway.api.route import ApiRoute
from gateway.api.schemas.revisions import RevisionDetail, RevisionList, revision_detail, revision_list
from gateway.service.revisions import revision, revisions_page

router = APIRouter(prefix="/v1/agents", tags=["agents"], route_class=ApiRoute)

RevisionId = Annotated[str, Path(min_length=1, max_length=128, description="The revision.")]


@router.get("/{agent_id}/revisions", response_model=RevisionList)
async def list_revisions(
    agent_id: AgentName, principal: OperatorKey, deps: Deps, limit: Limit = 50, cursor: CursorText = None
) -> Response:
    """List the revisions of an agent, newest first: the one in force, those before it, drafts.

    A conversation stays with the revision it began with, so every one is kept.
    """
    agent = agent_of(deps, principal, agent_id)
    after = read_position(cursor)
    page = await deps.store.read(revisions_page, principal.organization_id, agent.id, after, limit)
    return json_response(revision_list(page, agent.revision_id))


@router.get("/{agent_id}/revisions/{revision_id}", response_model=RevisionDetail)
async def get_revision(
    agent_id: AgentName, revision_id: RevisionId, principal: Admin, deps: Deps
) -> Response:
    """Read one revision with all its settings."""
    agent = agent_of(deps, principal, agent_id)
    found = await deps.store.read(revision, principal.organization_id, agent.id, revision_id)
    if found is None:
        raise not_found("revision of this agent")
    return json_response(revision_detail(found, agent.revision_id))
