"""What the events of a phone call change in its conversation."""

from gateway.domain.conversation import Cause, Conversation, Status
from gateway.domain.envelope import Exchange
from gateway.domain.handoff import HandoffStatus
from gateway.domain.intent import CallTransferIntent, OnFailure, WarmTransfer
from gateway.domain.message import Author, InboundMessage, JsonObject
from gateway.domain.outcome import TransferState, transfer_state
from gateway.domain.ports.store import Row, Tx
from gateway.domain.timeline import EventKind
from gateway.domain.wire import FactType
from gateway.service.call_status import climb
from gateway.service.calls import end_call, hosted
from gateway.service.interrupt import speak_over
from gateway.service.postings import envelope, post, ring_turns
from gateway.service.speak import speak
from gateway.service.status import move_status
from gateway.service.timeline import append_event
from gateway.store.records import conversation_of, pack, unpack

_UNSAID = frozenset({TransferState.FAILED, TransferState.EXPIRED, TransferState.HOST_LOST})
"""How a transfer may end without a word of its host's to the caller."""


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

    A host may learn of it after the call, and with it the conversation, is over: then it is only told. Where
    another transfer is under way (`rejected_busy`), that one's end counts.
    """
    conversation, state = conversation_of(row), transfer_state(event.get("state"))
    if conversation.status.terminal:
        await _tell_transfer(tx, conversation, event, None, row)
    if conversation.status is not Status.WAITING_FOR_HUMAN or state is TransferState.REJECTED_BUSY:
        return
    handoff = await tx.one("handoff_open", conversation_id=conversation.id)
    if state.proven:
        moved = await move_status(tx, conversation, Status.TRANSFERRED, Cause.TRANSFER_PROVEN)
        ended = HandoffStatus.RESOLVED
    else:
        moved = await move_status(tx, conversation, Status.ACTIVE, Cause.RETURN)
        ended = HandoffStatus.CANCELLED
        await _tell_caller(tx, conversation, event, handoff)
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


async def _tell_caller(tx: Tx, conversation: Conversation, event: JsonObject, handoff: Row | None) -> None:
    """A caller at a queue host hears that nobody was reached, unless the host has said so or hangs up.

    A host says it where it has called person after person (`returned`); a REFER that fails is silent.
    """
    silent = transfer_state(event.get("state")) in _UNSAID
    call = await hosted(tx, conversation) if silent else None
    if call is None or handoff is None:
        return
    turn = await tx.one("turn_by_id", id=handoff["turn_id"])
    intents = [] if turn is None else unpack(turn["intents"], [])
    wanted = next((i["payload"] for i in intents if i.get("intent_id") == event.get("intent_id")), None)
    intent = None if wanted is None else CallTransferIntent.model_validate(wanted)
    if intent is None or intent.failure_action is not OnFailure.HANGUP:
        told = (intent and intent.warm) or WarmTransfer()
        await speak(tx, conversation, told.failure_text, Author.SYSTEM)


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
