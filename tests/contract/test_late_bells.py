"""Bells for what their worker has seen to already: they ask nothing of the database, and lose nothing."""

from collections.abc import AsyncIterator

import pytest

from gateway.bus.verdicts import MAX_ATTEMPTS, judge
from gateway.domain.agent import AgentFailed
from gateway.domain.errors import Unavailable
from gateway.domain.ports.bus import DONE, Consumer, RetryStep, look_again
from gateway.service.deliver import LaneClaim, claim_lane
from gateway.service.due import due_lanes, due_turns
from tests.contract import scene
from tests.contract.conftest import MovableStore
from tests.contract.house import House, opened
from tests.contract.scene import arrive, sms


@pytest.fixture
async def house(store: MovableStore) -> AsyncIterator[House]:
    """Nothing has happened yet."""
    async with opened(store) as house:
        yield house


async def test_the_bell_of_input_that_joined_a_turn_asks_nothing(house: House) -> None:
    for text in ("one", "two", "three"):
        await arrive(house.store, sms(text))
    first, *others = await house.bells("message.inbound")
    assert await house.turns.consume(first) == DONE
    house.store.units.clear()
    for bell in (*others, first):
        assert await house.turns.consume(bell) == DONE
    assert house.store.units == []
    (reply,) = await house.bells("message.outbound")
    assert reply.data["text"] == "3 of them"


async def test_what_arrives_while_the_agent_answers_is_answered_and_looked_for_once(house: House) -> None:
    async def another() -> None:
        await arrive(house.store, sms("two"))
        assert await house.turns.consume((await house.bells("message.inbound"))[-1]) == DONE

    house.agent.meanwhile = another
    await arrive(house.store, sms("one"))
    (first,) = await house.bells("message.inbound")
    house.store.units.clear()
    assert await house.turns.consume(first) == DONE
    assert [r.data["text"] for r in await house.bells("message.outbound")] == ["1 of them"] * 2
    assert [name for name in house.store.units if name in ("claim_turn", "next_turn", "finish_turn")] == [
        "claim_turn",
        "finish_turn",
        "next_turn",
        "finish_turn",
    ]


async def test_a_bell_without_input_of_its_own_is_always_answered(house: House) -> None:
    accepted = await arrive(house.store, sms("one"))
    (first,) = await house.bells("message.inbound")
    assert await house.turns.consume(first) == DONE
    await arrive(house.store, sms("two"))
    due = first.model_copy(update={"type": "turn.due", "data": {}})
    assert due.conversation_id == accepted.conversation_id
    assert await house.turns.consume(due) == DONE
    assert len(await house.bells("message.outbound")) == 2


async def test_the_bell_of_a_reply_that_left_with_another_asks_nothing(house: House) -> None:
    for text in ("one", "two"):
        await arrive(house.store, sms(text))
        assert await house.turns.consume((await house.bells("message.inbound"))[-1]) == DONE
    first, second = await house.bells("message.outbound")
    assert await house.deliveries.consume(first) == DONE
    assert len(house.provider.sent) == 2
    house.store.units.clear()
    assert await house.deliveries.consume(second) == DONE
    assert await house.deliveries.consume(first) == DONE
    assert house.store.units == []
    assert len(house.provider.sent) == 2


async def test_a_bell_that_comes_again_after_its_own_input_was_answered_answers_the_others(
    house: House,
) -> None:
    """The other bell is gone, and the lease still held: no timer would ring."""

    async def another() -> None:
        await arrive(house.store, sms("two"))
        assert await house.turns.consume((await house.bells("message.inbound"))[-1]) == DONE

    house.agent.meanwhile = another
    await arrive(house.store, sms("one"))
    (first,) = await house.bells("message.inbound")
    house.store.away_at = "next_turn"
    with pytest.raises(Unavailable):
        await house.turns.consume(first)
    assert len(await house.bells("message.outbound")) == 1
    assert await house.turns.consume(first) == DONE
    assert len(await house.bells("message.outbound")) == 2


async def test_a_bell_that_comes_again_after_its_own_reply_has_left_sends_the_others(house: House) -> None:
    for text in ("one", "two"):
        await arrive(house.store, sms(text))
        assert await house.turns.consume((await house.bells("message.inbound"))[-1]) == DONE
    first, second = await house.bells("message.outbound")

    async def rings() -> None:
        assert await house.deliveries.consume(second) == DONE
        house.store.away_at = "claim_part"

    house.provider.meanwhile = rings
    with pytest.raises(Unavailable):
        await house.deliveries.consume(first)
    assert len(house.provider.sent) == 1
    assert await house.deliveries.consume(first) == DONE
    assert len(house.provider.sent) == 2


