"""Doorbells that ring while their place is being worked on."""

import asyncio

import pytest

from gateway.domain.ports.bus import DONE, RetryStep, Verdict, retry
from workers.bells import Bells, SeenTo


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


async def test_a_look_that_begins_after_a_bell_covers_it() -> None:
    bells, begun = Bells(), 0

    async def work(place: str) -> Verdict:
        nonlocal begun
        begun += 1
        assert await bells.answer(place, work) is DONE  # it rings meanwhile
        bells.covered(place)
        return DONE

    assert await bells.answer("a", work) is DONE
    assert begun == 1


async def test_a_bell_after_the_last_look_has_the_place_looked_at_once_more() -> None:
    bells, begun = Bells(), 0

    async def work(place: str) -> Verdict:
        nonlocal begun
        begun += 1
        bells.covered(place)
        if begun == 1:
            assert await bells.answer(place, work) is DONE
        return DONE

    assert await bells.answer("a", work) is DONE
    assert begun == 2


def test_what_was_seen_to_is_known_until_ten_thousand_others_were() -> None:
    seen = SeenTo()
    seen.add(["first"])
    assert seen.knows("first")
    assert not any(seen.knows(told) for told in ("second", None, 1, ["first"], {"first": 1}))
    seen.add(str(number) for number in range(10_000))
    assert not seen.knows("first")
    assert seen.knows("0")


async def test_a_bell_that_is_to_come_again_is_answered_although_what_it_rings_for_was_seen_to() -> None:
    """It covers those that have rung meanwhile, and are gone."""
    seen, later = SeenTo(), retry(RetryStep.S5, "the lease was lost")

    async def work(outcome: Verdict | None) -> Verdict:
        seen.add(["first", "second"])
        if outcome is None:
            raise LookupError
        return outcome

    assert await seen.unless("first", lambda: work(later)) is later
    assert not seen.knows("first")
    with pytest.raises(LookupError):
        await seen.unless("first", lambda: work(None))
    assert not seen.knows("first")
    assert seen.knows("second")
    assert await seen.unless("first", lambda: work(DONE)) is DONE
    assert seen.knows("first")
    assert await seen.unless("second", lambda: work(later)) is DONE
