"""Warm transfers of held calls: the machine's state in a row, moved by whoever hears of an event.

A unit takes the event in, stores the state and hands out what is to be done. Dialling is handed out once, so
that nobody is called twice for one attempt; the rest is handed out again until it is known to be done.
"""

from dataclasses import replace

from gateway.domain.conversation import Status
from gateway.domain.intent import IntentKind
from gateway.domain.ports.store import Row, Tx
from gateway.domain.timeline import EventKind
from gateway.domain.warm.held import (
    HeldCall,
    HeldEvent,
    NewTransfer,
    happen,
    hold,
    restored_held,
    stored_held,
)
from gateway.domain.warm.words import Event
from gateway.domain.warm.work import Done, carried_out, given_up, hopeless, offered, taken, untold
from gateway.service.timeline import append_event


async def begin_transfer(tx: Tx, new: NewTransfer, organization_id: str) -> HeldCall | None:
    """Put a caller on hold, with what is to be done; one that began before is given as it stands.

    None where the conversation does not wait for a transfer.
    """
    conversation = await tx.one("conversation_lock", organization_id=organization_id, id=new.conversation_id)
    known = await tx.one("held_by_id", id=new.id)
    if known is not None:
        return replace(restored_held(known["held"]), dials=(), recall=None)
    if conversation is None or conversation["status"] != Status.WAITING_FOR_HUMAN:
        return None
    clock = await tx.one("held_clock")
    if clock is None:
        raise AssertionError("the database tells the time")
    held = hold(new, clock["at"])
    begun = taken(held, clock["at"])
    await tx.run(
        "held_insert",
        id=held.id,
        provider=held.provider,
        call_id=held.call_id,
        organization_id=organization_id,
        conversation_id=held.conversation_id,
        held=stored_held(begun),
        due_at=_due(begun),
        holder=None,
    )
    return held


async def take_event(
    tx: Tx, transfer_id: str, event: HeldEvent, leg_id: str | None = None
) -> HeldCall | None:
    """What an event leads to, with what is to be done; None where there is no such transfer.

    `leg_id`: what the provider calls the leg that the event is of.
    """
    locked = await _lock(tx, transfer_id)
    if locked is None:
        return None
    conversation, row, before = locked
    held = happen(before, event, row["at"], leg_id)
    if not Status(conversation["status"]).terminal:
        await _show(tx, before, held)
    if conversation["archived_at"] is not None:
        held = untold(held)
    if held != before or held.busy:
        await _save(tx, taken(held, row["at"]))
    return offered(held, event, row["at"])


async def settle_work(tx: Tx, work: HeldCall, done: Done) -> bool:
    """So much of what was handed out with `work` has been carried out; whether the rest is given up."""
    locked = await _lock(tx, work.id)
    if locked is None:
        return False
    _, row, held = locked
    held = carried_out(held, work, done)
    over = hopeless(held, row["at"])
    await _save(tx, given_up(held) if over else held)
    return over


async def end_transfers(tx: Tx, conversation_id: str, why: Event) -> None:
    """The call is over, or the conversation, which is locked by this unit: nobody is called any more."""
    for unfinished in await tx.all("held_unfinished", conversation_id=conversation_id):
        row = await tx.one("held_lock", id=unfinished["id"])
        held = None if row is None else _read(row)
        if row is not None and held is not None:
            held = happen(held, why, row["at"])
            await tx.run("held_save", id=held.id, held=stored_held(held), due_at=row["at"])


async def due_transfers(tx: Tx) -> list[str]:
    """Those for which a timer has something to do."""
    return [row["id"] for row in await tx.all("held_due")]


async def give_up_unread(tx: Tx, transfer_id: str) -> bool:
    """Look no more at a transfer that this version cannot read; False where it can, or there is none."""
    row = await tx.one("held_lock", id=transfer_id)
    if row is None or _read(row) is not None:
        return False
    await tx.run("held_save", id=transfer_id, held=row["held"], due_at=None)
    return True


async def find_transfer(tx: Tx, transfer_id: str) -> HeldCall | None:
    """A transfer as it stands."""
    row = await tx.one("held_by_id", id=transfer_id)
    return None if row is None else restored_held(row["held"])


async def transfer_of_call(tx: Tx, provider: str, call_id: str) -> HeldCall | None:
    """The newest transfer of a call."""
    row = await tx.one("held_of_call", provider=provider, call_id=call_id)
    return None if row is None else restored_held(row["held"])


async def _lock(tx: Tx, transfer_id: str) -> tuple[Row, Row, HeldCall] | None:
    """The conversation and the transfer, in the order in which everybody locks them."""
    known = await tx.one("held_by_id", id=transfer_id)
    if known is None:
        return None
    conversation = await tx.one(
        "conversation_lock", organization_id=known["organization_id"], id=known["conversation_id"]
    )
    row = await tx.one("held_lock", id=transfer_id)
    held = None if row is None else _read(row)
    return None if conversation is None or row is None or held is None else (conversation, row, held)


def _read(row: Row) -> HeldCall | None:
    """The transfer of a row; None where this version cannot read it."""
    try:
        return restored_held(row["held"])
    except ValueError:
        return None


async def _save(tx: Tx, held: HeldCall) -> None:
    await tx.run("held_save", id=held.id, held=stored_held(held), due_at=_due(held))


def _due(held: HeldCall) -> int | None:
    """What is handed out comes due again also where it is not known when: at once."""
    timers = [] if held.warm.due is None else [held.warm.due]
    if held.busy:
        timers.append(held.again_at or 0)
    return min(timers, default=None)


async def _show(tx: Tx, before: HeldCall, held: HeldCall) -> None:
    """Each stage of each attempt, and the end, in the timeline of the conversation."""
    warm, outcome = held.warm, held.warm.outcome
    if (before.warm.stage, before.warm.attempt) == (warm.stage, warm.attempt):
        return
    place = {"attempt": warm.attempt, "destination_index": warm.destination_index} if warm.attempt else {}
    reason = {} if outcome is None or outcome.reason is None else {"reason": outcome.reason.value}
    body = {
        "intent_id": held.id,
        "kind": IntentKind.TRANSFER.value,
        "payload": {**place, **reason},
        "state": warm.stage.value if outcome is None else outcome.state.value,
    }
    await append_event(tx, held.conversation_id, EventKind.INTENT, body)
