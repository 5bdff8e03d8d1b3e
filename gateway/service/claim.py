"""Claim a conversation's next turn, under its lease.

What is to be done is read from the database (rule 2), and the turn's input is fixed: what shares a
turn id is answered together, and a turn that starts over answers the same input.
"""

from typing import Any

from pydantic_core import from_json, to_json

from gateway.domain.agent import AgentIdentity, HistoryAttachment, HistoryMessage, TurnRequest
from gateway.domain.clock import rfc3339
from gateway.domain.conversation import Status
from gateway.domain.message import Author, Message, Role
from gateway.domain.ports.store import Row, Tx
from gateway.domain.turn import Claim, InputKind, LeaseRef, NotNow, TurnInput
from gateway.service.approve import decision_of
from gateway.service.brake import wait_for_release
from gateway.service.remember import memory_of
from gateway.service.threads import Mail, thread_position
from gateway.service.timeline import write_messages
from gateway.store.engine import at_once
from gateway.store.records import attachments_of, conversation_of, unpack

HISTORY = 50
"""Messages an agent is given."""
_TRIES = 3
"""How often a conversation is claimed into which others write at the same moment."""


@at_once
async def claim_turn(tx: Tx, conversation_id: str, worker_id: str) -> Claim | NotNow:
    """Take the conversation's lease and its next turn, or say why not."""
    for _ in range(_TRIES):
        claim = await _take(tx, conversation_id, worker_id, None)
        if claim is not None:
            return claim
        reason = await _why_not(tx, conversation_id)
        if reason is not None:
            return reason
    return NotNow.LEASED


@at_once
async def next_turn(tx: Tx, lease: LeaseRef) -> Claim | NotNow:
    """Look once more: what arrived meanwhile, under the lease that is still held; else let it go."""
    claim = await _take(tx, lease.conversation_id, lease.worker_id, lease.fence)
    if claim is not None:
        return claim
    await release(tx, lease)
    reason = await _why_not(tx, lease.conversation_id)
    # unless a brake was put on, the pending input was withdrawn, or the lease is another's
    return NotNow.BRAKED if reason is NotNow.BRAKED else NotNow.ANSWERED


async def release(tx: Tx, lease: LeaseRef) -> None:
    """Let go without an outcome; somebody else starts over."""
    await tx.run(
        "conversation_release", id=lease.conversation_id, worker_id=lease.worker_id, fence=lease.fence
    )


async def held_turns(tx: Tx, worker_id: str, at_most: int) -> dict[str, LeaseRef]:
    """The leases that a worker holds on conversations in which something is to be done, by conversation."""
    rows = await tx.all("turns_held", worker_id=worker_id, limit=at_most)
    return {row["id"]: LeaseRef(row["id"], worker_id, row["fence"]) for row in rows}


async def _why_not(tx: Tx, conversation_id: str) -> NotNow | None:
    """What stands in the way of the next turn; None where nothing does any more."""
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
    return NotNow.NOT_DUE if row["waits"] else None


async def _take(tx: Tx, conversation_id: str, worker_id: str, fence: int | None) -> Claim | None:
    """Bind the next turn, or the unfinished one, whose worker died or attempt failed: it starts over."""
    row = await tx.expect(
        "conversation_claim",
        {"unstarted": 0},
        id=conversation_id,
        worker_id=worker_id,
        fence=fence,
        history=HISTORY + 1,
    )
    if row is None:
        return None
    turn = await tx.expect(
        "turn_begin",
        id=row["turn_id"],
        organization_id=row["organization_id"],
        conversation_id=conversation_id,
        fence=row["fence"],
        agent_id=row["assigned_agent_id"],
        started_at=row["claimed_at"],
    )
    if turn is None:
        raise AssertionError("an upsert returns its row")
    row, turn = await tx.known(row), await tx.known(turn)
    if row["unstarted"]:
        row = await _start_inputs(tx, row)
    return await _claim(tx, row, turn, LeaseRef(conversation_id, worker_id, row["fence"]))


