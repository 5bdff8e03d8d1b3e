"""Messages as clients read them: rows of the transcript and of the poll."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from pydantic import Field

from gateway.api.cursors import seq_cursor
from gateway.api.schemas import examples
from gateway.api.schemas.common import (
    Cursor,
    EvidenceChunk,
    HasMore,
    Request,
    Shape,
    Time,
    Uuid,
    chunk_of,
    example,
)
from gateway.domain.clock import rfc3339
from gateway.domain.conversation import Status
from gateway.domain.message import Author, JsonObject, Message, Role, ToolCall


class ToolCallRow(Shape):
    """A tool the agent called, and what came of it."""

    model_config = example(examples.TOOL_CALL)

    id: str
    name: str
    arguments: dict[str, Any]
    output: Any = None
    error: str | None = None


class ToolResultRow(Shape):
    """The result of a tool call."""

    tool_call_id: str
    output: Any = None
    error: str | None = None


class TokenCount(Shape):
    """What a reply cost."""

    input_tokens: int
    output_tokens: int
    total_tokens: int


class TranscriptRow(Shape):
    """One message of the transcript; it never changes."""

    model_config = example(examples.USER_ROW)

    id: Uuid
    session_id: Uuid = Field(description="The conversation.")
    turn_id: Uuid | None
    seq: int = Field(description="From 0, without gaps.")
    role: Role
    content: str = Field(
        description="The text; on voice what was heard, of a mail the new text.",
        examples=["I need help with my order #12345"],
    )
    authored_by: Author
    created_at: Time
    evidence: list[EvidenceChunk]


class ToolTranscriptRow(TranscriptRow):
    """The message of an assistant that used tools."""

    model_config = example(examples.AGENT_ROW)

    tool_calls: list[ToolCallRow]


Row = ToolTranscriptRow | TranscriptRow


class Transcript(Shape):
    """A page of the transcript, oldest first."""

    model_config = example(examples.TRANSCRIPT)

    turns: list[Row]
    has_more: HasMore
    next_cursor: Cursor


class PollRow(Shape):
    """One message with everything known of it."""

    model_config = example(examples.POLL_ROW)

    id: Uuid
    seq: int
    session_id: Uuid
    turn_id: Uuid | None
    role: Role
    content: str
    authored_by: Author
    created_at: Time
    tool_calls: list[ToolCallRow]
    tool_results: list[ToolResultRow]
    model_used: str | None
    token_count: TokenCount | None
    latency_ms: int | None
    delivery_status: str | None = Field(
        description="null on api and web; else pending, sending, sent, delivered, failed, sandboxed, unknown."
    )
    metadata: dict[str, Any]
    evidence: list[EvidenceChunk]


class PollQuery(Request):
    """Where a poll goes on."""

    since_seq: int = Field(default=-1, ge=-1, le=2**62, description="-1: from the beginning.")
    limit: int = Field(default=500, ge=1, le=1000)
    wait: float = Field(default=0, ge=0, le=30, description="Seconds to hold an idle poll open.")


class Poll(Shape):
    """Messages after a seq, ascending."""

    model_config = example(examples.POLL)

    session_status: Status
    next_seq: int = Field(description="Pass it as `since_seq` next time.")
    has_more: HasMore
    messages: list[PollRow]


def transcript_row(message: Message) -> Row:
    """A message as a row of the transcript."""
    values: dict[str, Any] = {
        "id": message.id,
        "session_id": message.conversation_id,
        "turn_id": message.turn_id,
        "seq": message.seq,
        "role": message.role,
        "content": message.heard,
        "authored_by": message.author,
        "created_at": rfc3339(message.created_at),
        "evidence": [chunk_of(item) for item in message.evidence],
    }
    if not message.tool_calls:
        return TranscriptRow.model_construct(**values)
    return ToolTranscriptRow.model_construct(**values, tool_calls=[_call(c) for c in message.tool_calls])


def transcript(messages: Sequence[Message], since: int, limit: int) -> Transcript:
    """The page of `limit` rows; one message more says that there is more."""
    shown = messages[:limit]
    return Transcript.model_construct(
        turns=[transcript_row(message) for message in shown],
        has_more=len(messages) > limit,
        next_cursor=seq_cursor(shown[-1].seq if shown else since),
    )


def poll_row(message: Message) -> PollRow:
    """A message as the poll shows it."""
    return PollRow.model_construct(
        id=message.id,
        seq=message.seq,
        session_id=message.conversation_id,
        turn_id=message.turn_id,
        role=message.role,
        content=message.content,
        authored_by=message.author,
        created_at=rfc3339(message.created_at),
        tool_calls=[_call(call) for call in message.tool_calls],
        tool_results=[
            ToolResultRow.model_construct(tool_call_id=call.id, output=call.output, error=call.error)
            for call in message.tool_calls
            if call.output is not None or call.error is not None
        ],
        model_used=message.model_used,
        token_count=_tokens(message),
        latency_ms=message.latency_ms,
        delivery_status=message.delivery_status,
        metadata=_metadata(message),
        evidence=[chunk_of(item) for item in message.evidence],
    )


def _metadata(message: Message) -> JsonObject:
    """What is noted with it; each file that is kept has its id and where it is read, whoever sent it."""
    if not message.attachments:
        return message.metadata
    kept = iter([asdict(attachment) for attachment in message.attachments])
    noted = message.metadata.get("attachments") or [{} for _ in message.attachments]
    files = [{**one, **next(kept, {})} if one.get("kept", True) else one for one in noted]
    return {**message.metadata, "attachments": files}


def poll(status: Status, messages: Sequence[Message], since: int, limit: int) -> Poll:
    """The answer to a poll; one message more than `limit` says that there is more."""
    shown = messages[:limit]
    return Poll.model_construct(
        session_status=status,
        next_seq=shown[-1].seq if shown else since,
        has_more=len(messages) > limit,
        messages=[poll_row(message) for message in shown],
    )


def _call(call: ToolCall) -> ToolCallRow:
    return ToolCallRow.model_construct(
        id=call.id, name=call.name, arguments=call.arguments, output=call.output, error=call.error
    )


def _tokens(message: Message) -> TokenCount | None:
    if message.input_tokens is None and message.output_tokens is None:
        return None
    read, written = message.input_tokens or 0, message.output_tokens or 0
    return TokenCount.model_construct(input_tokens=read, output_tokens=written, total_tokens=read + written)
