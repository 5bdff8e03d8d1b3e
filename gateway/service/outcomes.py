"""How the turn of an input goes, for whoever waits for it."""

from enum import StrEnum

from gateway.domain.conversation import Status
from gateway.domain.ports.store import Tx
from gateway.domain.turn import Path, TurnOutcome, TurnState
from gateway.service.submit import Submitted
from gateway.store.records import outcome_of

_BY_POLICY = frozenset({Status.AWAITING_APPROVAL, Status.PAUSED, Status.ACTIVE})
"""Where no person is the reason that input waits; an active one waits for a brake."""


class Progress(StrEnum):
    """Where an input is while no turn row tells."""

    WAITING = "waiting"
    """Its turn has not begun."""
    GONE = "gone"
    """It was withdrawn, or its conversation ended before its turn."""


async def progress(tx: Tx, conversation_id: str, message_id: str) -> TurnOutcome | Progress:
    """How the turn of an input goes: its row, or that it has none yet, or never will."""
    row = await tx.one("turn_of_message", message_id=message_id)
    if row is not None:
        status = Status(row["conversation_status"])
        if row["set_aside"]:
            return _queued_outcome(
                row["conversation_id"], row["id"], row["message_seq"], status, row["started_at"]
            )
        return outcome_of(row, status)
    waiting = await tx.one("input_by_message", message_id=message_id)
    if waiting is None:
        return Progress.GONE
    status = Status(waiting["status"])
    if waiting["seq"] is None or (status.runs_turns and not waiting["braked"]):
        return Progress.WAITING
    return _queued_outcome(
        waiting["conversation_id"], waiting["turn_id"], waiting["seq"], status, waiting["accepted_at"]
    )


def queued(submitted: Submitted) -> TurnOutcome | None:
    """The answer to an input that was queued; None where its turn is to be awaited."""
    if submitted.queued_seq is None:
        return None
    conversation = submitted.conversation
    return _queued_outcome(
        conversation.id,
        submitted.turn_id,
        submitted.queued_seq,
        conversation.status,
        conversation.updated_at,
    )


def _queued_outcome(conversation_id: str, turn_id: str, seq: int, status: Status, at: int) -> TurnOutcome:
    """Path `queued`: a person, a decision or a brake has the conversation, and a later turn will answer."""
    return TurnOutcome(
        turn_id=turn_id,
        conversation_id=conversation_id,
        state=TurnState.DONE,
        path=Path.QUEUED,
        decision_source="policy" if status in _BY_POLICY else "operator",
        text="",
        agent_id=None,
        message_seqs=(seq,),
        session_status=status,
        ttft_ms=None,
        started_at=at,
    )


async def message_of_receipt(
    tx: Tx, organization_id: str, provider: str, provider_message_id: str
) -> tuple[str, str] | None:
    """(conversation, message) that a provider's message became."""
    row = await tx.one(
        "receipt_accepted",
        organization_id=organization_id,
        provider=provider,
        provider_message_id=provider_message_id,
    )
    if row is None or row["conversation_id"] is None:
        return None
    return row["conversation_id"], row["message_id"]
