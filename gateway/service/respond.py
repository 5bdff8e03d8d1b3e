"""Commit what a turn produced, in one transaction and under the fencing number."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gateway.domain.consent import ConsentRules
from gateway.domain.conversation import Cause, SessionType, Status, move
from gateway.domain.errors import Braked, Fenced
from gateway.domain.fallback import Fallbacks
from gateway.domain.message import (
    Author,
    Channel,
    JsonObject,
    Message,
)
from gateway.domain.ports.store import Param, Row, Tx
from gateway.domain.simulation import Result
from gateway.domain.steps import with_facts
from gateway.domain.timeline import EventKind
from gateway.domain.turn import DECISION_SOURCE, Claim, Path, Reply, TurnOutcome, TurnState
from gateway.domain.turn_rules import NO_RULES, TurnRules
from gateway.service.approve import park
from gateway.service.attachments import attach_to_reply
from gateway.service.calls import tell_host
from gateway.service.close import conversation_ended
from gateway.service.consent import revoke_for_agent
from gateway.service.deliver import enqueue
from gateway.service.handoff import open_handoff
from gateway.service.reply_messages import contents_of, message_of_turn
from gateway.service.simulate import advance
from gateway.service.speak import speak
from gateway.service.timeline import write_event, write_messages
from gateway.service.usage import count_turn
from gateway.store.engine import at_once
from gateway.store.records import pack, unpack

_NEXT: dict[Path, tuple[Status, Cause]] = {
    Path.HANDOFF: (Status.WAITING_FOR_HUMAN, Cause.HANDOFF),
    Path.APPROVAL: (Status.AWAITING_APPROVAL, Cause.POLICY),
    Path.CLOSED_BY_AGENT: (Status.CLOSED, Cause.CLOSE),
}


@dataclass(frozen=True, slots=True)
class Finished:
    """A committed turn."""

    session_status: Status
    message_seqs: tuple[int, ...]
    more: bool
    """The lease is still held: something is pending."""


@at_once
async def finish_turn(
    tx: Tx,
    claim: Claim,
    reply: Reply,
    partitions: int,
    rules: TurnRules = NO_RULES,
) -> Finished:
    """Commit a turn: messages, record, status, deliveries and doorbells. Raises Fenced, Braked."""
    before = claim.conversation.status
    status = _status_after(claim, reply)
    parked = reply.path is Path.APPROVAL
    contents = contents_of(reply)
    intents = reply.intents if claim.conversation.channel is Channel.VOICE and not parked else ()
    events = len(contents) + len(intents) + (status is not before)
    plain = len(contents) <= 1 and not intents and _is_plain(claim, reply, rules)
    row = await commit_turn(tx, claim, status, added=len(contents), events=events, plain=plain)
    first = row["message_count"] - len(contents)
    messages = [
        message_of_turn(claim, reply, first + offset, content, newest=offset == len(reply.messages) - 1)
        for offset, content in enumerate(contents)
    ]
    for message, content in zip(messages, contents, strict=True):
        place = (message.conversation_id, message.id)
        await attach_to_reply(tx, content.attachments, claim.conversation.organization_id, place)
        if message.delivery_status is not None:
            await enqueue(tx, claim.conversation, message, claim.thread, at=_over_at(claim, reply))
    if not parked:
        await settle_inputs(tx, claim)
    await write_messages(
        tx,
        messages,
        row["event_count"] - events,
        agent_id=claim.conversation.assigned_agent_id,
    )
    await _issue(tx, claim, intents, row["event_count"] - events + len(contents))
    earlier = await earlier_messages(tx, claim)
    if not parked:
        await _record(tx, claim, reply, status, earlier, messages)
    row = await tx.known(row)
    seqs = (*earlier, *range(row["message_count"] - len(contents), row["message_count"]))
    if parked:
        await park(tx, claim, reply, seqs)
    if claim.conversation.channel is Channel.VOICE:
        outcome = replace(_outcome(claim, reply, status, seqs), intents=intents)
        await tell_host(tx, claim.conversation, outcome, row["updated_at"], reply.uttered)
    if not plain:
        await _follow(tx, claim, reply, row, partitions, rules)
    return Finished(status, seqs, more=row["lease_owner"] is not None)


async def _follow(tx: Tx, claim: Claim, reply: Reply, row: Row, partitions: int, rules: TurnRules) -> None:
    """What a turn brings with it besides its messages."""
    conversation = claim.conversation
    status = _status_after(claim, reply)
    if status is not conversation.status:
        await _follow_status(tx, claim, reply, status, row, partitions)
        if status is Status.WAITING_FOR_HUMAN:
            await _wait_for_human(tx, claim, reply, row, rules.fallbacks)
        await _hold(tx, claim, reply, status, rules.fallbacks.hold)
    await _note(tx, claim, reply, rules.consent)
    if conversation.session_type is SessionType.SIMULATION:
        result = Result(text=reply.text, path=reply.path.value, session_status=status.value)
        await advance(tx, replace(conversation, status=status), result, partitions)
    await count_turn(tx, rules.meter, reply)


async def _note(tx: Tx, claim: Claim, reply: Reply, consent: ConsentRules) -> None:
    """What a reply tells us besides what it says."""
    digest = facts = None
    if reply.digest is not None:
        digest = pack({"up_to": reply.digest.up_to, "text": reply.digest.text})
    if reply.facts:
        facts = pack(with_facts(claim.request.facts, reply.facts))
    if digest is not None or facts is not None:
        await tx.later("conversation_noted", id=claim.conversation.id, digest=digest, facts=facts)
    if reply.consent_revoked:
        await revoke_for_agent(tx, claim.conversation, claim.inputs[-1].message_id, consent)


async def _issue(tx: Tx, claim: Claim, intents: Sequence[JsonObject], first_event: int) -> None:
    """Note what a voice host has to do."""
    for place, intent in enumerate(intents):
        issued = {**intent, "state": "issued"}
        await write_event(tx, claim.conversation.id, first_event + place, EventKind.INTENT, issued)


def _status_after(claim: Claim, reply: Reply) -> Status:
    before = claim.conversation.status
    return move(before, *_NEXT[reply.path]) if reply.path in _NEXT else before


def _is_plain(claim: Claim, reply: Reply, rules: TurnRules) -> bool:
    """Whether nothing follows from the turn but its message and the delivery of it."""
    conversation = claim.conversation
    return (
        _status_after(claim, reply) is conversation.status
        and rules.meter is None
        and conversation.channel is not Channel.VOICE
        and conversation.session_type is not SessionType.SIMULATION
        and claim.request.approval is None
        and reply.digest is None
        and not reply.facts
        and not reply.consent_revoked
    )


def _over_at(claim: Claim, reply: Reply) -> int:
    """When the reply was there, µs: by the database's clock and the worker's watch."""
    return claim.started_at + (reply.latency_ms or 0) * 1000


async def _follow_status(
    tx: Tx, claim: Claim, reply: Reply, status: Status, row: Row, partitions: int
) -> None:
    """What a new status brings with it."""
    await write_event(
        tx,
        claim.conversation.id,
        row["event_count"] - 1,
        EventKind.STATUS,
        {"session_status": status.value, "previous": claim.conversation.status.value},
    )
    if status.terminal:
        await conversation_ended(
            tx, claim.conversation, reason=reply.end_reason, at=row["updated_at"], partitions=partitions
        )


async def _wait_for_human(tx: Tx, claim: Claim, reply: Reply, row: Row, fallbacks: Fallbacks) -> None:
    await open_handoff(tx, claim, reply, up_to_seq=row["message_count"] - 1)
    if fallbacks.handoff_timeout is not None:
        await tx.run(
            "handoff_deadline", conversation_id=claim.conversation.id, timeout=fallbacks.handoff_timeout
        )


async def _hold(tx: Tx, claim: Claim, reply: Reply, status: Status, text: str | None) -> None:
    """A caller at a voice host who waits now is told so, as by the sessions that hold other calls."""
    waits = status is Status.WAITING_FOR_HUMAN and reply.transfer is None
    waits = waits or (status is Status.AWAITING_APPROVAL and not reply.text)
    if waits and text and claim.line is not None:
        await speak(tx, claim.conversation, text, Author.SYSTEM)


async def earlier_messages(tx: Tx, claim: Claim) -> tuple[int, ...]:
    """The messages of the turn but those it writes now: its input, what it wrote before it was parked."""
    seqs = {i.seq for i in claim.inputs}
    if claim.request.approval is not None:
        row = await tx.one("turn_by_id", id=claim.turn_id)
        seqs |= set(unpack(row["message_seqs"], [])) if row is not None else set()
    return tuple(sorted(seqs))


async def settle_inputs(tx: Tx, claim: Claim) -> None:
    """The turn's inputs are answered."""
    await tx.later("inputs_done", conversation_id=claim.conversation.id, turn_id=claim.turn_id)


