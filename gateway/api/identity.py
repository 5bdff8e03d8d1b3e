"""People and agents: an address resolves to its end user; which agents there are."""

from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from gateway.api.answers import IdempotencyKey, answer_of, answered, json_response
from gateway.api.auth import Client
from gateway.api.deps import Deps
from gateway.api.reading import not_found
from gateway.api.route import ApiRoute
from gateway.api.schemas.identity import (
    AgentList,
    EndUserShape,
    ResolvedShape,
    ResolveIdentityBody,
    agent_list,
    end_user_shape,
    resolved_shape,
)
from gateway.domain.identity import ContactKind, address_of
from gateway.domain.ports import Tx
from gateway.service.idempotency import Answer, once
from gateway.service.identify import end_user, resolve

router = APIRouter(prefix="/v1", tags=["identity"], route_class=ApiRoute)


@router.post("/identity/resolve", response_model=ResolvedShape)
async def resolve_identity(
    body: ResolveIdentityBody, principal: Client, deps: Deps, key: IdempotencyKey
) -> Response:
    """Find the end user of an address, or create one. 422 `invalid_identifier`."""
    address = address_of(body.channel, body.identifier)
    # a client vouches for its own user ids; an address is proven by who writes from it
    verified = address.kind is ContactKind.USER

    async def unit(tx: Tx) -> Answer:
        organization_id = principal.organization_id
        found = await resolve(tx, organization_id, address, verified=verified, source="api")
        person = await end_user(tx, organization_id, found.end_user_id)
        if person is None:
            raise AssertionError("the end user was resolved in this unit")
        return answer_of(resolved_shape(person, created=found.created))

    return answered(await deps.store.write(once, key, unit))


@router.get("/identity/end-users/{end_user_id}", response_model=EndUserShape)
async def get_end_user(end_user_id: UUID, principal: Client, deps: Deps) -> Response:
    """Read an end user's profile and contacts."""
    person = await deps.store.read(end_user, principal.organization_id, str(end_user_id))
    if person is None:
        raise not_found("end user")
    return json_response(end_user_shape(person))


@router.get("/agents", response_model=AgentList, tags=["agents"])
async def list_agents(principal: Client, deps: Deps) -> Response:
    """List the agents of gateway.toml."""
    config = deps.config()
    if config.organization_id != principal.organization_id:
        return json_response(agent_list([], None))
    return json_response(agent_list(list(config.agents.values()), config.default_agent()))
