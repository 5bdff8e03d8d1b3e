"""Warm transfers of held calls: one row, moved by whoever hears of an event; each person is called once."""

import pytest

from gateway.domain.call_rules import CallRules
from gateway.domain.ids import new_id
from gateway.domain.intent import WarmTransfer
from gateway.domain.outcome import TransferReason, TransferState
from gateway.domain.ports.store import Tx
from gateway.domain.warm.held import CallerWaits
from gateway.domain.warm.state import Stage
from gateway.domain.warm.words import CallerGone, LegEvent, Spoken, Tick
from gateway.domain.warm.work import AGAIN_SECONDS, Done
from gateway.service.call_over import end_of_call
from gateway.service.close import close
from gateway.service.erase import request_erasure
from gateway.service.warm_transfers import give_up_unread, settle_work, take_event, transfer_of_call
from tests.contract import scene
from tests.contract.conftest import MovableStore as Store
from tests.contract.on_hold import ANN, BOB, Held, wanted
from tests.contract.scene import ORGANIZATION, PARTITIONS

NOTED = Done(noted=True)


@pytest.fixture
async def held(store: Store) -> Held:
    """The agent has asked for a transfer."""
    return Held(store, await wanted(store))


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
    await held.store.write(settle_work, taken, NOTED)
    await held.leg(LegEvent.RINGING)
    held.store.advance(20)
    await held.happens(Tick())
    await held.leg(LegEvent.ANSWERED)
    gone = await held.happens(CallerGone())
    assert [one.attempt for one in gone.hang_ups] == [1]
    assert gone.legs == {1: "leg-1"}
    await held.store.write(settle_work, gone, NOTED)
    assert [one.attempt for one in (await held.now()).hang_ups] == [1]
    held.store.advance(AGAIN_SECONDS)
    assert await held.due() == [held.id]
    again = await held.happens(Tick())
    assert again.notes(0) == []
    await held.store.write(settle_work, again, Done(noted=True, hung_up=frozenset({1})))
    held.store.advance(3600)
    assert await held.due() == []


async def test_a_leg_that_becomes_known_while_nobody_could_hang_up_on_it_is_not_forgotten(held: Held) -> None:
    """The caller has left before the call to the person had a name: nothing was done about it then."""
    await held.begin()
    await held.happens(Spoken())
    gone = await held.happens(CallerGone())
    assert ([one.attempt for one in gone.hang_ups], gone.legs) == ([1], {})
    late = await held.leg(LegEvent.RINGING)
    assert ([one.attempt for one in late.hang_ups], late.legs) == ([1], {1: "leg-1"})
    await held.store.write(settle_work, gone, Done(noted=True, hung_up=frozenset({1})))
    assert [one.attempt for one in (await held.now()).hang_ups] == [1]
    await held.store.write(settle_work, late, Done(noted=True, hung_up=frozenset({1})))
    held.store.advance(AGAIN_SECONDS)
    assert await held.due() == []


async def test_who_was_sent_to_a_person_that_is_gone_is_called_back_until_it_is_done(held: Held) -> None:
    """They would wait alone: nothing else reaches a caller who asks no more."""
    await held.begin()
    await held.happens(Spoken())
    for event in (LegEvent.ANSWERED, LegEvent.BRIEFED, LegEvent.ACCEPTED):
        await held.leg(event)
    sent = await held.happens(CallerWaits())
    assert (sent.waits, sent.recall) == (True, None)
    left = await held.leg(LegEvent.GONE)
    assert (left.waits, left.recall) == (False, 1)
    assert left.told[left.recall :] == (WarmTransfer().retry_announcement_text,)
    assert (await held.leg(LegEvent.RINGING, 2)).recall is None  # somebody is at it
    await held.store.write(settle_work, left, NOTED)
    held.store.advance(AGAIN_SECONDS)
    assert await held.due() == [held.id]
    again = await held.happens(Tick())
    assert again.recall == 1
    await held.store.write(settle_work, again, Done(noted=True, recalled=True))
    assert not (await held.now()).busy


async def test_who_listens_to_music_is_called_back_when_their_conversation_is_closed(held: Held) -> None:
    await held.begin()
    await held.happens(Spoken())
    await held.happens(CallerWaits())
    assert (await held.leg(LegEvent.RINGING)).recall is None  # nothing new for them
    await held.store.write(close, ORGANIZATION, held.new.conversation_id, "done", PARTITIONS)
    assert await held.due() == [held.id]
    assert (await held.happens(Tick())).recall == 1


@pytest.mark.parametrize("event", [LegEvent.BRIDGED, None])
async def test_who_is_with_the_person_or_gone_is_not_called_back(held: Held, event: LegEvent | None) -> None:
    await held.begin()
    await held.happens(Spoken())
    for one in (LegEvent.ANSWERED, LegEvent.BRIEFED, LegEvent.ACCEPTED):
        await held.leg(one)
    await held.happens(CallerWaits())
    over = await (held.happens(CallerGone()) if event is None else held.leg(event))
    assert over.recall is None
    assert (await held.leg(LegEvent.GONE)).recall is None


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
    await held.store.write(settle_work, over, Done(noted=True, hung_up=frozenset({2})))
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
    await held.store.write(settle_work, gone, Done(noted=True, hung_up=frozenset({1})))
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

    assert not await held.store.write(give_up_unread, held.id)
    await held.store.write(spoil)
    assert await held.store.write(take_event, held.id, Tick()) is None
    await held.store.write(close, ORGANIZATION, held.new.conversation_id, "done", PARTITIONS)
    assert await held.due() == [held.id]
    assert await held.store.write(give_up_unread, held.id)
    assert await held.due() == []
    assert not await held.store.write(give_up_unread, new_id())


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
