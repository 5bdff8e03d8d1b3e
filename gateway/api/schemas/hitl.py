"""Operators' work as clients see it: their replies, handoffs, approvals, and the end of a session."""

from enum import StrEnum
from typing import Any, Literal, Self
from uuid import UUID

from pydantic import ConfigDict, Field, StrictBool, model_validator

from gateway.api.cursors import page_fields
from gateway.api.schemas import desk_examples, examples
from gateway.api.schemas.common import Cursor, HasMore, Request, Shape, Time, Uuid, example, time_of
from gateway.api.schemas.messages import PollRow, poll_row
from gateway.domain.clock import rfc3339
from gateway.domain.conversation import Conversation, Status
from gateway.domain.handoff import ApprovalStatus, Handoff, HandoffSource, HandoffStatus
from gateway.domain.intent import CallTransferIntent, DtmfInputSpec
from gateway.domain.message import Message
from gateway.domain.ports.store import Row
from gateway.service.browse import Page
from gateway.service.handoff import HumanTurnDone
from gateway.store.records import unpack


class HumanTurnBody(Request):
    """What an operator says or does."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"content": "Hi, this is Jamie from support. How can I help you today?"},
            "anyOf": [
                {"required": ["content"], "properties": {"content": {"type": "string"}}},
                {"required": ["return_control"], "properties": {"return_control": {"const": True}}},
            ],
        }
    )

    content: str | None = Field(default=None, min_length=1, max_length=100_000)
    return_control: StrictBool = Field(default=False, description="Give the conversation back to the agent.")
    take_over: StrictBool = Field(default=False, description="Take an active conversation from the agent.")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.content is None and not self.return_control:
            raise ValueError("give content, or return_control: true")
        return self


class RelayBody(Request):
    """What an operator says to the end user."""

    model_config = example({"content": "Hi, this is Jamie from support."})

    content: str = Field(min_length=1, max_length=100_000)


class HumanTurnAnswer(Shape):
    """What an operator's request changed."""

    model_config = example(desk_examples.HUMAN_TURN)

    conversation_id: Uuid
    message: PollRow | None
    handoff_id: Uuid
    session_status: Status
    next_seq: int = Field(description="Pass it as `since_seq` to read on from here.")


class DecisionWord(StrEnum):
    """What a person decides."""

    APPROVE = "approve"
    REJECT = "reject"


class ResolveBody(Request):
    """A decision on an approval."""

    model_config = example({"decision": "approve", "note": "within 30 days"})

    decision: DecisionWord
    note: str | None = Field(default=None, max_length=10_000)


class HandoffShape(Shape):
    """One time a conversation went to a person."""

    model_config = example(desk_examples.HANDOFF)

    id: Uuid
    organization_id: Uuid
    conversation_id: Uuid
    turn_id: Uuid | None
    reason: str
    static_text: str | None
    status: HandoffStatus
    assignee: str | None
    source: HandoffSource
    packet: dict[str, Any]
    created_at: Time
    resolved_at: Time | None


class HandoffList(Shape):
    """Handoffs, newest first."""

    model_config = example(examples.page(desk_examples.HANDOFF))

    items: list[HandoffShape]
    has_more: HasMore
    next_cursor: Cursor


class ApprovalShape(Shape):
    """A hold on a tool call."""

    model_config = example(desk_examples.APPROVAL)

    id: Uuid
    organization_id: Uuid
    conversation_id: Uuid
    turn_id: Uuid
    subject_kind: Literal["tool_call", "workflow_node"]
    subject_ref: str = Field(description="The tool.")
    payload: dict[str, Any]
    approver_role: str | None
    status: ApprovalStatus
    suspend_message: str | None
    decision: DecisionWord | None
    decided_by: str | None
    decided_at: Time | None
    note: str | None
    timeout_at: Time
    created_at: Time


class ApprovalList(Shape):
    """Approvals, oldest first."""

    model_config = example(examples.page(desk_examples.APPROVAL))

    items: list[ApprovalShape]
    has_more: HasMore
    next_cursor: Cursor


class EndSessionBody(Request):
    """Ends a session that is named in full."""

    model_config = example(
        {
            "session_id": examples.CONVERSATION["id"],
            "end_user_id": examples.CONVERSATION["end_user_id"],
            "reason": "resolved",
        }
    )

    session_id: UUID = Field(description="The conversation, as in the path.")
    end_user_id: UUID
    agent_id: str | None = None
    channel: str = "api"
    reason: str | None = Field(default=None, max_length=1000)


class AssistantMessage(Shape):
    """A message that ending the session produced."""

    content: str
    turn_id: Uuid | None
    sequence: int
    producing_assistant_id: Uuid | None


class SessionResult(Shape):
    """A session as its end left it."""

    model_config = example(examples.SESSION_RESULT)

    session_id: Uuid
    messages: list[AssistantMessage]
    status: Literal["idle", "running_turn", "end_requested", "end_processing", "ended", "error"]
    handoff: dict[str, Any] | None
    call_transfer: CallTransferIntent | None
    dtmf_input: DtmfInputSpec | None
    session_status: str | None
    error: str | None
    model_used: str | None
    token_count: int | None
    latency_ms: int | None


def human_turn_answer(done: HumanTurnDone, message: Message | None) -> HumanTurnAnswer:
    """What an operator's request changed; `message` as it is stored."""
    return HumanTurnAnswer.model_construct(
        conversation_id=done.conversation_id,
        message=None if message is None else poll_row(message),
        handoff_id=done.handoff_id,
        session_status=done.session_status,
        next_seq=done.next_seq,
    )


def handoff_shape(handoff: Handoff) -> HandoffShape:
    """A handoff."""
    return HandoffShape.model_construct(
        id=handoff.id,
        organization_id=handoff.organization_id,
        conversation_id=handoff.conversation_id,
        turn_id=handoff.turn_id,
        reason=handoff.reason,
        static_text=handoff.static_text,
        status=handoff.status,
        assignee=handoff.assignee,
        source=handoff.source,
        packet=handoff.packet,
        created_at=rfc3339(handoff.created_at),
        resolved_at=time_of(handoff.resolved_at),
    )


def handoff_list(page: Page[Handoff]) -> HandoffList:
    """A page of handoffs."""
    return HandoffList.model_construct(**page_fields(page, handoff_shape))


def approval_shape(row: Row) -> ApprovalShape:
    """A row of `approvals`."""
    values = {name: row[name] for name in ApprovalShape.model_fields}
    return ApprovalShape.model_construct(
        **{
            **values,
            "payload": unpack(row["payload"], {}),
            "status": ApprovalStatus(row["status"]),
            "decision": DecisionWord(row["decision"]) if row["decision"] else None,
            "decided_at": time_of(row["decided_at"]),
            "timeout_at": time_of(row["timeout_at"]),
            "created_at": time_of(row["created_at"]),
        }
    )


def approval_list(page: Page[Row]) -> ApprovalList:
    """A page of approvals."""
    return ApprovalList.model_construct(**page_fields(page, approval_shape))


def session_result(conversation: Conversation) -> SessionResult:
    """A session that has ended."""
    return SessionResult.model_construct(
        session_id=conversation.id,
        messages=[],
        status="ended",
        handoff=None,
        call_transfer=None,
        dtmf_input=None,
        session_status=conversation.status.value,
        error=None,
        model_used=None,
        token_count=None,
        latency_ms=None,
    )
