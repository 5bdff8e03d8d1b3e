"""The conversation as clients create and read it."""

from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import AwareDatetime, BeforeValidator, ConfigDict, Field, model_validator

from gateway.api.cursors import page_fields
from gateway.api.schemas import examples
from gateway.api.schemas.common import Cursor, HasMore, Request, Shape, Time, Uuid, example, time_of
from gateway.api.schemas.messages import Row, transcript_row
from gateway.domain.conversation import Conversation, Origin, Priority, SessionType, Status
from gateway.domain.message import Channel, Message
from gateway.domain.simulation import MAX_STEPS
from gateway.service.browse import Page

MAX_SAID = 20_000
"""Characters of one turn of a script."""
_PREVIEW = 200
"""Characters of a summary's preview."""

AgentName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=128,
        description="An agent's id or slug.",
        examples=["support"],
    ),
]


def _written_out(value: object) -> object:
    """A number is no time, though seconds since the epoch would be read as one."""
    if isinstance(value, str) and "T" not in value.upper():
        raise ValueError("must be RFC 3339, like 2024-05-14T12:00:00Z")
    return value


_Moment = Annotated[AwareDatetime, BeforeValidator(_written_out)]


class NewConversationBody(Request):
    """What a conversation is created from."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "end_user_id": "550e8400-e29b-41d4-a716-446655440000",
                "channel": "api",
                "assistant_id": "agt_01hx3k2mz9vbqwerty123456",
                "session_type": "live",
            }
        }
    )

    end_user_id: UUID = Field(description="From POST /v1/identity/resolve.")
    channel: Channel
    assistant_id: AgentName | None = None
    address: str | None = Field(
        default=None, min_length=1, max_length=320, description="Which of our addresses speaks."
    )
    session_type: SessionType = SessionType.LIVE
    context_variables: dict[str, Any] = Field(
        default_factory=dict, description="Facts the agent is given.", examples=[{"customer_name": "Alex"}]
    )
    external_session_id: str | None = Field(default=None, min_length=1, max_length=255)
    subject: str | None = Field(default=None, max_length=998)
    priority: Priority = Priority.NORMAL
    metadata: dict[str, Any] = Field(default_factory=dict, description="Yours; passed through untouched.")
    origin: Origin | None = None
    first_message: str | None = Field(
        default=None, min_length=1, max_length=100_000, description="Said by the agent, and delivered."
    )
    script: list[Annotated[str, Field(min_length=1, max_length=MAX_SAID)]] = Field(
        default_factory=list,
        max_length=MAX_STEPS,
        description="Of a `simulation`: what the end user says, replayed turn by turn.",
    )

    @model_validator(mode="after")
    def _script_of_a_simulation(self) -> Self:
        if self.script and self.session_type is not SessionType.SIMULATION:
            raise ValueError("script belongs to session_type simulation")
        return self


class TestChatBody(Request):
    """A test conversation; everything may be left out."""

    model_config = example({"assistant_id": "support"})

    __test__ = False

    assistant_id: AgentName | None = None
    context_variables: dict[str, Any] = Field(default_factory=dict)
    metadata: dict[str, Any] = Field(default_factory=dict)


class CloseBody(Request):
    """Why a conversation is closed."""

    model_config = example({"reason": "resolved"})

    reason: str | None = Field(default=None, max_length=1000, examples=["resolved"])


class ConversationQuery(Request):
    """Which conversations are listed, and which page of them."""

    status: list[Status] = Field(default_factory=list, max_length=20, description="Repeatable.")
    channel: list[Channel] = Field(default_factory=list, max_length=20, description="Repeatable.")
    end_user_id: UUID | None = None
    assigned_agent_id: AgentName | None = None
    priority: list[Priority] = Field(default_factory=list, max_length=20)
    session_type: list[SessionType] = Field(default_factory=list, max_length=20)
    started_after: _Moment | None = Field(default=None, description="Inclusive.")
    started_before: _Moment | None = Field(default=None, description="Exclusive.")
    limit: int = Field(default=50, ge=1, le=200)
    cursor: str | None = Field(default=None, description="`next_cursor` of a page before.")


class EvalSummary(Shape):
    """Rollup of evaluations of the conversation."""

    model_config = example(examples.EVAL_SUMMARY)

    total: int = 0
    succeeded: int = 0
    failed: int = 0
    pending: int = 0
    critical_total: int = 0
    critical_succeeded: int = 0
    critical_failed: int = 0
    critical_pending: int = 0
    eval_status: str = Field(default="none", description="none, failed, pending or passed.")


class ConversationShape(Shape):
    """A session between one end user and an agent, or the person who took over."""

    model_config = example(examples.CONVERSATION)

    id: Uuid
    organization_id: Uuid
    end_user_id: Uuid
    channel: Channel
    assistant_id: Uuid = Field(description="The agent it began with.")
    status: Status
    priority: Priority
    message_count: int
    started_at: Time
    created_at: Time
    updated_at: Time
    origin: Origin | None
    external_session_id: str | None
    session_type: SessionType
    subject: str | None
    assigned_agent_id: Uuid | None = Field(description="The agent handling it now.")
    pinned_revision_id: str | None = Field(description="The hash of the agent's settings when it began.")
    retention_policy_id: Uuid | None
    summary: str | None
    metadata: dict[str, Any]
    context_variables: dict[str, Any]
    first_message_at: Time | None
    last_message_at: Time | None
    ended_at: Time | None = Field(description="Set by every terminal status.")
    closed_at: Time | None = Field(description="Set by the status closed.")
    ttl_expires_at: Time | None
    retention_expires_at: Time | None
    archived_at: Time | None
    memory_synced: bool
    duration_ms: int | None = Field(description="From started_at to ended_at.")
    summary_preview: str | None
    has_recording: bool
    eval_summary: EvalSummary


class ConversationDetail(ConversationShape):
    """One conversation with what was said last."""

    model_config = example(examples.CONVERSATION_DETAIL)

    recent_turns: list[Row] = Field(description="The last 20 messages, oldest first.")
    recording_url: str | None


class ConversationList(Shape):
    """Conversations, newest first."""

    model_config = example(examples.page(examples.CONVERSATION))

    items: list[ConversationShape]
    has_more: HasMore
    next_cursor: Cursor


def conversation_fields(conversation: Conversation) -> dict[str, Any]:
    """What every shape of a conversation begins with."""
    summary = conversation.summary
    return {
        "id": conversation.id,
        "organization_id": conversation.organization_id,
        "end_user_id": conversation.end_user_id,
        "channel": conversation.channel,
        "assistant_id": conversation.assistant_id,
        "status": conversation.status,
        "priority": conversation.priority,
        "message_count": conversation.message_count,
        "started_at": time_of(conversation.started_at),
        "created_at": time_of(conversation.created_at),
        "updated_at": time_of(conversation.updated_at),
        "origin": conversation.origin,
        "external_session_id": conversation.external_session_id,
        "session_type": conversation.session_type,
        "subject": conversation.subject,
        "assigned_agent_id": conversation.assigned_agent_id,
        "pinned_revision_id": conversation.pinned_revision_id,
        "retention_policy_id": conversation.retention_policy_id,
        "summary": summary,
        "metadata": conversation.metadata,
        "context_variables": conversation.context_variables,
        "first_message_at": time_of(conversation.first_message_at),
        "last_message_at": time_of(conversation.last_message_at),
        "ended_at": time_of(conversation.ended_at),
        "closed_at": time_of(conversation.closed_at),
        "ttl_expires_at": time_of(conversation.ttl_expires_at),
        "retention_expires_at": time_of(conversation.retention_expires_at),
        "archived_at": time_of(conversation.archived_at),
        "memory_synced": conversation.memory_synced,
        "duration_ms": conversation.duration_ms,
        "summary_preview": None if summary is None else summary[:_PREVIEW],
        "has_recording": conversation.has_recording,
        "eval_summary": EvalSummary(),
    }


def conversation_detail(conversation: Conversation, recent: list[Message]) -> ConversationDetail:
    """A conversation with its newest messages."""
    return ConversationDetail.model_construct(
        **conversation_fields(conversation),
        recent_turns=[transcript_row(message) for message in recent],
        recording_url=conversation.recording_url,
    )


def conversation_list(page: Page[Conversation]) -> ConversationList:
    """A page of conversations."""
    return ConversationList.model_construct(
        **page_fields(page, lambda item: ConversationShape.model_construct(**conversation_fields(item)))
    )
