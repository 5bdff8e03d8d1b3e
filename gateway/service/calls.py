"""Phone calls as conversations: what a call's events change, and what a host is told after a turn."""

from gateway.domain.clock import rfc3339
from gateway.domain.conversation import Cause, Conversation, Origin, Status
from gateway.domain.envelope import Exchange
from gateway.domain.handoff import HandoffStatus
from gateway.domain.intent import IntentKind
from gateway.domain.message import Accepted, Channel, InboundMessage, JsonObject, Message
from gateway.domain.outcome import TransferState
from gateway.domain.outgoing_call import CallState, Command
from gateway.domain.ports.store import Row, Tx
from gateway.domain.timeline import EventKind
from gateway.domain.turn import TurnOutcome, Uttered
from gateway.domain.voice import VoiceIntent, hanging_up, saying, voice_intents
from gateway.domain.wire import FactType
from gateway.service.call_intents import issue, note_intent
from gateway.service.call_keys import collects_here, expect_keys
from gateway.service.call_status import climb
from gateway.service.interrupt import speak_over
from gateway.service.postings import envelope, post, ring_call, ring_turns
from gateway.service.status import move_status
from gateway.service.timeline import append_event
from gateway.store.records import conversation_of, pack


async def apply_voice_event(
    tx: Tx, message: InboundMessage, row: Row, event: JsonObject, partitions: int
) -> None:
    """What an event of a call means for its conversation; kinds that change nothing are only recorded."""
    match event.get("kind"):
        case "call.started":
            await _remember(tx, message.provider, row, event)
            await climb(tx, conversation_of(row), Status.ACTIVE)
        case "call.ended":
            await _ended(tx, message.provider, row, event)
        case "intent.outcome":
            await _transfer_ended(tx, row, event, partitions)
        case "user.interrupted":
            await speak_over(tx, row, event, partitions)


async def _remember(tx: Tx, provider: str, row: Row, event: JsonObject) -> None:
    """The host that holds the call, so that intents find it; calls over webhooks have none."""
    await tx.run(
        "call_insert",
        provider=provider,
        call_id=event["call_id"],
        organization_id=row["organization_id"],
        conversation_id=row["id"],
        host_id=event.get("host_id"),
        transport=event.get("transport"),
        capabilities=pack(event.get("capabilities") or []),
    )


async def _ended(tx: Tx, provider: str, row: Row, event: JsonObject) -> None:
    """The call is over; a host may say where it has recorded it."""
    if event.get("call_id") is not None:
        await end_call(tx, provider, event["call_id"])
    if event.get("recording_url") is not None:
        await tx.run("conversation_recorded", id=row["id"], recording_url=event["recording_url"])


async def _transfer_ended(tx: Tx, row: Row, event: JsonObject, partitions: int) -> None:
    """Proven: the call is with the person. Anything else: the agent has the caller back.

    A host may learn of it after the call, and with it the conversation, is over: then it is only told.
    """
    conversation = conversation_of(row)
    if conversation.status.terminal:
        await _tell_transfer(tx, conversation, event, None, row)
    if conversation.status is not Status.WAITING_FOR_HUMAN:
        return
    handoff = await tx.one("handoff_open", conversation_id=conversation.id)
    if event.get("state") in (TransferState.TRANSFERRED, TransferState.TRANSFER_PRESUMED):
        moved = await move_status(tx, conversation, Status.TRANSFERRED, Cause.TRANSFER_PROVEN)
        ended = HandoffStatus.RESOLVED
    else:
        moved = await move_status(tx, conversation, Status.ACTIVE, Cause.RETURN)
        ended = HandoffStatus.CANCELLED
        if moved["answered"] < moved["last_input"]:
            await ring_turns(
                tx,
                organization_id=conversation.organization_id,
                conversation_id=conversation.id,
                partitions=partitions,
                at=moved["updated_at"],
            )
    if handoff is not None:
        await tx.run("handoff_close", id=handoff["id"], status=ended.value, assignee=None)
        await append_event(tx, conversation.id, EventKind.HANDOFF, {"handoff_id": handoff["id"]})
    await _tell_transfer(tx, conversation, event, None if handoff is None else handoff["id"], moved)


