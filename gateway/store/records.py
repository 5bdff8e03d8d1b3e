"""Rows to domain records and back: the only place that knows how a record lies in its columns."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic_core import from_json, to_json

from gateway.domain.conversation import Conversation, Origin, Priority, SessionType, Status
from gateway.domain.delivery import Answered, Delivery, DeliveryState, Part, PartState, Thread
from gateway.domain.errors import ErrorCode
from gateway.domain.handoff import Handoff, HandoffSource, HandoffStatus
from gateway.domain.message import Attachment, Author, Channel, Message, Role, ToolCall
from gateway.domain.ports.store import Row
from gateway.domain.turn import Path, TurnOutcome, TurnState

T = TypeVar("T")


def pack(value: object) -> str:
    """A value as the JSON text of a column."""
    return to_json(value).decode()


def unpack(text: str | None, default: Any) -> Any:
    """The value of a JSON column, or `default` where it is NULL."""
    return default if text is None else from_json(text)


def attachments_of(text: str | None) -> tuple[Attachment, ...]:
    """The attachments of a message or a delivery."""
    return tuple(Attachment(**item) for item in unpack(text, []))


def _optional(kind: type[T], value: Any) -> T | None:
    return None if value is None else kind(value)  # type: ignore[call-arg]


def conversation_of(row: Row) -> Conversation:
    """A row of `conversations`."""
    return Conversation(
        id=row["id"],
        organization_id=row["organization_id"],
        end_user_id=row["end_user_id"],
        channel=Channel(row["channel"]),
        status=Status(row["status"]),
        session_type=SessionType(row["session_type"]),
        priority=Priority(row["priority"]),
        assistant_id=row["assistant_id"],
        assigned_agent_id=row["assigned_agent_id"],
        pinned_revision_id=row["pinned_revision_id"],
        our_address=row["our_address"],
        their_address=row["their_address"],
        message_count=row["message_count"],
        started_at=row["started_at"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        origin=_optional(Origin, row["origin"]),
        external_session_id=row["external_session_id"],
        subject=row["subject"],
        retention_policy_id=row["retention_policy_id"],
        summary=row["summary"],
        metadata=unpack(row["metadata"], {}),
        context_variables=unpack(row["context_variables"], {}),
        first_message_at=row["first_message_at"],
        last_message_at=row["last_message_at"],
        ended_at=row["ended_at"],
        closed_at=row["closed_at"],
        ttl_expires_at=row["ttl_expires_at"],
        retention_expires_at=row["retention_expires_at"],
        archived_at=row["archived_at"],
        memory_synced=bool(row["memory_synced"]),
        has_recording=bool(row["has_recording"]),
        recording_url=row["recording_url"],
    )


def message_of(row: Row) -> Message:
    """A row of `messages`."""
    return Message(
        id=row["id"],
        conversation_id=row["conversation_id"],
        seq=row["seq"],
        turn_id=row["turn_id"],
        role=Role(row["role"]),
        content=row["content"],
        author=Author(row["authored_by"]),
        created_at=row["created_at"],
        tool_calls=tuple(ToolCall(**call) for call in unpack(row["tool_calls"], [])),
        model_used=row["model_used"],
        input_tokens=row["input_tokens"],
        output_tokens=row["output_tokens"],
        latency_ms=row["latency_ms"],
        delivery_status=row["delivery_status"],
        metadata=unpack(row["metadata"], {}),
        evidence=tuple(unpack(row["evidence"], [])),
        attachments=attachments_of(row["attachments"]),
    )


def message_row(message: Message, *, agent_id: str | None = None) -> dict[str, Any]:
    """The parameters of `message_insert`; the database sets the time."""
    return {
        "conversation_id": message.conversation_id,
        "seq": message.seq,
        "id": message.id,
        "turn_id": message.turn_id,
        "role": message.role.value,
        "content": message.content,
        "authored_by": message.author.value,
        "agent_id": agent_id,
        "tool_calls": pack(message.tool_calls) if message.tool_calls else None,
        "model_used": message.model_used,
        "input_tokens": message.input_tokens,
        "output_tokens": message.output_tokens,
        "latency_ms": message.latency_ms,
        "delivery_status": message.delivery_status,
        "metadata": pack(message.metadata) if message.metadata else None,
        "evidence": pack(message.evidence) if message.evidence else None,
        "attachments": pack(message.attachments) if message.attachments else None,
    }


def part_of(row: Row) -> Part:
    """A row of `parts`."""
    return Part(
        delivery_id=row["delivery_id"],
        index=row["number"],
        text=row["text"],
        hash=row["hash"],
        encoding=row["encoding"],
        segments=row["segments"],
        state=PartState(row["state"]),
        attempt=row["attempt"],
        refusals=row["refusals"],
        late_tries=row["late_tries"],
        claimed_at=row["claimed_at"],
        first_claimed_at=row["first_claimed_at"],
        slot_at=row["slot_at"],
        provider_message_id=row["provider_message_id"],
        error_code=row["error_code"],
    )


def delivery_of(row: Row, parts: tuple[Part, ...] = ()) -> Delivery:
    """A row of `deliveries` with its parts."""
    return Delivery(
        id=row["id"],
        lane=row["lane"],
        number=row["number"],
        organization_id=row["organization_id"],
        conversation_id=row["conversation_id"],
        message_id=row["message_id"],
        message_seq=row["message_seq"],
        turn_id=row["turn_id"],
        channel=Channel(row["channel"]),
        sender=row["sender"],
        recipient=row["recipient"],
        text=row["text"],
        state=DeliveryState(row["state"]),
        attempt=row["attempt"],
        sandboxed=bool(row["sandboxed"]),
        created_at=row["created_at"],
        thread=thread_of(unpack(row["thread"], {})),
        attachments=attachments_of(row["attachments"]),
        parts=parts,
    )


def thread_of(value: Mapping[str, Any]) -> Thread:
    """A stored mail thread position."""
    answered = value.get("answered")
    return Thread(
        subject=value.get("subject"),
        in_reply_to=value.get("in_reply_to"),
        references=tuple(value.get("references", ())),
        by_person=bool(value.get("by_person")),
        answered=None if answered is None else Answered(answered["text"], answered["at"]),
    )


def outcome_of(row: Row, session_status: Status) -> TurnOutcome:
    """A row of `turns`; `session_status` stands in where the turn has not finished."""
    seqs = tuple(unpack(row["message_seqs"], []))
    return TurnOutcome(
        turn_id=row["id"],
        conversation_id=row["conversation_id"],
        state=TurnState(row["state"]),
        path=_optional(Path, row["path"]),
        decision_source=row["decision_source"],
        text=row["text"] or "",
        agent_id=row["agent_id"],
        message_seqs=seqs,
        session_status=_optional(Status, row["session_status"]) or session_status,
        ttft_ms=row["ttft_ms"],
        started_at=row["started_at"],
        evidence=tuple(unpack(row["evidence"], [])),
        intents=tuple(unpack(row["intents"], [])),
        error=_optional(ErrorCode, row["error"]),
        error_message=row["error_message"],
        fence=row["fence"],
    )


def handoff_of(row: Row) -> Handoff:
    """A row of `handoffs`."""
    return Handoff(
        id=row["id"],
        organization_id=row["organization_id"],
        conversation_id=row["conversation_id"],
        turn_id=row["turn_id"],
        reason=row["reason"],
        static_text=row["static_text"],
        status=HandoffStatus(row["status"]),
        assignee=row["assignee"],
        source=HandoffSource(row["source"]),
        packet=unpack(row["packet"], {}),
        created_at=row["created_at"],
        resolved_at=row["resolved_at"],
    )
