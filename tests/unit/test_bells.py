"""Doorbells that ring while their place is being worked on."""

import asyncio

import pytest

from gateway.domain.ports.bus import DONE, RetryStep, Verdict, retry
from workers.bells import Bells


class Work:
    """Begins, waits to be let go on, ends with a verdict; counts how often."""

    def __init__(self, *verdicts: Verdict) -> None:
        self.begun: list[str] = []
        self.go_on = asyncio.Semaphore(0)
        self._verdicts = list(verdicts)

    async def __call__(self, place: str) -> Verdict:
        self.begun.append(place)
        await self.go_on.acquire()
        return self._verdicts.pop(0)


async def test_what_rings_meanwhile_is_worked_off_once_more_before_the_first_bell_is_done() -> None:
    bells, work = Bells(), Work(DONE, DONE)
    first = asyncio.create_task(bells.answer("a", work))
    await asyncio.sleep(0)
    assert await bells.answer("a", work) is DONE
    assert await bells.answer("a", work) is DONE
    assert work.begun == ["a"]
    work.go_on.release()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert work.begun == ["a", "a"]
    assert not first.done()
    work.go_on.release()
    assert await first is DONE


async def test_places_do_not_wait_for_each_other() -> None:
    bells, work = Bells(), Work(DONE, DONE)
    both = [asyncio.create_task(bells.answer(place, work)) for place in ("a", "b")]
    await asyncio.sleep(0)
    assert work.begun == ["a", "b"]
    work.go_on.release()
    work.go_on.release()
    assert await asyncio.gather(*both) == [DONE, DONE]


async def test_a_first_bell_that_comes_again_covers_the_others() -> None:
    later = retry(RetryStep.S30, "the agent failed")
    bells, work = Bells(), Work(later)
    first = asyncio.create_task(bells.answer("a", work))
    await asyncio.sleep(0)
    assert await bells.answer("a", work) is DONE
    work.go_on.release()
    assert await first is later
    assert work.begun == ["a"]


async def test_after_a_failure_the_place_is_free() -> None:
    bells = Bells()

    async def fail(_: str) -> Verdict:
        raise LookupError

    with pytest.raises(LookupError):
        await bells.answer("a", fail)
    work = Work(DONE)
    work.go_on.release()
    assert await bells.answer("a", work) is DONE
