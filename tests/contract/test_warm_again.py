"""What a call of a warm transfer does not take: told again by one timer at a time, given up after a day."""

import asyncio
import logging

import pytest

from gateway.domain.clock import Clock
from gateway.domain.warm.held import CallerWaits
from gateway.domain.warm.words import LegEvent, Tick
from gateway.domain.warm.work import AGAIN_SECONDS, GIVEN_UP_AFTER
from tests.contract.conftest import MovableStore as Store
from tests.contract.scene import ORGANIZATION
from tests.contract.test_warm_driver import Desk
from workers.warm import WarmDriver


@pytest.fixture
async def alone(store: Store) -> Desk:
    """A caller waits for a person who is gone, and cannot be called back for now."""
    desk = Desk(store)
    await desk.begin()
    await desk.leg(LegEvent.ANSWERED, LegEvent.BRIEFED, LegEvent.ACCEPTED)
    await desk.driver.happened(desk.id, CallerWaits())
    await desk.rest()
    desk.phones.away = True
    await desk.leg(LegEvent.GONE)
    await desk.rest()
    assert desk.phones.recalled == [1]
    return desk


async def test_of_two_timers_one_calls_a_caller_back(alone: Desk) -> None:
    other = WarmDriver(alone.store, alone.transcripts, alone.phones, Clock(), ORGANIZATION)
    alone.store.advance(AGAIN_SECONDS)
    await asyncio.gather(alone.driver.look(), other.look())
    for driver in (alone.driver, other):
        await driver.happened(alone.id, Tick())  # as one that has found it due before
    await other.close()
    await alone.rest()
    assert alone.phones.recalled == [1, 1]


async def test_a_timer_of_the_machine_does_not_call_them_back_beside_who_is_at_it(alone: Desk) -> None:
    alone.store.advance(1)
    await alone.driver.happened(alone.id, Tick())
    await alone.rest()
    assert alone.phones.recalled == [1]


async def test_a_call_that_takes_nothing_for_a_day_is_given_up(
    alone: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    alone.store.advance(GIVEN_UP_AFTER)
    with caplog.at_level(logging.ERROR, "workers.warm"):
        await alone.look()
    assert [vars(one)["action"] for one in caplog.records] == ["transfer.given_up"]
    assert alone.phones.recalled == [1, 1]
    assert await alone.due() == []
