"""A worker whose work broke off lives on: its leases go, though no bell ever comes again."""

from collections.abc import AsyncIterator

import pytest

from gateway.domain.errors import Unavailable
from gateway.domain.ports.bus import DONE
from gateway.service.due import due_lanes, due_turns
from tests.contract import scene
from tests.contract.conftest import MovableStore
from tests.contract.house import House, opened
from tests.contract.scene import PARTITIONS, arrive, claimed, conversation, postings, rows, sms
from workers.timers import RING_AGAIN_SECONDS

MINUTE = 60


@pytest.fixture
async def house(store: MovableStore) -> AsyncIterator[House]:
    """Nothing has happened yet."""
    async with opened(store) as house:
        yield house


async def live_on(house: House, seconds: float) -> None:
    """Time passes, in which the worker renews its leases as ever."""
    house.store.advance(seconds)
    await house.store.write(scene.renew, house.worker_id)


async def broken_off(house: House, *, away_at: str | None = None, lost_at: str | None = None) -> str:
    """A text came in, and the database went away in the middle of its turn; the conversation."""
    accepted = await arrive(house.store, sms("one"))
    (bell,) = await house.bells("message.inbound")
    house.store.away_at, house.store.lost_at = away_at, lost_at
    with pytest.raises(Unavailable):
        await house.turns.consume(bell)
    await live_on(house, MINUTE)
    assert (await conversation(house.store, accepted.conversation_id))["lease_owner"] == house.worker_id
    assert await house.store.write(due_turns, RING_AGAIN_SECONDS, PARTITIONS) == 0  # no timer rings for it
    return accepted.conversation_id


@pytest.mark.parametrize(("away_at", "lost_at"), [("finish_turn", None), (None, "claim_turn")])
async def test_a_turn_that_broke_off_is_left_to_whoever_is_rung_next(
    house: House, away_at: str | None, lost_at: str | None
) -> None:
    conversation_id = await broken_off(house, away_at=away_at, lost_at=lost_at)
    await house.turns.leases.look()
    assert (await conversation(house.store, conversation_id))["lease_owner"] is None
    assert await house.store.write(due_turns, RING_AGAIN_SECONDS, PARTITIONS) == 1
    claim = await claimed(house.store, conversation_id)  # by another worker
    assert scene.texts_of(claim.request) == ["one"]


async def test_what_could_not_be_let_go_is_let_go_by_the_next_look(house: House) -> None:
    conversation_id = await broken_off(house, away_at="finish_turn")
    house.store.away_at = "release"
    with pytest.raises(Unavailable):
        await house.turns.leases.look()
    await house.turns.leases.look()
    assert (await conversation(house.store, conversation_id))["lease_owner"] is None


async def test_what_is_worked_on_keeps_its_lease(house: House) -> None:
    await broken_off(house, away_at="finish_turn")
    other = await arrive(house.store, sms("two", sender="+14155550177"))
    looked = []

    async def look() -> None:
        await house.turns.leases.look()
        looked.append((await conversation(house.store, other.conversation_id))["lease_owner"])

    house.agent.meanwhile = look
    assert await house.turns.consume((await house.bells("message.inbound"))[-1]) == DONE
    assert looked == [house.worker_id]
    assert len(await house.bells("message.outbound")) == 1


async def test_as_long_as_no_work_breaks_off_nothing_is_asked(house: House) -> None:
    await arrive(house.store, sms("one"))
    (bell,) = await house.bells("message.inbound")
    assert await house.turns.consume(bell) == DONE
    (reply,) = await house.bells("message.outbound")
    assert await house.deliveries.consume(reply) == DONE
    house.store.units.clear()
    await house.turns.leases.look()
    await house.deliveries.leases.look()
    assert house.store.units == []


async def test_a_lane_in_which_work_broke_off_rings_again(house: House) -> None:
    accepted = await arrive(house.store, sms("one"))
    assert await house.turns.consume((await house.bells("message.inbound"))[0]) == DONE
    (reply,) = await house.bells("message.outbound")
    house.store.away_at = "claim_part"
    with pytest.raises(Unavailable):
        await house.deliveries.consume(reply)
    await live_on(house, MINUTE)
    assert await house.store.write(due_lanes, RING_AGAIN_SECONDS) == 0
    await house.deliveries.leases.look()
    (bell,) = await house.bells("delivery.due")
    await live_on(house, MINUTE)
    assert await house.store.write(due_lanes, RING_AGAIN_SECONDS) == 1  # would the bell be lost
    assert await house.deliveries.consume(bell) == DONE
    assert house.provider.sent == ["1 of them"]
    (delivery,) = await rows(house.store, "test_deliveries", id=accepted.conversation_id)
    assert delivery["state"] == "sent"
    assert len(await postings(house.store)) >= 1
