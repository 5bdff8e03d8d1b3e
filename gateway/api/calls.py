"""Calls that begin here: somebody is phoned, and the agent speaks with whoever answers."""

from fastapi import APIRouter
from starlette.responses import Response

from gateway.api.answers import IdempotencyKey, answer_of, answered
from gateway.api.auth import Client
from gateway.api.deps import Deps
from gateway.api.reading import config_for, detail
from gateway.api.route import ApiRoute
from gateway.api.schemas.calls import NewCallBody
from gateway.api.schemas.conversations import ConversationDetail
from gateway.domain.identity import canonical_phone
from gateway.domain.ports.store import Tx
from gateway.service.begin_call import NewOutgoingCall, begin_call
from gateway.service.idempotency import Answer, once
from gateway.service.routes import agent_for, calling_address, route_of

router = APIRouter(prefix="/v1/voice", tags=["calls"], route_class=ApiRoute)


@router.post("/calls", status_code=201, response_model=ConversationDetail)
async def create_call(body: NewCallBody, principal: Client, deps: Deps, key: IdempotencyKey) -> Response:
    """Call somebody.

    The answer is the call's conversation, which is `queued`: follow it as any other. It becomes `ringing`,
    then `active` once somebody answers, or `error` where nobody does; `system_event` messages say why. While
    it is quiet where they are (`quiet_hours`), or a brake is on, it stays `queued`. Closing it hangs up.
    """
    config = config_for(deps, principal)
    theirs = None if body.to is None else canonical_phone(body.to)
    ours = calling_address(config, body.sender, body.wanted_agent, deps.can_call)
    agent = agent_for(config, body.wanted_agent, ours)
    route = route_of(config, agent, ours.values, deps.partitions)
    new = NewOutgoingCall(
        end_user_id=None if body.end_user_id is None else str(body.end_user_id),
        their_address=theirs,
        our_address=ours.address,
        first_message=body.first_message,
        metadata=body.metadata,
        context_variables=body.context_variables,
    )

    async def unit(tx: Tx) -> Answer:
        begun = await begin_call(tx, new, route)
        return answer_of(await detail(tx, begun), 201, conversation_id=begun.id)

    return answered(await deps.store.write(once, key, unit))
