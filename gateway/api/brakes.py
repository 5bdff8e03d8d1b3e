"""The kill switch: an agent, or everything of the organisation, is paused and goes on.

A pause is not the status `paused` of a conversation, which is a voice host's hold.
"""

import logging

from fastapi import APIRouter
from starlette.responses import Response

from gateway.api.answers import json_response
from gateway.api.auth import Admin, OperatorKey, Principal
from gateway.api.deps import ApiDeps, Deps
from gateway.api.reading import AgentName, agent_of
from gateway.api.route import ApiRoute
from gateway.api.schemas.brakes import PauseBody, PauseShape, pause_shape
from gateway.service.brake import pause, pause_of, resume

router = APIRouter(prefix="/v1", route_class=ApiRoute)

_log = logging.getLogger(__name__)


@router.get("/organisation/pause", response_model=PauseShape, tags=["organisation"])
async def get_organisation_pause(principal: OperatorKey, deps: Deps) -> Response:
    """Whether the organisation is paused."""
    return await _read(deps, principal.organization_id)


@router.put("/organisation/pause", response_model=PauseShape, tags=["organisation"])
async def pause_organisation(principal: Admin, deps: Deps, body: PauseBody | None = None) -> Response:
    """Stop all agents and all sending at once.

    What comes in is taken and waits: a turn by API is answered with path `queued`. Agents that run are
    stopped and asked again afterwards. Nothing leaves to end users, not even an operator's words; only what
    is being handed to a provider at this moment still does. Webhooks go on. Again only changes the reason.
    """
    return await _pause(deps, principal, principal.organization_id, body)


@router.delete("/organisation/pause", response_model=PauseShape, tags=["organisation"])
async def resume_organisation(principal: Admin, deps: Deps) -> Response:
    """Go on: what has waited is answered, and sent, in order. An agent that is paused by itself stays so."""
    return await _resume(deps, principal.organization_id)


@router.get("/agents/{agent_id}/pause", response_model=PauseShape, tags=["agents"])
async def get_agent_pause(agent_id: AgentName, principal: OperatorKey, deps: Deps) -> Response:
    """Whether an agent is paused."""
    return await _read(deps, agent_of(deps, principal, agent_id).id)


@router.put("/agents/{agent_id}/pause", response_model=PauseShape, tags=["agents"])
async def pause_agent(
    agent_id: AgentName, principal: Admin, deps: Deps, body: PauseBody | None = None
) -> Response:
    """Stop one agent at once.

    Its conversations take messages, which wait: a turn by API is answered with path `queued`. Where it runs
    it is stopped and asked again afterwards. What it said and has not left yet waits, too; an operator may
    take over, which discards that, and write. Again only changes the reason.
    """
    return await _pause(deps, principal, agent_of(deps, principal, agent_id).id, body)


@router.delete("/agents/{agent_id}/pause", response_model=PauseShape, tags=["agents"])
async def resume_agent(agent_id: AgentName, principal: Admin, deps: Deps) -> Response:
    """Go on: what has waited for this agent is answered, and sent, in order."""
    return await _resume(deps, agent_of(deps, principal, agent_id).id)


async def _read(deps: ApiDeps, subject_id: str) -> Response:
    return json_response(pause_shape(await deps.store.read(pause_of, subject_id)))


async def _pause(deps: ApiDeps, principal: Principal, subject_id: str, body: PauseBody | None) -> Response:
    reason = body.reason if body is not None else None
    set_now = await deps.store.write(
        pause, principal.organization_id, subject_id, by=principal.name, reason=reason
    )
    _log.warning("paused", extra={"action": "pause.set", "subject_id": subject_id})
    return json_response(pause_shape(set_now))


async def _resume(deps: ApiDeps, subject_id: str) -> Response:
    if await deps.store.write(resume, subject_id, deps.partitions):
        _log.warning("resumed", extra={"action": "pause.lifted", "subject_id": subject_id})
    return json_response(pause_shape(None))
