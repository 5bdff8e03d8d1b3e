"""Simulations: a script replayed against an agent, and its report."""

from dataclasses import replace
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from gateway.api.answers import IdempotencyKey, answer_of, answered, json_response
from gateway.api.auth import OperatorKey
from gateway.api.deps import Deps
from gateway.api.reading import AgentName, agent_of, not_found
from gateway.api.route import ApiRoute
from gateway.api.schemas.simulations import SimulationBody, SimulationReport, simulation_report
from gateway.domain.message import Channel
from gateway.domain.ports.store import Tx
from gateway.service.idempotency import Answer, once
from gateway.service.revisions import revision
from gateway.service.routes import route_of
from gateway.service.simulate import compared, simulate

router = APIRouter(prefix="/v1/agents", tags=["simulations"], route_class=ApiRoute)


@router.post("/{agent_id}/simulations", status_code=202, response_model=SimulationReport)
async def create_simulation(
    agent_id: AgentName, body: SimulationBody, principal: OperatorKey, deps: Deps, key: IdempotencyKey
) -> Response:
    """Begin to replay a script against an agent; read the report until its status is not `running`.

    Nothing of it leaves or counts. The conversation can be read like any other, and takes no turns of others.
    With `revision_id` a draft is tried; with `compare` the report says what the revision in force answers.
    """
    config = deps.config()
    agent = agent_of(deps, principal, agent_id)
    tried = agent if body.revision_id is None else replace(agent, revision_id=body.revision_id)
    route, baseline = (
        route_of(config, asked, config.channel(Channel.API), deps.partitions) for asked in (tried, agent)
    )

    async def unit(tx: Tx) -> Answer:
        if await revision(tx, principal.organization_id, agent.id, tried.revision_id) is None:
            raise not_found("revision of this agent")
        begun = await simulate(
            tx, route, body.steps, body.context_variables, baseline if body.compare else None
        )
        return answer_of(simulation_report(begun), 202, conversation_id=begun.conversation_id)

    return answered(await deps.store.write(once, key, unit))


@router.get("/{agent_id}/simulations/{simulation_id}", response_model=SimulationReport)
async def get_simulation(
    agent_id: AgentName, simulation_id: UUID, principal: OperatorKey, deps: Deps
) -> Response:
    """Read the report of a simulation."""
    agent = agent_of(deps, principal, agent_id)
    found = await deps.store.read(compared, principal.organization_id, str(simulation_id))
    if found is None or found[0].agent_id != agent.id:
        raise not_found("simulation of this agent")
    return json_response(simulation_report(*found))
