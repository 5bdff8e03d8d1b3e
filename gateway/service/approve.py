"""Approvals: a turn is parked on a tool call, and exactly one decision lets it go on or ends it."""

from dataclasses import dataclass
from enum import StrEnum

from gateway.domain.agent import ApprovalDecision
from gateway.domain.clock import SECOND
from gateway.domain.conversation import Cause, Conversation, Status
from gateway.domain.envelope import Exchange
from gateway.domain.errors import ErrorCode, GatewayError
from gateway.domain.fallback import SAFE_MESSAGE
from gateway.domain.handoff import ApprovalStatus
from gateway.domain.ids import new_id
from gateway.domain.message import Author, Message, Role
from gateway.domain.ports.store import Row, Tx
from gateway.domain.timeline import EventKind
from gateway.domain.turn import DECISION_SOURCE, Claim, Path, Reply, TurnState
from gateway.service.close import conversation_ended
from gateway.service.deliver import enqueue
from gateway.service.postings import envelope, post, ring_turns
from gateway.service.status import move_status
from gateway.service.threads import newest_thread
from gateway.service.timeline import append_event, write_messages
from gateway.store.records import conversation_of, pack, unpack

DEFAULT_TIMEOUT_SECONDS = 24 * 3600


class Decision(StrEnum):
    """What a person, or the clock, decides."""

    APPROVE = "approve"
    REJECT = "reject"
    TIMEOUT = "timeout"


_STATUS = {
    Decision.APPROVE: ApprovalStatus.APPROVED,
    Decision.REJECT: ApprovalStatus.REJECTED,
    Decision.TIMEOUT: ApprovalStatus.TIMED_OUT,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """A decision with who made it and what they noted."""

    decision: Decision
    decided_by: str
    note: str | None = None


async def park(tx: Tx, claim: Claim, reply: Reply, seqs: tuple[int, ...]) -> None:
    """Keep the turn where it is and ask for a decision."""
    wanted = reply.approval or {}
    await tx.run(
        "turn_park",
        id=claim.turn_id,
        text=reply.text,
        message_seqs=pack(seqs),
    )
    approval_id = new_id()
    await tx.one("approvals_in_order", organization_id=claim.conversation.organization_id)
    await tx.run(
        "approval_insert",
        id=approval_id,
        organization_id=claim.conversation.organization_id,
        conversation_id=claim.conversation.id,
        turn_id=claim.turn_id,
        subject_ref=wanted["tool"],
        payload=pack({"tool_call_id": wanted["tool_call_id"], "arguments": wanted["arguments"]}),
        approver_role=wanted.get("approver_role"),
        suspend_message=wanted.get("suspend_message"),
        safe_message=wanted.get("safe_message"),
        on_reject=wanted.get("on_reject") or "close",
        timeout=(wanted.get("timeout_seconds") or DEFAULT_TIMEOUT_SECONDS) * SECOND,
    )
    row = await append_event(tx, claim.conversation.id, EventKind.APPROVAL, {"approval_id": approval_id})
    if claim.conversation.session_type.sandboxed:
        return
    requested = envelope(
        "approval.requested",
        {
            "conversation_id": claim.conversation.id,
            "approval_id": approval_id,
            "turn_id": claim.turn_id,
            "tool": wanted["tool"],
            "approver_role": wanted.get("approver_role"),
        },
        at=row["updated_at"],
        organization_id=claim.conversation.organization_id,
        conversation_id=claim.conversation.id,
    )
    await post(tx, Exchange.EVENTS, "approval.requested", requested)


async def decision_of(tx: Tx, turn_id: str) -> ApprovalDecision | None:
    """The decision on a parked turn, as its agent is told; None while it is pending."""
    row = await tx.one("approval_of_turn", turn_id=turn_id)
    if row is None or row["decision"] is None:
        return None
    return ApprovalDecision(
        approval_id=row["id"],
        tool_call_id=unpack(row["payload"], {})["tool_call_id"],
        decision="approve" if row["decision"] == Decision.APPROVE else "reject",
        note=row["note"],
    )


async def resolve_approval(
    tx: Tx, organization_id: str, approval_id: str, resolution: Resolution, partitions: int
) -> Row:
    """Decide; the loser of a race gets `already_resolved`. Returns the approval's row."""
    key = {"organization_id": organization_id, "id": approval_id}
    approval = await tx.one("approval_by_id", **key)
    if approval is None:
        raise GatewayError(ErrorCode.NOT_FOUND, "there is no such approval")
    locked = await tx.one(
        "conversation_lock", organization_id=organization_id, id=approval["conversation_id"]
    )
    decided = await tx.one(
        "approval_decide",
        id=approval_id,
        status=_STATUS[resolution.decision].value,
        decision="approve" if resolution.decision is Decision.APPROVE else "reject",
        decided_by=resolution.decided_by,
        note=resolution.note,
    )
    if decided is None or locked is None:
        raise GatewayError(ErrorCode.ALREADY_RESOLVED, "this approval has been decided already")
    conversation = conversation_of(locked)
    await append_event(tx, conversation.id, EventKind.APPROVAL, {"approval_id": approval_id})
    if resolution.decision is Decision.APPROVE or approval["on_reject"] == "continue":
        await _resume(tx, conversation, partitions)
    else:
        await _refuse(tx, conversation, approval, partitions)
    row = await tx.one("approval_by_id", **key)
    if row is None:
        raise AssertionError("the approval was decided in this unit")
    return row


async def _resume(tx: Tx, conversation: Conversation, partitions: int) -> None:
    """The same turn goes on, before anything newer."""
    moved = await move_status(tx, conversation, Status.ACTIVE, Cause.DECISION)
    await ring_turns(
        tx,
        organization_id=conversation.organization_id,
        conversation_id=conversation.id,
        partitions=partitions,
        at=moved["updated_at"],
    )


async def _refuse(tx: Tx, conversation: Conversation, approval: Row, partitions: int) -> None:
    """The call never runs: the safe message is the turn's answer, and the conversation closes."""
    text = approval["safe_message"] or SAFE_MESSAGE
    counted = await tx.one("conversation_add_message", id=conversation.id)
    if counted is None:
        raise AssertionError("the conversation was locked in this unit")
    message = Message(
        id=new_id(),
        conversation_id=conversation.id,
        seq=counted["message_count"] - 1,
        turn_id=approval["turn_id"],
        role=Role.ASSISTANT,
        content=text,
        author=Author.SYSTEM,
        created_at=counted["updated_at"],
        delivery_status="pending" if conversation.channel.delivers else None,
    )
    await write_messages(tx, [message], counted["event_count"] - 1)
    thread = await newest_thread(tx, conversation)
    await enqueue(tx, conversation, message, thread, at=counted["updated_at"])
    parked = await tx.one("turn_by_id", id=approval["turn_id"])
    seqs = unpack(parked["message_seqs"], []) if parked is not None else []
    await tx.run(
        "turn_finish",
        id=approval["turn_id"],
        state=TurnState.DONE.value,
        path=Path.BLOCKED.value,
        decision_source=DECISION_SOURCE[Path.BLOCKED],
        text=text,
        message_seqs=pack(seqs),
        last=message.seq,
        session_status=Status.CLOSED.value,
        ttft_ms=None,
        evidence=None,
        intents=None,
        error=None,
        error_message=None,
    )
    await tx.run("inputs_done", conversation_id=conversation.id, turn_id=approval["turn_id"])
    moved = await move_status(tx, conversation, Status.CLOSED, Cause.DECISION)
    await conversation_ended(
        tx, conversation, reason="approval rejected", at=moved["updated_at"], partitions=partitions
    )
