"""The end of a conversation: what follows from it once, and closing by request."""

from dataclasses import dataclass

from gateway.domain.clock import rfc3339
from gateway.domain.conversation import Cause, Conversation, SessionType, Status
from gateway.domain.envelope import Exchange
from gateway.domain.errors import ErrorCode, GatewayError
from gateway.domain.ids import new_id
from gateway.domain.message import Author, Channel, Message, Role
from gateway.domain.ports.store import Row, Tx
from gateway.domain.timeline import EventKind
from gateway.domain.turn import InputKind, TurnState
from gateway.domain.warm.words import Cancel
from gateway.service.calls import hang_up_call
from gateway.service.deliver import cancel_unsent
from gateway.service.postings import envelope, post, ring_turns
from gateway.service.status import move_status
from gateway.service.timeline import append_event, write_messages
from gateway.service.warm_transfers import end_transfers
from gateway.store.records import conversation_of, message_of, pack


@dataclass(frozen=True, slots=True)
class Ending:
    """How a conversation ends."""

    status: Status
    cause: Cause
    reason: str | None


async def end(tx: Tx, conversation: Conversation, ending: Ending, partitions: int) -> None:
    """End an open conversation that this unit has locked: nothing that runs, waits or is unsent goes on."""
    await _cancel_waits(tx, conversation.id)
    moved = await move_status(tx, conversation, ending.status, ending.cause)
    if moved["turn_id"] is not None:
        await tx.run(
            "turn_abandon",
            id=moved["turn_id"],
            state=TurnState.SUPERSEDED.value,
            session_status=ending.status.value,
        )
    await cancel_unsent(tx, conversation, at=moved["updated_at"])
    await hang_up_call(tx, conversation, ending.status, moved["updated_at"])
    if conversation.channel is Channel.VOICE:
        await end_transfers(tx, conversation.id, Cancel())
    await conversation_ended(
        tx, conversation, reason=ending.reason, at=moved["updated_at"], partitions=partitions
    )


async def _cancel_waits(tx: Tx, conversation_id: str) -> None:
    """Nobody is waited for any more; told before the end, which is the last that is told."""
    for handoff in await tx.all("handoffs_cancel", conversation_id=conversation_id):
        await append_event(tx, conversation_id, EventKind.HANDOFF, {"handoff_id": handoff["id"]})
    for approval in await tx.all("approvals_cancel", conversation_id=conversation_id):
        await append_event(tx, conversation_id, EventKind.APPROVAL, {"approval_id": approval["id"]})


async def close(
    tx: Tx, organization_id: str, conversation_id: str, reason: str | None, partitions: int
) -> Conversation:
    """Close a conversation; one that has ended already is answered unchanged."""
    row = await tx.one("conversation_lock", organization_id=organization_id, id=conversation_id)
    if row is None:
        raise GatewayError(ErrorCode.NOT_FOUND, "there is no such conversation")
    conversation = conversation_of(row)
    if conversation.status.terminal:
        return conversation
    await end(tx, conversation, Ending(Status.CLOSED, Cause.CLOSE, reason), partitions)
    closed = await tx.one("conversation_by_id", organization_id=organization_id, id=conversation_id)
    if closed is None:
        raise AssertionError("the conversation was locked in this unit")
    return conversation_of(closed)


async def conversation_ended(
    tx: Tx, conversation: Conversation, *, reason: str | None, at: int, partitions: int
) -> None:
    """What follows from every end: nobody is left unanswered; a live one is told of and summed up."""
    await _answer_elsewhere(tx, conversation, at=at, partitions=partitions)
    if conversation.session_type is SessionType.SIMULATION:
        await tx.run("simulation_finish", conversation_id=conversation.id)
    if conversation.session_type is not SessionType.LIVE:
        return
    await tx.run(
        "closing_insert", conversation_id=conversation.id, organization_id=conversation.organization_id
    )
    ended = envelope(
        "conversation.closed",
        {
            "conversation_id": conversation.id,
            "channel": conversation.channel.value,
            "session_type": conversation.session_type.value,
            "reason": reason,
            "ended_at": rfc3339(at),
        },
        at=at,
        organization_id=conversation.organization_id,
        conversation_id=conversation.id,
    )
    await post(tx, Exchange.EVENTS, "conversation.closed", ended)


async def _answer_elsewhere(tx: Tx, conversation: Conversation, *, at: int, partitions: int) -> None:
    """Messages still queued stay recorded; on SMS and mail they open the next conversation."""
    left = await tx.all("inputs_left", conversation_id=conversation.id)
    await tx.run("inputs_drop", conversation_id=conversation.id)
    await tx.run("conversation_drop_inputs", id=conversation.id)
    if not left or not conversation.channel.delivers or conversation.session_type is SessionType.SIMULATION:
        return
    successor = await _successor(tx, conversation)
    for row in left:
        await _carry_over(tx, successor, row)
    await ring_turns(
        tx,
        organization_id=conversation.organization_id,
        conversation_id=successor,
        partitions=partitions,
        at=at,
    )


async def _successor(tx: Tx, conversation: Conversation) -> str:
    successor = new_id()
    await tx.run(
        "conversation_insert_after",
        id=successor,
        previous=conversation.id,
        metadata=pack({"previous_conversation_id": conversation.id}),
    )
    return successor


async def _carry_over(tx: Tx, successor: str, row: Row) -> None:
    counted = await tx.one("conversation_add_input", id=successor, next_turn_id=new_id(), window=0, files=0)
    if counted is None:
        raise AssertionError("the successor was begun in this unit")
    message_id = new_id()
    seq = counted["message_count"] - 1
    await write_messages(
        tx,
        [
            Message(
                id=message_id,
                conversation_id=successor,
                seq=seq,
                turn_id=counted["next_turn_id"],
                role=Role.USER,
                content=row["content"],
                author=Author.END_USER,
                created_at=0,
                metadata=message_of(row).metadata,
                attachments=message_of(row).attachments,
            )
        ],
        counted["event_count"] - 1,
    )
    await tx.run(
        "input_insert",
        message_id=message_id,
        conversation_id=successor,
        number=counted["last_input"],
        kind=InputKind.CHANNEL.value,
        seq=seq,
        text=None,
        reply_to=None,
        stream=False,
        turn_id=counted["next_turn_id"],
    )