async def test_a_bell_that_comes_before_a_failed_turn_is_due_again_does_not_circle(house: House) -> None:
    """It would be buried after four minutes; the wait may be ten."""

    async def fail() -> None:
        raise AgentFailed("away")

    await arrive(house.store, sms("one"))
    (first,) = await house.bells("message.inbound")
    house.agent.meanwhile = fail
    assert await house.turns.consume(first) == look_again("the agent failed")
    await arrive(house.store, sms("two"))
    second = (await house.bells("message.inbound"))[-1]
    assert await house.turns.consume(second) == DONE
    assert await house.store.write(due_turns, 0, scene.PARTITIONS) == 0
    house.store.advance(RetryStep.S5.seconds)
    await house.store.write(scene.renew, house.worker_id)
    assert await house.store.write(due_turns, 0, scene.PARTITIONS) == 1  # would the first bell be lost
    assert await house.turns.consume(first) == DONE
    assert [r.data["text"] for r in await house.bells("message.outbound")] == ["1 of them"] * 2


async def test_a_bell_that_meets_another_worker_for_long_is_done_with_and_a_timer_rings(house: House) -> None:
    """An agent may take longer than a bell goes round: it would be buried, though nothing is amiss."""
    accepted = await arrive(house.store, sms("one"))
    (bell,) = await house.bells("message.inbound")
    other = await scene.worker(house.store)
    await scene.claimed(house.store, accepted.conversation_id, other)
    consumer, body = Consumer("turns.0", house.turns.consume), bell.model_dump_json().encode()
    assert await judge(consumer, body, MAX_ATTEMPTS - 1) == look_again("another worker has the conversation")
    assert await judge(consumer, body, MAX_ATTEMPTS) == DONE
    assert await house.store.write(due_turns, 0, scene.PARTITIONS) == 0
    house.store.advance(scene.LIFETIME + 1)  # the other dies
    await house.store.write(scene.renew, house.worker_id)
    assert await house.store.write(due_turns, 0, scene.PARTITIONS) == 1
    (rung,) = await house.bells("turn.due")
    assert await house.turns.consume(rung) == DONE
    assert [r.data["text"] for r in await house.bells("message.outbound")] == ["1 of them"]


async def test_so_is_the_bell_of_a_lane(house: House) -> None:
    await arrive(house.store, sms("one"))
    (bell,) = await house.bells("message.inbound")
    assert await house.turns.consume(bell) == DONE
    (bell,) = await house.bells("message.outbound")
    other = await scene.worker(house.store)
    assert isinstance(await house.store.write(claim_lane, bell.data["lane"], other), LaneClaim)
    consumer, body = Consumer("deliveries.sms", house.deliveries.consume), bell.model_dump_json().encode()
    assert await judge(consumer, body, MAX_ATTEMPTS - 1) == look_again("another worker has the lane")
    assert await judge(consumer, body, MAX_ATTEMPTS) == DONE
    house.store.advance(scene.LIFETIME + 1)
    await house.store.write(scene.renew, house.worker_id)
    assert await house.store.write(due_lanes, 0) == 1
    (rung,) = await house.bells("delivery.due")
    assert await house.deliveries.consume(rung) == DONE
    assert len(house.provider.sent) == 1


async def test_bells_of_a_worker_whose_own_life_is_in_doubt_are_no_dead_letters(house: House) -> None:
    """A database that was away for long is back, and the worker has not been renewed yet: a timer rings."""
    await arrive(house.store, sms("one"))
    (bell,) = await house.bells("message.inbound")
    assert await house.turns.consume(bell) == DONE
    await arrive(house.store, sms("two"))
    rung = (
        (house.turns.consume, (await house.bells("message.inbound"))[-1]),
        (house.deliveries.consume, (await house.bells("message.outbound"))[0]),
    )
    house.doubt()
    for consume, bell in rung:
        consumer, body = Consumer("some", consume), bell.model_dump_json().encode()
        assert await judge(consumer, body, MAX_ATTEMPTS - 1) == look_again("the lease was lost")
        assert await judge(consumer, body, MAX_ATTEMPTS) == DONE
    house.store.advance(1)
    assert await house.store.write(due_turns, 0, scene.PARTITIONS) == 1
    assert await house.store.write(due_lanes, 0) == 1