async def _start_inputs(tx: Tx, row: Row) -> Row:
    """API inputs become messages: question and answer stand next to each other. The row with them."""
    first = row["message_count"]
    inputs = await tx.all("inputs_to_start", conversation_id=row["id"], turn_id=row["turn_id"])
    messages = [
        Message(
            id=item["message_id"],
            conversation_id=row["id"],
            seq=first + offset,
            turn_id=row["turn_id"],
            role=Role.USER,
            content=item["text"],
            author=Author.END_USER,
            created_at=row["claimed_at"],
        )
        for offset, item in enumerate(inputs)
    ]
    await tx.run("conversation_start_inputs", id=row["id"], taken=len(inputs))
    await write_messages(tx, messages, row["event_count"])
    for message in messages:
        await tx.later("input_start", message_id=message.id, seq=message.seq)
    seqs = {message.id: message.seq for message in messages}
    listed = [
        (message_id, seqs.get(message_id, seq), *rest) for message_id, seq, *rest in from_json(row["inputs"])
    ]
    started = [(m.seq, m.role, m.content, m.author, m.created_at, None, None) for m in reversed(messages)]
    return {
        **row,
        "inputs": to_json(listed),
        "newest": to_json([*started, *from_json(row["newest"] or "[]")][: HISTORY + 1]),
        "message_count": first + len(messages),
    }


async def _claim(tx: Tx, row: Row, turn: Row, lease: LeaseRef) -> Claim:
    conversation = conversation_of(row)
    newest = from_json(row["newest"] or "[]")
    inputs = tuple(
        TurnInput(message_id, seq, InputKind(kind), reply_to, bool(stream))
        for message_id, seq, kind, reply_to, stream in from_json(row["inputs"])
    )
    seqs = [i.seq for i in inputs]
    return Claim(
        lease=lease,
        turn_id=row["turn_id"],
        attempt=turn["attempt"],
        conversation=conversation,
        inputs=inputs,
        request=TurnRequest(
            turn_id=row["turn_id"],
            conversation_id=conversation.id,
            end_user_id=conversation.end_user_id,
            channel=conversation.channel.value,
            session_type=conversation.session_type.value,
            context_variables=conversation.context_variables,
            agent=AgentIdentity(
                id=conversation.assigned_agent_id, revision_id=conversation.pinned_revision_id
            ),
            messages=[_history_message(*m) for m in reversed(newest[:HISTORY])],
            truncated=len(newest) > HISTORY,
            input=seqs,
            memory=await memory_of(tx, conversation.end_user_id) if row["has_memory"] else [],
            approval=await decision_of(tx, row["turn_id"]) if row["held_before"] else None,
            state=unpack(turn["agent_state"], None),
            facts=unpack(row["facts"], []),
            digest=unpack(row["digest"], None),
            proven=not row["unverified"],
        ),
        thread=thread_position(conversation, _newest_mail(newest, set(seqs))),
        started_at=turn["started_at"],
        shown=bool(turn["shown"]),
    )


def _newest_mail(newest: list[list[Any]], seqs: set[int]) -> Mail | None:
    """The newest of the messages that are answered, as a mail; None where there is none."""
    return next(
        (
            Mail(content, created_at, unpack(metadata, {}))
            for seq, _, content, _, created_at, _, metadata in newest
            if seq in seqs
        ),
        None,
    )


def _history_message(
    seq: int,
    role: str,
    content: str,
    authored_by: str,
    created_at: int,
    attachments: str | None,
    _metadata: str | None,
) -> HistoryMessage:
    return HistoryMessage(
        seq=seq,
        role=role,
        content=content,
        authored_by=authored_by,
        created_at=rfc3339(created_at),
        attachments=tuple(
            HistoryAttachment(id=a.id, media_type=a.media_type, size=a.size, name=a.name, url=a.url)
            for a in attachments_of(attachments)
        ),
    )