async def _tell_transfer(
    tx: Tx, conversation: Conversation, event: JsonObject, handoff_id: str | None, now: Row
) -> None:
    """How a transfer ended, for whoever listens."""
    if conversation.session_type.sandboxed:
        return
    fact = envelope(
        FactType.TRANSFER_FINISHED.value,
        {
            "conversation_id": conversation.id,
            "handoff_id": handoff_id,
            **{key: event.get(key) for key in ("call_id", "intent_id", "state", "reason", "method_used")},
            "session_status": now["status"],
        },
        at=now["updated_at"],
        organization_id=conversation.organization_id,
        conversation_id=conversation.id,
    )
    await post(tx, Exchange.EVENTS, fact.type, fact)


async def tell_host(
    tx: Tx, conversation: Conversation, outcome: TurnOutcome, at: int, uttered: Uttered | None = None
) -> None:
    """After a turn of a call that a queue host holds: what it has to say and do, in order.

    Calls over webhooks have their answer on the webhook; they have no host on the queues.
    """
    call = await _hosted(tx, conversation)
    if call is None:
        return
    by_keys = collects_here(call)
    asked: VoiceIntent | None = None
    for intent in voice_intents(outcome, call["call_id"], at, uttered):
        place = (call["host_id"], conversation.organization_id)
        if by_keys and intent.kind is IntentKind.COLLECT_DTMF:
            asked = intent
            await note_intent(tx, place[1], intent)
        else:
            await issue(tx, place[0], intent, at=at, organization_id=place[1])
    if by_keys:
        await expect_keys(tx, call, asked)


async def say_on_call(tx: Tx, conversation: Conversation, message: Message) -> None:
    """Words from outside of a turn, an operator's above all: a queue host speaks them to the caller."""
    call = await _hosted(tx, conversation)
    if call is not None:
        said = saying(call["call_id"], (message.id, conversation.id), message.content, message.created_at)
        await issue(
            tx, call["host_id"], said, at=message.created_at, organization_id=conversation.organization_id
        )


async def hang_up_call(tx: Tx, conversation: Conversation, reason: Status, at: int) -> None:
    """The conversation has ended, and not by the agent or the caller: its host lets the caller go."""
    if conversation.channel is Channel.VOICE and conversation.origin is Origin.OUTBOUND:
        await command_call(tx, conversation.id, Command.HANG_UP)
    call = await _hosted(tx, conversation)
    if call is not None:
        hung_up = hanging_up(call["call_id"], conversation.id, reason, at)
        await issue(tx, call["host_id"], hung_up, at=at, organization_id=conversation.organization_id)


async def command_call(tx: Tx, conversation_id: str, command: Command) -> None:
    """Have the provider of a call that we began told something, unless the call is over."""
    told = await tx.one(
        "outgoing_call_command",
        conversation_id=conversation_id,
        command=command.value,
        over=CallState.COMPLETED.rank,
    )
    if told is not None:
        await ring_call(
            tx,
            organization_id=told["organization_id"],
            conversation_id=conversation_id,
            at=told["rung_at"],
        )


async def _hosted(tx: Tx, conversation: Conversation) -> Row | None:
    """The conversation's call, while it is up and a host on the queues holds it."""
    if conversation.channel is not Channel.VOICE:
        return None
    call = await tx.one("call_live", conversation_id=conversation.id)
    return None if call is None or call["host_id"] is None else call


async def answer_host(
    tx: Tx, host_id: str, kind: str, data: JsonObject, *, at: int, organization_id: str
) -> None:
    """`call.accepted` or `call.refused`, to the host that announced the call."""
    told = envelope(
        "voice.event",
        {"kind": kind, **data, "at": rfc3339(at)},
        at=at,
        organization_id=organization_id,
        conversation_id=data.get("conversation_id"),
    )
    await post(tx, Exchange.VOICE, host_id, told)


async def greet_caller(tx: Tx, greeting: Accepted, text: str) -> None:
    """The first words of a call, which are a message already. A host that is told twice says them once."""
    call = await tx.one("call_live", conversation_id=greeting.conversation_id)
    if call is not None and call["host_id"] is not None:
        place = (greeting.message_id, greeting.conversation_id)
        said = saying(call["call_id"], place, text, call["at"])
        await issue(tx, call["host_id"], said, at=call["at"], organization_id=call["organization_id"])


async def end_call(tx: Tx, provider: str, call_id: str) -> None:
    """The host has let the call go."""
    await tx.one("call_end", provider=provider, call_id=call_id)
