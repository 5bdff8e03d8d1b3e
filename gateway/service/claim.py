"""Claim a conversation's next turn, under its lease.

What is to be done is read from the database (rule 2), and the turn's input is fixed: what shares a
turn id is answered together, and a turn that starts over answers the same input.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.domain.agent import (
    AgentIdentity,
    ApprovalDecision,
    HistoryAttachment,
    HistoryMessage,
    TurnRequest,
)
from gateway.domain.clock import rfc3339
from gateway.domain.conversation import Status
from gateway.domain.message import Author, JsonObject, Message, Role
from gateway.domain.ports import Row, Tx
from gateway.domain.turn import Claim, InputKind, LeaseRef, NotNow, TurnInput
from gateway.service.approve import decision_of
from gateway.service.brake import wait_for_release
from gateway.service.remember import memory_of
from gateway.service.threads import thread_position
from gateway.service.timeline import write_messages
from gateway.store.records import conversation_of, message_of, unpack

HISTORY = 50
"""Messages an agent is given."""


async def claim_turn(tx: Tx, conversation_id: str, worker_id: str) -> Claim | NotNow:
    """Take the conversation's lease and its next turn, or say why not."""
    row = await tx.one("conversation_claim", id=conversation_id, worker_id=worker_id)
    if row is None:
        return await _why_not(tx, conversation_id)
    return await _take(tx, row, worker_id)


async def next_turn(tx: Tx, lease: LeaseRef) -> Claim | NotNow:
    """Look once more: what arrived meanwhile, under the lease that is still held; else let it go."""
    row = await tx.one(
        "conversation_still", id=lease.conversation_id, worker_id=lease.worker_id, fence=lease.fence
    )
    if row is None:
        await release(tx, lease)
        reason = await _why_not(tx, lease.conversation_id)
        # unless a brake was put on, the pending input was withdrawn, or the lease is another's
        return NotNow.BRAKED if reason is NotNow.BRAKED else NotNow.ANSWERED
    return await _take(tx, row, lease.worker_id)


async def release(tx: Tx, lease: LeaseRef) -> None:
    """Let go without an outcome; somebody else starts over."""
    await tx.run(
        "conversation_release", id=lease.conversation_id, worker_id=lease.worker_id, fence=lease.fence
    )


async def _why_not(tx: Tx, conversation_id: str) -> NotNow:
    row = await tx.one("conversation_claimable", id=conversation_id)
    if row is None or row["answered"] >= row["last_input"]:
        return NotNow.ANSWERED
    if not Status(row["status"]).runs_turns:
        return NotNow.NO_TURNS
    if row["braked"]:
        await wait_for_release(tx, conversation_id)
        return NotNow.BRAKED
    if row["leased"]:
        return NotNow.LEASED
    return NotNow.NOT_DUE if row["waits"] else NotNow.LEASED


async def _take(tx: Tx, row: Row, worker_id: str) -> Claim | NotNow:
    lease = LeaseRef(row["id"], worker_id, row["fence"])
    if row["turn_id"] is not None:
        return await _take_again(tx, row, lease)
    inputs = await tx.all("inputs_next", conversation_id=row["id"])
    if not inputs:
        raise AssertionError("a conversation with pending input has input rows")
    turn_id: str = inputs[0]["turn_id"]
    unstarted = [i for i in inputs if i["seq"] is None]
    seqs = await _start_inputs(tx, row, unstarted) if unstarted else {}
    taken = _Taken(
        turn_id, 1, row["claimed_at"], _inputs(inputs, seqs), row["message_count"] + len(unstarted)
    )
    claim = await _claim(tx, row, lease, taken)
    await tx.later(
        "conversation_start_turn",
        id=row["id"],
        worker_id=worker_id,
        fence=lease.fence,
        turn_id=turn_id,
        taken=len(unstarted),
    )
    await tx.later(
        "turn_insert",
        id=turn_id,
        organization_id=row["organization_id"],
        conversation_id=row["id"],
        fence=lease.fence,
        agent_id=row["assigned_agent_id"],
        started_at=row["claimed_at"],
    )
    return claim


