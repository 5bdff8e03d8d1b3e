"""What several routes read for an answer, and what is not there."""

from typing import Annotated
from uuid import UUID

from fastapi import Path, Query

from gateway.api.auth import Principal
from gateway.api.deps import ApiDeps
from gateway.api.schemas.conversations import ConversationDetail, conversation_detail
from gateway.domain.conversation import Conversation
from gateway.domain.errors import ErrorCode, GatewayError
from gateway.domain.ports.store import Tx
from gateway.service.converse import conversation, newest_messages
from gateway.service.routes import agent_for
from gateway.settings import AgentConfig, GatewayConfig

RECENT = 20
"""Messages shown with a conversation."""

ConversationId = Annotated[UUID, Path(description="The conversation.")]
EndUserId = Annotated[UUID, Path(description="The end user.")]
AgentName = Annotated[str, Path(min_length=1, max_length=128, description="The agent's id or slug.")]
Limit = Annotated[int, Query(ge=1, le=200)]
CursorText = Annotated[str | None, Query(description="`next_cursor` of a page before.")]


def not_found(what: str) -> GatewayError:
    """Nothing of that id belongs to the caller's organisation."""
    return GatewayError(ErrorCode.NOT_FOUND, f"there is no such {what}")


def config_for(deps: ApiDeps, principal: Principal) -> GatewayConfig:
    """The configuration, which is one organisation's; another's keys find no agents in it.

    Raises GatewayError `no_default_agent`.
    """
    config = deps.config()
    if config.organization_id != principal.organization_id:
        raise GatewayError(
            ErrorCode.NO_DEFAULT_AGENT, "gateway.toml declares no agents for this key's organisation"
        )
    return config


def agent_of(deps: ApiDeps, principal: Principal, name: str) -> AgentConfig:
    """An agent of the caller's organisation, by id or slug. Raises GatewayError `agent_not_found`."""
    config = deps.config()
    if config.organization_id != principal.organization_id:
        raise GatewayError(
            ErrorCode.AGENT_NOT_FOUND, "gateway.toml declares no agents for this key's organisation"
        )
    return agent_for(config, name, None)


async def known(tx: Tx, organization_id: str, conversation_id: str) -> Conversation:
    """A conversation. Raises GatewayError `not_found`."""
    found = await conversation(tx, organization_id, conversation_id)
    if found is None:
        raise not_found("conversation")
    return found


async def detail(tx: Tx, found: Conversation) -> ConversationDetail:
    """A conversation with what was said last."""
    return conversation_detail(found, await newest_messages(tx, found, RECENT))
