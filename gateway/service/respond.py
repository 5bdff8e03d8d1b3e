"""Commit what a turn produced, in one transaction and under the fencing number; or record that it failed."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from gateway.domain.clock import SECOND
from gateway.domain.consent import ConsentRules
from gateway.domain.conversation import Cause, SessionType, Status, move
from gateway.domain.errors import Braked, ErrorCode, Fenced
from gateway.domain.fallback import NO_FALLBACKS, Fallbacks
from gateway.domain.ids import new_id
from gateway.domain.message import (
    Attachment,
    Author,
    Channel,
    JsonObject,
    Message,
    ReplyAttachment,
    Role,
    ToolCall,
)
from gateway.domain.ports import Row, Tx
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
from gateway.service.dead import bury_turn
from gateway.service.deliver import enqueue
from gateway.service.handoff import open_handoff
from gateway.service.simulate import advance
from gateway.service.speak import speak
from gateway.service.timeline import write_event, write_messages
from gateway.service.usage import count_turn
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


async def finish_turn(
    tx: Tx,
    claim: Claim,
    reply: Reply,
    partitions: int,
    rules: TurnRules = NO_RULES,
) -> Finished:
    """Commit a turn: messages, record, status, deliveries and doorbells. Raises Fenced, Braked."""
    before = claim.conversation.status
    status = move(before, *_NEXT[reply.path]) if reply.path in _NEXT else before
    parked = reply.path is Path.APPROVAL
    contents = _contents(reply)
    intents = reply.intents if claim.conversation.channel is Channel.VOICE and not parked else ()
    events = len(contents) + len(intents) + (status is not before)
    row = await _commit(tx, claim, status, added=len(contents), events=events)
    first = row["message_count"] - len(contents)
    messages = [
        _message(claim, reply, first + offset, content, newest=offset == len(reply.messages) - 1)
        for offset, content in enumerate(contents)
    ]
    for message, content in zip(messages, contents, strict=True):
        place = (message.conversation_id, message.id)
        await attach_to_reply(tx, content.attachments, claim.conversation.organization_id, place)
        if message.delivery_status is not None:
            await enqueue(tx, claim.conversation, message, claim.thread, at=row["updated_at"])
    if not parked:
        await _settle_inputs(tx, claim)
    await write_messages(
        tx,
        messages,
        row["event_count"] - events,
        agent_id=claim.conversation.assigned_agent_id,
    )
    for number, intent in enumerate(intents, row["event_count"] - events + len(contents)):
        issued = {**intent, "state": "issued"}
        await write_event(tx, claim.conversation.id, number, EventKind.INTENT, issued)
    seqs = await _seqs(tx, claim, messages)
    if parked:
        await park(tx, claim, reply, seqs)
    else:
        await _record(tx, claim, reply, status, seqs)
        outcome = _outcome(claim, reply, status, seqs)
        await tell_host(tx, claim.conversation, outcome, row["updated_at"])
    if status is not before:
        await _follow(tx, claim, reply, status, row, partitions)
        if status is Status.WAITING_FOR_HUMAN:
            await _wait_for_human(tx, claim, reply, row, rules.fallbacks)
    await _note(tx, claim, reply, rules.consent)
    if claim.conversation.session_type is SessionType.SIMULATION:
        result = Result(text=reply.text, path=reply.path.value, session_status=status.value)
        await advance(tx, replace(claim.conversation, status=status), result, partitions)
    await count_turn(tx, rules.meter, reply)
    return Finished(status, seqs, more=row["lease_owner"] is not None)


async def _note(tx: Tx, claim: Claim, reply: Reply, consent: ConsentRules) -> None:
    """What a reply tells us besides what it says."""
    if reply.digest is not None:
        kept = pack({"up_to": reply.digest.up_to, "text": reply.digest.text})
        await tx.later("conversation_digest", id=claim.conversation.id, digest=kept)
    if reply.facts:
        facts = pack(with_facts(claim.request.facts, reply.facts))
        await tx.later("conversation_facts", id=claim.conversation.id, facts=facts)
    if reply.consent_revoked:
        await revoke_for_agent(tx, claim.conversation, claim.inputs[-1].message_id, consent)


async def _follow(tx: Tx, claim: Claim, reply: Reply, status: Status, row: Row, partitions: int) -> None:
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


async def _seqs(tx: Tx, claim: Claim, written: Sequence[Message] = ()) -> tuple[int, ...]:
    """Every message of the turn: its input, what it wrote before it was parked, what it wrote now."""
    seqs = {i.seq for i in claim.inputs} | {m.seq for m in written}
    if claim.request.approval is not None:
        row = await tx.one("turn_by_id", id=claim.turn_id)
        seqs |= set(unpack(row["message_seqs"], [])) if row is not None else set()
    return tuple(sorted(seqs))


async def _settle_inputs(tx: Tx, claim: Claim) -> None:
    await tx.later("inputs_done", conversation_id=claim.conversation.id, turn_id=claim.turn_id)


async def _commit(tx: Tx, claim: Claim, status: Status, *, added: int, events: int) -> Row:
    """Count the turn's messages and answered inputs. Comes first: it locks the conversation."""
    row = await tx.one(
        "conversation_finish_turn",
        id=claim.conversation.id,
        worker_id=claim.lease.worker_id,
        fence=claim.lease.fence,
        turn_id=claim.turn_id,
        added=added,
        events=events,
        status=status.value,
        closed=status is Status.CLOSED,
        parked=status is Status.AWAITING_APPROVAL,
    )
    if row is None:
        lease = claim.lease
        held = await tx.one(
            "conversation_held", id=lease.conversation_id, worker_id=lease.worker_id, fence=lease.fence
        )
        raise Fenced(claim.turn_id) if held is None else Braked(claim.turn_id)
    return row


