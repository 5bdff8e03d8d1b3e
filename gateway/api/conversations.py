"""Conversations: create, list, read, close, delete."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query
from starlette.responses import Response

from gateway.api.answers import IdempotencyKey, answer_of, answered, json_response
from gateway.api.auth import Admin, Client, Participant
from gateway.api.cursors import read_position
from gateway.api.deps import Deps
from gateway.api.reading import ConversationId, config_for, detail, known
from gateway.api.route import ApiRoute
from gateway.api.schemas.conversations import (
    CloseBody,
    ConversationDetail,
    ConversationList,
    ConversationQuery,
    NewConversationBody,
    TestChatBody,
    conversation_list,
)
from gateway.api.schemas.hitl import EndSessionBody, SessionResult, session_result
from gateway.api.visitors import shown_detail
from gateway.crash import reach
from gateway.domain.crash_point import CrashPoint
from gateway.domain.errors import ErrorCode, GatewayError
from gateway.domain.ids import parse_id
from gateway.domain.message import Channel
from gateway.domain.ports.store import Tx
from gateway.domain.simulation import Step
from gateway.service.begin import begin, begin_test
from gateway.service.browse import LATEST, ConversationFilter, conversations_page
from gateway.service.close import close
from gateway.service.converse import NewConversation
from gateway.service.idempotency import Answer, once
from gateway.service.purge import purge
from gateway.service.routes import agent_for, our_address, route_of
from gateway.settings import GatewayConfig

router = APIRouter(tags=["conversations"], route_class=ApiRoute)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@router.post("", status_code=201, response_model=ConversationDetail)
async def create_conversation(
    body: NewConversationBody, principal: Client, deps: Deps, key: IdempotencyKey
) -> Response:
    """Create a conversation.

    200 with the open one where this end user has one of the same `external_session_id`, or, on sms,
    with the same number of ours.
    """
    if body.channel is Channel.VOICE:
        raise GatewayError(
            ErrorCode.USE_VOICE_CALLS, "a call begins at a voice host, or by POST /v1/voice/calls"
        )
    config = config_for(deps, principal)
    ours = our_address(config, body.channel, body.address, body.assistant_id)
    wanted = ours if body.address is not None else None
    agent = agent_for(config, body.assistant_id, wanted)
    values = ours.values if ours is not None else config.channel(body.channel)
    route = route_of(config, agent, values, deps.partitions)
    new = NewConversation(
        end_user_id=str(body.end_user_id),
        channel=body.channel,
        our_address=ours.address if ours is not None else None,
        session_type=body.session_type,
        priority=body.priority,
        origin=body.origin,
        external_session_id=body.external_session_id,
        subject=body.subject,
        metadata=body.metadata,
        context_variables=body.context_variables,
    )

    async def unit(tx: Tx) -> Answer:
        script = [Step(user=text) for text in body.script]
        made, created = await begin(tx, new, route, body.first_message, script)
        return answer_of(await detail(tx, made), 201 if created else 200, conversation_id=made.id)

    return answered(await deps.store.write(once, key, unit))


@router.post("/test-chat", status_code=201, response_model=ConversationDetail)
async def create_test_chat(
    principal: Client, deps: Deps, key: IdempotencyKey, body: TestChatBody | None = None
) -> Response:
    """Create a fresh test conversation with an end user of its own. Nothing of it leaves or counts."""
    wanted = body or TestChatBody()
    config = config_for(deps, principal)
    agent = agent_for(config, wanted.assistant_id, None)
    route = route_of(config, agent, config.channel(Channel.API), deps.partitions)

    async def unit(tx: Tx) -> Answer:
        made = await begin_test(
            tx, route, context_variables=wanted.context_variables, metadata=wanted.metadata
        )
        return answer_of(await detail(tx, made), 201, conversation_id=made.id)

    return answered(await deps.store.write(once, key, unit))


@router.api_route("/test-chat", methods=["GET", "DELETE"], include_in_schema=False)
async def no_conversation_is_called_test_chat() -> Response:
    """This path has one method, though it looks like the path of a conversation."""
    raise HTTPException(405)


def _microseconds(moment: datetime | None, default: int) -> int:
    return default if moment is None else (moment - _EPOCH) // _MICROSECOND


def _filter(query: ConversationQuery, config: GatewayConfig) -> ConversationFilter:
    agent = config.agent(query.assigned_agent_id) if query.assigned_agent_id is not None else None
    agent_id = agent.id if agent is not None else query.assigned_agent_id
    return ConversationFilter(
        statuses=query.status,
        channels=query.channel,
        priorities=query.priority,
        session_types=query.session_type,
        end_user_id=None if query.end_user_id is None else str(query.end_user_id),
        assigned_agent_id=None if agent_id is None else parse_id(agent_id) or agent_id,
        started_from=_microseconds(query.started_after, -LATEST),
        started_before=_microseconds(query.started_before, LATEST),
    )


@router.get("", response_model=ConversationList)
async def list_conversations(
    principal: Client, deps: Deps, query: Annotated[ConversationQuery, Query()]
) -> Response:
    """List conversations, newest first."""
    wanted = _filter(query, deps.config())
    after = read_position(query.cursor)
    page = await deps.store.read(conversations_page, principal.organization_id, wanted, after, query.limit)
    return json_response(conversation_list(page))


@router.get("/{conversation_id}", response_model=ConversationDetail)
async def get_conversation(conversation_id: ConversationId, principal: Client, deps: Deps) -> Response:
    """Read a conversation with its last 20 messages."""

    async def unit(tx: Tx) -> ConversationDetail:
        return await detail(tx, await known(tx, principal.organization_id, str(conversation_id)))

    return json_response(await deps.store.read(unit))


@router.delete("/{conversation_id}", status_code=204)
async def delete_conversation(conversation_id: ConversationId, principal: Admin, deps: Deps) -> Response:
    """Delete a conversation that is over, with all that was said in it."""
    await purge(deps.store, principal.organization_id, str(conversation_id))
    return Response(status_code=204)


@router.post("/{conversation_id}/close", response_model=ConversationDetail)
async def close_conversation(
    conversation_id: ConversationId,
    principal: Participant,
    deps: Deps,
    key: IdempotencyKey,
    body: CloseBody | None = None,
) -> Response:
    """Close a conversation; one that is over already is answered unchanged."""

    async def unit(tx: Tx) -> Answer:
        reason = body.reason if body is not None else None
        closed = await close(tx, principal.organization_id, str(conversation_id), reason, deps.partitions)
        shown = shown_detail(await detail(tx, closed), principal)
        reach(CrashPoint.CLOSE_BEFORE_COMMIT)
        return answer_of(shown, conversation_id=closed.id)

    answer = await deps.store.write(once, key, unit)
    reach(CrashPoint.CLOSE_AFTER_COMMIT)
    return answered(answer)


@router.post("/{conversation_id}/end_session", response_model=SessionResult)
async def end_session(
    conversation_id: ConversationId,
    body: EndSessionBody,
    principal: Admin,
    deps: Deps,
    key: IdempotencyKey,
) -> Response:
    """End a session that is named in full; one that is over already is answered unchanged."""

    async def unit(tx: Tx) -> Answer:
        found = await known(tx, principal.organization_id, str(conversation_id))
        if (str(body.session_id), str(body.end_user_id)) != (found.id, found.end_user_id):
            raise GatewayError(
                ErrorCode.SESSION_MISMATCH, "session_id and end_user_id must be this conversation's"
            )
        closed = await close(tx, found.organization_id, found.id, body.reason, deps.partitions)
        return answer_of(session_result(closed), conversation_id=closed.id)

    return answered(await deps.store.write(once, key, unit))
