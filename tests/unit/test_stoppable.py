"""Work ends by its own time, or is stopped by somebody, who says what it raises."""

import asyncio

import pytest

from gateway.domain.errors import Braked, Fenced
from workers.stoppable import Stoppable


async def held(work: Stoppable, *, entered: asyncio.Event) -> None:
    async with work:
        entered.set()
        await asyncio.Event().wait()


async def test_work_that_is_done_in_time_raises_nothing() -> None:
    async with Stoppable(60):
        await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_what_takes_too_long_raises_timeout_error() -> None:
    with pytest.raises(TimeoutError):
        await held(Stoppable(0.01), entered=asyncio.Event())


async def test_what_is_stopped_raises_what_its_stopper_says() -> None:
    work, entered = Stoppable(60), asyncio.Event()
    task = asyncio.create_task(held(work, entered=entered))
    await entered.wait()
    work.stop(Fenced("c-1"))
    with pytest.raises(Fenced):
        await asyncio.wait_for(task, 60)


async def test_the_first_that_stops_it_is_told() -> None:
    """A second one neither fails nor has the last word."""
    work, entered = Stoppable(60), asyncio.Event()
    task = asyncio.create_task(held(work, entered=entered))
    await entered.wait()
    work.stop(Fenced("c-1"))
    work.stop(Braked("paused"))
    with pytest.raises(Fenced):
        await asyncio.wait_for(task, 60)


async def test_work_fails_by_itself_and_is_cancelled_as_ever() -> None:
    with pytest.raises(ValueError, match="its own"):
        async with Stoppable(60):
            raise ValueError("its own")
    entered = asyncio.Event()
    task = asyncio.create_task(held(Stoppable(60), entered=entered))
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
