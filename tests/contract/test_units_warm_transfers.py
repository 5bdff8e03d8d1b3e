"""Warm transfers of held calls: one row, moved by whoever hears of an event; each person is called once."""

import json
from collections.abc import Sequence
from itertools import count

import pytest

from gateway.domain.call_rules import CallRules
from gateway.domain.ids import new_id
from gateway.domain.intent import CallTransferIntent, TransferMode, WarmTransfer, resolve_transfer
from gateway.domain.outcome import TransferReason, TransferState
from gateway.domain.ports.store import Tx
from gateway.domain.turn import Path
from gateway.domain.warm.held import HeldCall, NewTransfer
from gateway.domain.warm.state import Stage
from gateway.domain.warm.words import CallerGone, Event, Leg, LegEvent, Spoken, Tick
from gateway.service.call_over import end_of_call
from gateway.service.close import close
from gateway.service.erase import request_erasure
from gateway.service.warm_transfers import (
    AGAIN_SECONDS,
    begin_transfer,
    due_transfers,
    find_transfer,
    settle_work,
    take_event,
    transfer_of_call,
)
from tests.contract import scene
from tests.contract.conftest import MovableStore as Store
from tests.contract.scene import ORGANIZATION, OURS, PARTITIONS, THEIRS

ANN, BOB = "+15550112001", "+15550112002"
_calls = count(1)


class Held:
    """A caller on hold."""

    def __init__(self, store: Store, new: NewTransfer) -> None:
        self.store = store
        self.new = new
        self.id = new.id
        self.dialled: list[str] = []

    async def begin(self) -> HeldCall | None:
        """Put them on hold."""
        return self._took(await self.store.write(begin_transfer, self.new, ORGANIZATION))

    async def happens(self, event: Event, leg_id: str | None = None) -> HeldCall:
        """Something happens."""
        held = self._took(await self.store.write(take_event, self.id, event, leg_id))
        assert held is not None
        return held

    async def leg(self, event: LegEvent, attempt: int = 1, reason: TransferReason | None = None) -> HeldCall:
        """A person's leg reports."""
        return await self.happens(Leg(attempt, event, reason), f"leg-{attempt}")

    async def now(self) -> HeldCall:
        """As it stands."""
        held = await self.store.read(find_transfer, self.id)
        assert held is not None
        return held

    async def due(self) -> Sequence[str]:
        """What a timer finds."""
        return await self.store.read(due_transfers)

    async def states(self) -> list[str]:
        """What the timeline says of the transfer."""
        rows = await scene.rows(self.store, "test_timeline", id=self.new.conversation_id)
        bodies = [json.loads(row["body"]) for row in rows if row["kind"] == "intent"]
        return [body["state"] for body in bodies if body["state"] != "issued"]

    def _took(self, held: HeldCall | None) -> HeldCall | None:
        self.dialled += [dial.destination for dial in held.dials] if held is not None else []
        return held


@pytest.fixture
async def held(store: Store) -> Held:
    """The agent has asked for a transfer."""
    call_id, intent_id = f"CA{next(_calls)}", new_id()
    intent, _ = resolve_transfer(
        CallTransferIntent(
            destination=ANN,
            mode=TransferMode.WARM,
            warm_destinations=[ANN, BOB],
            warm=WarmTransfer(reassurance_text=""),
        )
    )
    payload = intent.model_dump(mode="json")
    accepted = await scene.arrive(store, scene.call("a person", call_id))
    claim = await scene.claimed(store, accepted.conversation_id)
    wanted = {"intent_id": intent_id, "kind": "transfer", "payload": payload}
    await scene.answer(
        store, claim, path=Path.HANDOFF, handoff_reason="asked", transfer=payload, intents=(wanted,)
    )
    new = NewTransfer(
        id=intent_id,
        provider="twilio",
        call_id=call_id,
        conversation_id=accepted.conversation_id,
        sender=THEIRS,
        recipient=OURS,
        proven=True,
        n=1,
        session="",
        intent=intent,
        briefing="About a refund.",
    )
    return Held(store, new)


async def test_a_transfer_begins_once(held: Held) -> None:
    """However often the webhook comes; who asks again finds it as it stands, with nothing to do."""
    begun = await held.begin()
    assert begun is not None
    assert begun.told == (WarmTransfer().hold_announcement_text,)
    await held.happens(Spoken())
    again = await held.begin()
    assert again is not None
    assert again.warm.stage is Stage.DIAL
    assert held.dialled == [ANN]
    found = await held.store.read(transfer_of_call, "twilio", held.new.call_id)
    assert found == await held.now()
    assert await held.store.read(transfer_of_call, "twilio", "CA-other") is None
    await scene.consistent(held.store, held.new.conversation_id)


async def test_dialling_is_handed_out_once(held: Held) -> None:
    """Whoever took it may be dead: the next attempt is another one."""
    await held.begin()
    await held.happens(Spoken())
    assert (await held.now()).dials == ()
    for _ in range(3):
        await held.happens(Spoken())
        await held.happens(Tick())
    assert held.dialled == [ANN]
    held.store.advance(31)
    assert await held.due() == [held.id]
    await held.happens(Tick())
    assert held.dialled == [ANN, BOB]
    assert await held.states() == ["dial", "dial"]


