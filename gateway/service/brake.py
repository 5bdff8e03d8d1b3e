"""Pause and resume an agent or an organisation: what waits meanwhile, and who rings afterwards.

While a pause is in force no turn of its subject is claimed or committed and nothing is sent; what comes in is
stored and waits. A bell that finds the brake on is done with, so nothing circles; lifting it rings anew.
"""

from collections.abc import Sequence

from gateway.domain.brake import Pause
from gateway.domain.clock import SECOND
from gateway.domain.conversation import SessionType
from gateway.domain.ids import new_id
from gateway.domain.message import Author, Message, Role
from gateway.domain.ports.store import Row, Tx
from gateway.domain.turn import LeaseRef
from gateway.service.due import due_lanes, due_turns
from gateway.service.timeline import write_messages

MAX_REASON = 500
"""Characters."""
_UNRUNG = 24 * 3600 * SECOND
"""Rung for are those no bell is on its way to; µs."""


async def pause(tx: Tx, organization_id: str, subject_id: str, *, by: str, reason: str | None) -> Pause:
    """Pause an agent, or the organisation by its own id; again only changes the reason."""
    row = await tx.one(
        "pause_set", subject_id=subject_id, organization_id=organization_id, reason=reason, set_by=by
    )
    if row is None:
        raise AssertionError("an upsert returns its row")
    return _pause_of(row)


async def resume(tx: Tx, subject_id: str, partitions: int) -> bool:
    """Lift a pause and ring for what has waited, a bounded number at once; the timers ring for the rest.

    False where there was none.
    """
    if not await tx.run("pause_lift", subject_id=subject_id):
        return False
    await ring_for_all(tx, partitions)
    return True


async def ring_for_all(tx: Tx, partitions: int) -> None:
    """A brake is lifted: ring for what no bell is on its way to, a bounded number at once."""
    await due_turns(tx, _UNRUNG, partitions)
    await due_lanes(tx, _UNRUNG)


async def pause_of(tx: Tx, subject_id: str) -> Pause | None:
    """The pause of an agent, or of an organisation; None where there is none."""
    row = await tx.one("pause_of", subject_id=subject_id)
    return None if row is None else _pause_of(row)


async def pauses_of(tx: Tx, organization_id: str) -> Sequence[Pause]:
    """All pauses of an organisation and its agents, the oldest first."""
    return [_pause_of(row) for row in await tx.all("pauses_of_organisation", organization_id=organization_id)]


async def paused_subjects(tx: Tx) -> frozenset[str]:
    """Every agent and organisation that is paused, for workers, which serve all."""
    return frozenset(row["subject_id"] for row in await tx.all("pauses"))


async def stopped(tx: Tx, organization_id: str, agent_id: str) -> bool:
    """Whether no turn of this agent may begin now."""
    return await tx.one("turns_stopped", organization_id=organization_id, agent_id=agent_id) is not None


async def wait_for_release(tx: Tx, conversation_id: str) -> None:
    """A brake keeps a conversation from its turn: its input waits like what comes while a person has it.

    An API input that has no place in the transcript yet gets one: whoever waits for it is told `queued`.
    """
    row = await tx.one("conversation_wait", id=conversation_id)
    if row is None or row["session_type"] == SessionType.SIMULATION:
        return
    unstarted = await tx.all("inputs_unstarted", conversation_id=conversation_id)
    if unstarted:
        await _queue(tx, conversation_id, row, unstarted)


async def _queue(tx: Tx, conversation_id: str, row: Row, inputs: Sequence[Row]) -> None:
    counted = await tx.one(
        "conversation_queue_inputs", id=conversation_id, taken=len(inputs), next_turn_id=new_id()
    )
    if counted is None:
        raise AssertionError("the conversation was locked in this unit")
    turn_id: str = counted["next_turn_id"]
    messages = [
        Message(
            id=item["message_id"],
            conversation_id=conversation_id,
            seq=seq,
            turn_id=turn_id,
            role=Role.USER,
            content=item["text"],
            author=Author.END_USER,
            created_at=0,
        )
        for seq, item in enumerate(inputs, row["message_count"])
    ]
    await write_messages(tx, messages, row["event_count"])
    for message in messages:
        await tx.run("input_queue", message_id=message.id, seq=message.seq, turn_id=turn_id)


async def set_aside(tx: Tx, lease: LeaseRef) -> None:
    """A pause has stopped a running turn: it starts over, with the same id and input, once that is lifted."""
    await tx.run(
        "conversation_set_aside", id=lease.conversation_id, worker_id=lease.worker_id, fence=lease.fence
    )


def _pause_of(row: Row) -> Pause:
    return Pause(
        subject_id=row["subject_id"], reason=row["reason"], set_by=row["set_by"], set_at=row["set_at"]
    )