@dataclass(frozen=True, slots=True)
class _Content:
    """A row a reply becomes."""

    role: Role
    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    attachments: tuple[ReplyAttachment, ...] = ()

    def shown(self) -> tuple[Attachment, ...]:
        """The attachments as everybody knows them."""
        return tuple(one.shown for one in self.attachments)


def _contents(reply: Reply) -> list[_Content]:
    """The agent's messages, and a notice where control goes to a person."""
    contents = [_Content(Role.ASSISTANT, m.text, m.tool_calls, m.attachments) for m in reply.messages]
    if reply.path is Path.HANDOFF:
        reason = f": {reply.handoff_reason}" if reply.handoff_reason else ""
        contents.append(_Content(Role.SYSTEM, f"The conversation was handed to a person{reason}"))
    return contents


def _message(claim: Claim, reply: Reply, seq: int, content: _Content, *, newest: bool) -> Message:
    spoken = content.role is Role.ASSISTANT
    delivered = spoken and bool(content.text) and claim.conversation.channel.delivers
    return Message(
        id=new_id(),
        conversation_id=claim.conversation.id,
        seq=seq,
        turn_id=claim.turn_id,
        role=content.role,
        content=content.text,
        author=Author.AGENT if spoken else Author.SYSTEM,
        created_at=0,
        tool_calls=content.tool_calls,
        model_used=reply.model_used if spoken else None,
        input_tokens=reply.input_tokens if newest else None,
        output_tokens=reply.output_tokens if newest else None,
        latency_ms=reply.latency_ms if spoken else None,
        delivery_status="pending" if delivered else None,
        attachments=content.shown(),
        evidence=reply.evidence if spoken else (),
        metadata=_told_of(reply, content),
    )


def _told_of(reply: Reply, content: _Content) -> JsonObject:
    """What a client may want to know of a message besides."""
    told: JsonObject = {}
    if content.attachments:
        told["attachments"] = [asdict(one) for one in content.shown()]
    if content.role is Role.ASSISTANT and reply.policies:
        told["policies"] = list(reply.policies)
    return told


async def _record(tx: Tx, claim: Claim, reply: Reply, status: Status, seqs: tuple[int, ...]) -> None:
    await tx.later(
        "turn_finish",
        id=claim.turn_id,
        state=TurnState.DONE.value,
        path=reply.path.value,
        decision_source=DECISION_SOURCE[reply.path],
        text=reply.text,
        message_seqs=pack(seqs),
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
    )


async def postpone_turn(tx: Tx, claim: Claim, delay_seconds: int) -> None:
    """The attempt failed and will be repeated with the same turn id: let the lease go until then.

    Due half a second early, so that the doorbell's retry finds it due.
    """
    changed = await tx.run(
        "conversation_postpone_turn",
        id=claim.conversation.id,
        worker_id=claim.lease.worker_id,
        fence=claim.lease.fence,
        delay=delay_seconds * SECOND - SECOND // 2,
    )
    if not changed:
        raise Fenced(claim.turn_id)


async def fail_turn(
    tx: Tx,
    claim: Claim,
    error: ErrorCode,
    reason: str,
    partitions: int,
    fallbacks: Fallbacks = NO_FALLBACKS,
) -> Finished:
    """The turn is over without an answer: its input stays in the transcript, and the next turn may run.

    A turn that nobody waits for and that has used up its attempts becomes a dead letter, and the end user
    is told what is configured for that. Raises Fenced, Braked.
    """
    row = await _commit(tx, claim, claim.conversation.status, added=0, events=0)
    await _settle_inputs(tx, claim)
    seqs = await _seqs(tx, claim)
    state = TurnState.FAILED if claim.tells_caller else TurnState.DEAD
    await tx.later(
        "turn_finish",
        id=claim.turn_id,
        state=state.value,
        path=None,
        decision_source=None,
        text="",
        message_seqs=pack(seqs),
        session_status=claim.conversation.status.value,
        ttft_ms=None,
        evidence=None,
        intents=None,
        error=error.value,
        error_message=reason,
    )
    if state is TurnState.DEAD:
        await bury_turn(tx, claim, reason)
        if fallbacks.failure_text is not None:
            await speak(tx, claim.conversation, fallbacks.failure_text, Author.SYSTEM)
    if claim.conversation.session_type is SessionType.SIMULATION:
        failed = Result(text="", path=None, session_status=claim.conversation.status.value, error=error.value)
        await advance(tx, claim.conversation, failed, partitions)
    return Finished(claim.conversation.status, seqs, more=row["lease_owner"] is not None)
