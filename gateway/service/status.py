"""Moves of the status table as stored: each raises the fencing number and leaves a timeline entry."""

from gateway.domain.conversation import Cause, Conversation, Status, sources
from gateway.domain.errors import InvalidTransition
from gateway.domain.ids import new_id
from gateway.domain.ports.store import Row, Tx
from gateway.domain.timeline import EventKind
from gateway.domain.turn import TurnState
from gateway.service.timeline import write_event


async def move_status(tx: Tx, conversation: Conversation, status: Status, cause: Cause) -> Row:
    """One move, or InvalidTransition. A turn that is running can no longer commit."""
    row = await tx.one(
        "conversation_move",
        id=conversation.id,
        status=status.value,
        terminal=status.terminal,
        closed=status is Status.CLOSED,
        sources=[s.value for s in sources(status, cause)],
    )
    if row is None:
        raise InvalidTransition(conversation.status, status)
    await write_event(
        tx,
        conversation.id,
        row["event_count"] - 1,
        EventKind.STATUS,
        {"session_status": status.value, "previous": conversation.status.value},
    )
    return row


async def supersede_turn(tx: Tx, moved: Row) -> None:
    """Record the running turn as superseded; its input is pending again, for the turn after."""
    turn_id = moved["turn_id"]
    if turn_id is None:
        return
    await tx.run("turn_abandon", id=turn_id, state=TurnState.SUPERSEDED.value, session_status=moved["status"])
    later = await tx.one("conversation_forget_turn", id=moved["id"], next_turn_id=new_id())
    if later is None:
        raise AssertionError("the conversation was moved in this unit")
    await tx.run("inputs_regroup", conversation_id=moved["id"], turn_id=turn_id, later=later["next_turn_id"])
    await tx.run(
        "messages_regroup", conversation_id=moved["id"], turn_id=turn_id, later=later["next_turn_id"]
    )