async def _take_again(tx: Tx, row: Row, lease: LeaseRef) -> Claim:
    """A turn whose worker died, or whose attempt failed, starts over with the same input."""
    turn = await tx.one("turn_again", id=row["turn_id"], fence=lease.fence)
    if turn is None:
        raise AssertionError("a conversation's unfinished turn exists")
    inputs = await tx.all("inputs_of_turn", conversation_id=row["id"], turn_id=turn["id"])
    taken = _Taken(
        turn["id"],
        turn["attempt"],
        turn["started_at"],
        _inputs(inputs, {}),
        row["message_count"],
        shown=bool(turn["shown"]),
        state=unpack(turn["agent_state"], None),
    )
    return await _claim(tx, row, lease, taken, await decision_of(tx, turn["id"]))


@dataclass(frozen=True, slots=True)
class _Taken:
    turn_id: str
    attempt: int
    started_at: int
    inputs: tuple[TurnInput, ...]
    message_count: int
    shown: bool = False
    state: JsonObject | None = None


def _inputs(rows: Sequence[Row], seqs: dict[str, int]) -> tuple[TurnInput, ...]:
    return tuple(
        TurnInput(
            row["message_id"],
            row["seq"] if row["seq"] is not None else seqs[row["message_id"]],
            InputKind(row["kind"]),
            row["reply_to"],
            bool(row["stream"]),
        )
        for row in rows
    )


async def _start_inputs(tx: Tx, row: Row, inputs: Sequence[Row]) -> dict[str, int]:
    """API inputs become messages: question and answer stand next to each other."""
    first = row["message_count"]
    messages = [
        Message(
            id=item["message_id"],
            conversation_id=row["id"],
            seq=first + offset,
            turn_id=item["turn_id"],
            role=Role.USER,
            content=item["text"],
            author=Author.END_USER,
            created_at=0,
        )
        for offset, item in enumerate(inputs)
    ]
    await write_messages(tx, messages, row["event_count"])
    for message in messages:
        await tx.later("input_start", message_id=message.id, seq=message.seq)
    return {message.id: message.seq for message in messages}


async def _claim(
    tx: Tx, row: Row, lease: LeaseRef, taken: _Taken, approval: ApprovalDecision | None = None
) -> Claim:
    conversation = conversation_of(row)
    rows = await tx.all(
        "messages_recent",
        conversation_id=conversation.id,
        before=taken.message_count,
        limit=HISTORY + 1,
    )
    history = [message_of(r) for r in reversed(rows)]
    truncated = len(history) > HISTORY
    history = history[-HISTORY:]
    seqs = [i.seq for i in taken.inputs]
    return Claim(
        lease=lease,
        turn_id=taken.turn_id,
        attempt=taken.attempt,
        conversation=conversation,
        inputs=taken.inputs,
        request=TurnRequest.model_construct(
            protocol=1,
            turn_id=taken.turn_id,
            conversation_id=conversation.id,
            end_user_id=conversation.end_user_id,
            channel=conversation.channel.value,
            session_type=conversation.session_type.value,
            context_variables=conversation.context_variables,
            agent=AgentIdentity.model_construct(
                id=conversation.assigned_agent_id, revision_id=conversation.pinned_revision_id
            ),
            messages=[_history_message(m) for m in history],
            truncated=truncated,
            input=seqs,
            memory=await memory_of(tx, conversation.end_user_id) if row["has_memory"] else [],
            approval=approval,
            state=taken.state,
            facts=unpack(row["facts"], []),
            digest=unpack(row["digest"], None),
            proven=not row["unverified"],
        ),
        thread=thread_position(conversation, [m for m in history if m.seq in set(seqs)]),
        started_at=taken.started_at,
        shown=taken.shown,
    )


def _history_message(message: Message) -> HistoryMessage:
    return HistoryMessage(
        seq=message.seq,
        role=message.role.value,
        content=message.heard,
        authored_by=message.author.value,
        created_at=rfc3339(message.created_at),
        attachments=tuple(
            HistoryAttachment(id=a.id, media_type=a.media_type, size=a.size, name=a.name, url=a.url)
            for a in message.attachments
        ),
    )
