"""Doorbells that ring where this process is at work already: they neither start a second work nor wait 5 s.

Such a bell is acknowledged at once, though its input is not answered yet: the bell that is being answered
stays unacknowledged until the work has been done once more since, so a process that dies gives it back.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable

from gateway.domain.ports.bus import DONE, Ack, Verdict

_REMEMBERED = 10_000
"""Ids, some 100 bytes each."""


class Bells:
    """The places (conversations, lanes) this process is working on."""

    def __init__(self) -> None:
        self._rung: dict[str, bool] = {}
        """Whether it rang again since the work was begun."""
        self.broke_off = False
        """Whether work has ended without a verdict: what was claimed for it may be held still."""

    async def answer(self, place: str, work: Callable[[str], Awaitable[Verdict]]) -> Verdict:
        """Work, as often as it rings meanwhile. What makes the first bell come again covers the others."""
        if place in self._rung:
            self._rung[place] = True
            return DONE
        ended = False
        try:
            while True:
                self._rung[place] = False
                verdict = await work(place)
                if verdict.ack is not Ack.DONE or not self._rung[place]:
                    ended = True
                    return verdict
        finally:
            del self._rung[place]
            if not ended:
                self.broke_off = True

    def at_work(self, place: str) -> bool:
        """Whether it is being worked on."""
        return place in self._rung

    def covered(self, place: str) -> None:
        """What has rung until now is seen by a look at the database that only begins."""
        if place in self._rung:
            self._rung[place] = False


class SeenTo:
    """What this process has seen to lately, by id: bells for it that are still on their way ring for nothing.

    Such as input that joined an earlier turn, or a delivery that left with the one before it. What was done
    elsewhere, or longer ago, the database tells.
    """

    def __init__(self) -> None:
        # its oldest is found at once; a plain dictionary would pass over all that were deleted before it
        self._ids: OrderedDict[str, None] = OrderedDict()

    def add(self, ids: Iterable[str]) -> None:
        """These are done for good, and committed."""
        for one in ids:
            self._ids[one] = None
        while len(self._ids) > _REMEMBERED:
            self._ids.popitem(last=False)

    def knows(self, told: object) -> bool:
        """Whether a bell rings for one of them; `told` is whatever its body says."""
        return isinstance(told, str) and told in self._ids

    async def unless(self, told: object, work: Callable[[], Awaitable[Verdict]]) -> Verdict:
        """Work, unless the bell rings for one of them.

        A bell that is to come again covers all that has rung meanwhile: it is answered then although what it
        rings for itself may have been seen to.
        """
        if self.knows(told):
            return DONE
        done = False
        try:
            verdict = await work()
            done = verdict.ack is Ack.DONE
            return verdict
        finally:
            if not done and isinstance(told, str):
                self._ids.pop(told, None)