async def test_the_rest_is_handed_out_until_it_is_done(held: Held) -> None:
    """Notes of the transcript, legs to hang up on, the outcome."""
    begun = await held.begin()
    assert begun is not None
    assert [note.text for note in begun.notes(0)] == [f"The caller was told: {begun.told[0]}"]
    assert await held.due() == []
    held.store.advance(AGAIN_SECONDS)
    assert await held.due() == [held.id]
    taken = await held.happens(Tick())
    assert len(taken.notes(0)) == 1
    await held.store.write(settle_work, taken, frozenset())
    await held.leg(LegEvent.RINGING)
    held.store.advance(20)
    await held.happens(Tick())
    await held.leg(LegEvent.ANSWERED)
    gone = await held.happens(CallerGone())
    assert [one.attempt for one in gone.hang_ups] == [1]
    assert gone.legs == {1: "leg-1"}
    await held.store.write(settle_work, gone, frozenset())
    assert [one.attempt for one in (await held.now()).hang_ups] == [1]
    held.store.advance(AGAIN_SECONDS)
    assert await held.due() == [held.id]
    again = await held.happens(Tick())
    assert again.notes(0) == []
    await held.store.write(settle_work, again, frozenset({1}))
    held.store.advance(3600)
    assert await held.due() == []


async def test_one_end_whatever_comes_after_it(held: Held) -> None:
    """The outcome is owed once, and legs that report late are hung up on."""
    await held.begin()
    await held.happens(Spoken())
    await held.leg(LegEvent.FAILED, 1, TransferReason.NO_ANSWER)
    await held.leg(LegEvent.ANSWERED, 2)
    await held.leg(LegEvent.BRIEFED, 2)
    over = await held.leg(LegEvent.DECLINED, 2)
    assert over.warm.outcome is not None
    assert over.warm.outcome.state is TransferState.RETURNED
    assert over.notes(0)[-1].text == "Call transfer failed: declined."
    await held.store.write(settle_work, over, frozenset({2}))
    late = await held.leg(LegEvent.ACCEPTED, 2)
    assert late.notes(0) == []
    assert [one.attempt for one in late.hang_ups] == [2]
    assert (await held.leg(LegEvent.GONE, 2)).hang_ups == ()
    assert held.dialled == [ANN, BOB]
    assert await held.states() == ["dial", "dial", "brief", "confirm", "returned"]
    await scene.consistent(held.store, held.new.conversation_id)


async def test_a_closed_conversation_calls_nobody(held: Held) -> None:
    """What rings is hung up on, as soon as a timer looks."""
    await held.begin()
    await held.happens(Spoken())
    await held.leg(LegEvent.RINGING)
    await held.store.write(close, ORGANIZATION, held.new.conversation_id, "done", PARTITIONS)
    assert await held.due() == [held.id]
    canceled = await held.happens(Tick())
    assert canceled.warm.outcome is not None
    assert canceled.warm.outcome.state is TransferState.CANCELED
    assert [one.attempt for one in canceled.hang_ups] == [1]
    await scene.consistent(held.store, held.new.conversation_id)


async def test_of_somebody_who_was_erased_on_hold_nothing_is_noted(held: Held) -> None:
    """A note in their name would make a person of their number again; whoever rings is hung up on."""
    await held.begin()
    await held.happens(Spoken())
    await held.leg(LegEvent.RINGING)
    caller = (await scene.conversation(held.store, held.new.conversation_id))["end_user_id"]
    await held.store.write(request_erasure, ORGANIZATION, caller, PARTITIONS)
    gone = await held.happens(Tick())
    assert gone.notes(0) == []
    assert [one.attempt for one in gone.hang_ups] == [1]
    await held.store.write(settle_work, gone, frozenset({1}))
    assert await held.due() == []
    assert not (await held.now()).busy


async def test_the_end_of_the_call_ends_the_hold(held: Held) -> None:
    """Whoever told of it, and whether or not the conversation closes with the call."""
    await held.begin()
    await held.happens(Spoken())
    await held.leg(LegEvent.RINGING)
    rules = CallRules(closes=False)
    await held.store.write(end_of_call, ORGANIZATION, held.new.conversation_id, rules, PARTITIONS)
    assert await held.due() == [held.id]
    abandoned = await held.happens(Tick())
    assert abandoned.warm.outcome is not None
    assert abandoned.warm.outcome.state is TransferState.CALLER_ABANDONED
    assert [one.attempt for one in abandoned.hang_ups] == [1]


async def test_a_row_that_cannot_be_read_holds_up_nothing(held: Held) -> None:
    await held.begin()

    async def spoil(tx: Tx) -> None:
        await tx.run("held_save", id=held.id, held="{}", due_at=0)

    await held.store.write(spoil)
    assert await held.store.write(take_event, held.id, Tick()) is None
    assert await held.due() == []
    await held.store.write(spoil)
    await held.store.write(close, ORGANIZATION, held.new.conversation_id, "done", PARTITIONS)
    assert await held.due() == []


async def test_no_transfer_begins_in_a_conversation_that_waits_for_none(held: Held) -> None:
    await held.store.write(close, ORGANIZATION, held.new.conversation_id, "done", PARTITIONS)
    assert await held.begin() is None
    assert await held.store.write(take_event, held.id, Tick()) is None
    assert await held.due() == []


async def test_the_hold_ends_by_the_databases_clock(held: Held) -> None:
    await held.begin()
    held.store.advance(111)
    over = await held.happens(Tick())
    assert over.warm.outcome is not None
    assert over.warm.outcome.reason is TransferReason.HOLD_TIMEOUT
