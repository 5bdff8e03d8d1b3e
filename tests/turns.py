"""Turns for tests: put to agents, and what comes of them."""

from collections.abc import Sequence
from typing import Any, Literal

from gateway.domain.agent import AgentIdentity, ApprovalDecision, HistoryMessage, TurnRequest
from gateway.domain.conversation import Status
from gateway.domain.errors import ErrorCode
from gateway.domain.message import Author, Message, Role
from gateway.domain.turn import Path, TurnOutcome, TurnState


def turn_of(
    *texts: str,
    channel: str = "api",
    role: str = "user",
    decision: Literal["approve", "reject"] | None = None,
    tool_call_id: str = "refund-turn-1",
) -> TurnRequest:
    """A turn that answers all `texts`, after one earlier exchange."""
    earlier = [_message(0, "user", "I want a refund, bye"), _message(1, "assistant", "You said: that")]
    asked = [_message(seq, role, text) for seq, text in enumerate(texts, start=2)]
    approval = decision and ApprovalDecision(
        approval_id="approval-1", tool_call_id=tool_call_id, decision=decision, note="fine"
    )
    return TurnRequest(
        turn_id="turn-1",
        conversation_id="conversation-1",
        end_user_id="user-1",
        channel=channel,
        session_type="live",
        context_variables={"plan": "gold"},
        agent=AgentIdentity(id="agent-1", revision_id="revision-1"),
        messages=[*earlier, *asked],
        input=[message.seq for message in asked],
        approval=approval,
    )


def _message(seq: int, role: str, text: str) -> HistoryMessage:
    author = "agent" if role == "assistant" else "end_user"
    return HistoryMessage(
        seq=seq, role=role, content=text, authored_by=author, created_at="2026-01-01T00:00:00.000000Z"
    )


def outcome(
    text: str = "",
    *,
    path: Path | None = Path.SINGLE,
    status: Status = Status.ACTIVE,
    state: TurnState = TurnState.DONE,
    error: ErrorCode | None = None,
    intents: Sequence[dict[str, Any]] = (),
    seqs: Sequence[int] = (1,),
) -> TurnOutcome:
    """A turn's outcome."""
    return TurnOutcome(
        turn_id="0190a000-0000-7000-8000-000000000001",
        conversation_id="0190a000-0000-7000-8000-000000000002",
        state=state,
        path=path,
        decision_source=None,
        text=text,
        agent_id=None,
        message_seqs=tuple(seqs),
        session_status=status,
        ttft_ms=None,
        started_at=0,
        error=error,
        intents=tuple(intents),
    )


def spoken(seq: int, content: str, *, turn_id: str | None = None, **more: Any) -> Message:
    """What a person says to a caller."""
    return Message(
        id=f"m{seq}",
        conversation_id="c",
        seq=seq,
        turn_id=turn_id,
        role=Role.ASSISTANT,
        content=content,
        author=Author.HUMAN_OPERATOR,
        created_at=0,
        **more,
    )
