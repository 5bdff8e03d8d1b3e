"""Doorbells that ring where this process is at work already: they neither start a second work nor wait 5 s.

Such a bell is acknowledged at once, though its input is not answered yet: the bell that is being answered
stays unacknowledged until the work has been done once more since, so a process that dies gives it back.
"""

from collections.abc import Awaitable, Callable

from gateway.domain.ports.bus import DONE, Ack, Verdict


class Bells:
    """The places (conversations, lanes) this process is working on."""

    def __init__(self) -> None:
        self._rung: dict[str, bool] = {}
        """Whether it rang again since the work was begun."""

    async def answer(self, place: str, work: Callable[[str], Awaitable[Verdict]]) -> Verdict:
        """Work, as often as it rings meanwhile. What makes the first bell come again covers the others."""
        if place in self._rung:
            self._rung[place] = True
            return DONE
        try:
            while True:
                self._rung[place] = False
                verdict = await work(place)
                if verdict.ack is not Ack.DONE or not self._rung[place]:
                    return verdict
        finally:
            del self._rung[place]
