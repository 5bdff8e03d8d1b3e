"""Web chat: the business's server fetches a token, its page in the browser talks with it."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from gateway.api.answers import IdempotencyKey, answer_of, answered
from gateway.api.auth import Client, Principal
from gateway.api.deps import ApiDeps, Deps
from gateway.api.reading import config_for, known
from gateway.api.route import ApiRoute
from gateway.api.schemas.common import time_of
from gateway.api.schemas.web import ConversationTokenBody, EndUserTokenBody, WebTokenShape
from gateway.api.web_tokens import WebToken, WebTokens
from gateway.domain.conversation import Conversation, Origin, Priority, SessionType
from gateway.domain.errors import ErrorCode, GatewayError
from gateway.domain.message import Channel
from gateway.domain.ports.store import Tx
from gateway.service.begin import begin
from gateway.service.converse import NewConversation
from gateway.service.idempotency import Answer, once
from gateway.service.routes import agent_for, route_of

router = APIRouter(prefix="/v1", tags=["web chat"], route_class=ApiRoute)

_CHAT = "web-chat"
"""The external session of every conversation that is begun here: one open one an end user."""


@router.post("/web-tokens", status_code=201, response_model=WebTokenShape)
async def create_web_token(
    body: ConversationTokenBody | EndUserTokenBody,
    principal: Client,
    request: Request,
    deps: Deps,
    key: IdempotencyKey,
) -> Response:
    """Make a token with which a browser speaks in one conversation, and can do nothing else.

    404 `end_user_not_found`; 409 `conversation_closed`.
    """
    tokens: WebTokens = request.app.state.web_tokens
    await tokens.prepare()

    async def unit(tx: Tx) -> Answer:
        if isinstance(body, ConversationTokenBody):
            found = await known(tx, principal.organization_id, str(body.conversation_id))
            _check(found)
        else:
            found = await _chat(tx, deps, principal, str(body.end_user_id))
        text, ends = tokens.make(WebToken(found.organization_id, found.id), body.ttl_seconds)
        made = WebTokenShape(
            token=text,
            conversation_id=found.id,
            end_user_id=found.end_user_id,
            expires_at=time_of(ends) or "",
        )
        return answer_of(made, 201, conversation_id=found.id)

    return answered(await deps.store.write(once, key, unit))


def _check(found: Conversation) -> None:
    if found.channel.delivers or found.channel is Channel.VOICE:
        raise GatewayError(
            ErrorCode.VALIDATION_ERROR, "a web token is for a conversation on the channel web or api"
        )
    if found.status.terminal:
        raise GatewayError(ErrorCode.CONVERSATION_CLOSED, "this conversation is over; begin another")


async def _chat(tx: Tx, deps: ApiDeps, principal: Principal, end_user_id: str) -> Conversation:
    config = config_for(deps, principal)
    agent = agent_for(config, None, None)
    new = NewConversation(
        end_user_id=end_user_id,
        channel=Channel.WEB,
        our_address=None,
        session_type=SessionType.LIVE,
        priority=Priority.NORMAL,
        origin=Origin.INBOUND,
        external_session_id=_CHAT,
        subject=None,
        metadata={},
        context_variables={},
    )
    route = route_of(config, agent, config.channel(Channel.WEB), deps.partitions)
    found, _ = await begin(tx, new, route, None)
    return found