async def commit_turn(
    tx: Tx, claim: Claim, status: Status, *, added: int, events: int, plain: bool = False
) -> Row:
    """Count the turn's messages and answered inputs. Comes first: it locks the conversation."""
    lease = claim.lease
    turn: dict[str, Param] = {
        "id": lease.conversation_id,
        "worker_id": lease.worker_id,
        "fence": lease.fence,
        "turn_id": claim.turn_id,
        "added": added,
        "events": events,
    }
    if status is claim.conversation.status:
        row = await (tx.expect if plain else tx.one)("conversation_finish_turn", **turn)
    else:
        row = await tx.one(
            "conversation_finish_and_move",
            **turn,
            status=status.value,
            closed=status is Status.CLOSED,
            parked=status is Status.AWAITING_APPROVAL,
        )
    if row is None:
        held = await tx.one(
            "conversation_held", id=lease.conversation_id, worker_id=lease.worker_id, fence=lease.fence
        )
        raise Fenced(claim.turn_id) if held is None else Braked(claim.turn_id)
    return row


async def _record(
    tx: Tx, claim: Claim, reply: Reply, status: Status, earlier: Sequence[int], written: Sequence[Message]
) -> None:
    seqs = [message.seq for message in written]
    last = seqs.pop() if seqs else None
    await tx.later(
        "turn_finish",
        id=claim.turn_id,
        state=TurnState.DONE.value,
        path=reply.path.value,
        decision_source=DECISION_SOURCE[reply.path],
        text=reply.text,
        message_seqs=pack([*earlier, *seqs]),
        last=last,
        session_status=status.value,
        ttft_ms=reply.ttft_ms,
        evidence=pack(reply.evidence) if reply.evidence else None,
        intents=pack(reply.intents) if reply.intents else None,
        error=None,
        error_message=None,
    )


def _outcome(claim: Claim, reply: Reply, status: Status, seqs: tuple[int, ...]) -> TurnOutcome:
    return TurnOutcome(
        turn_id=claim.turn_id,
        conversation_id=claim.conversation.id,
        state=TurnState.DONE,
        path=reply.path,
        decision_source=DECISION_SOURCE[reply.path],
        text=reply.text,
        agent_id=claim.conversation.assigned_agent_id,
        message_seqs=seqs,
        session_status=status,
        ttft_ms=reply.ttft_ms,
        started_at=claim.started_at,
        evidence=reply.evidence,
        intents=reply.intents,
        fence=claim.lease.fence,
    )
