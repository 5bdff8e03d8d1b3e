"""The persons of a warm transfer, as jambonz tells of them: its machine is told, and what follows is done.

What jambonz asks about a person is answered at once, by who reads; what it leads to for the caller is done in
its turn (`settle`).
"""

from collections.abc import Awaitable, Callable
from math import inf
from typing import Protocol

from channels.voice.jambonz.messages import (
    ANSWER_HOOK,
    CONFIRM_HOOK,
    Dialed,
    Gathered,
    Incoming,
    Place,
    Screened,
)
from channels.voice.jambonz.transfer import Transfer
from channels.voice.jambonz.verbs import Hangup, Verb
from channels.voice.jambonz.warm import JOINS, Follows, JambonzWarm
from gateway.domain.clock import SECOND, Clock
from gateway.domain.warm.words import Finish

Finished = Callable[[Transfer, JambonzWarm, Finish], Awaitable[None]]
"""The transfer has ended."""


class Put(Protocol):
    """Gives the caller's side verbs."""

    async def __call__(self, *verbs: Verb) -> None:
        """In the place of those that run, or after them."""
        ...


def unasked(incoming: Incoming) -> tuple[Verb, ...]:
    """What somebody hears of whose transfer nothing is known: an empty answer would join them."""
    asked = incoming.place is not None and incoming.place.hook == CONFIRM_HOOK
    return (Hangup(),) if asked else ()


class Persons:
    """Those of one transfer, one after the other."""

    def __init__(
        self, transfer: Transfer, warm: JambonzWarm, clock: Clock, put: Put, finished: Finished
    ) -> None:
        self._transfer = transfer
        self._warm = warm
        self._clock = clock
        self._put = put
        self._finished = finished
        self._due: list[Follows] = []

    async def begin(self, put: Put, seconds: float) -> None:
        """The caller is told, and the first one called, when what is being said has been: in `seconds`."""
        await self._follow(self._warm.begin(self._clock.now() + int(seconds * SECOND)), put)

    def acknowledge(self, incoming: Incoming) -> tuple[Verb, ...]:
        """What a person hears next."""
        place, event = incoming.place, incoming.event
        if place is None or place.hook not in (CONFIRM_HOOK, ANSWER_HOOK):
            return ()
        if f"{place.session}:{place.n}" != self._transfer.name:
            return unasked(incoming)
        now = self._clock.now()
        if not isinstance(event, Gathered):
            follows, verbs = self._warm.answered(place.attempt, now)
            self._due.append(follows)
            return verbs
        before = self._warm.accepted
        self._due.append(self._warm.pressed(place, event, now))
        return JOINS if self._warm.accepted and not before else ()

    async def settle(self) -> None:
        """Do what was left to be done; after an acceptance, the two are joined."""
        due, self._due = self._due, []
        for follows in due:
            await self._follow(follows)
        if self._warm.accepted:
            await self._follow(self._warm.bridged(self._clock.now()))

    async def tick(self) -> None:
        """Time has passed."""
        await self._follow(self._warm.tick(self._clock.now()))

    @property
    def patience(self) -> float:
        """Seconds after which `tick` has something to do."""
        due = self._warm.due
        return inf if due is None else max(0.0, (due - self._clock.now()) / SECOND)

    async def screened(self, place: Place, data: Screened) -> None:
        """Whether a machine has answered."""
        await self._follow(self._warm.screened(place, data, self._clock.now()))

    async def dialed(self, place: Place, data: Dialed) -> bool:
        """A dial has ended; whether it was that of the person who has been joined."""
        if self._warm.over:
            return place.attempt == self._warm.attempt
        await self._follow(self._warm.dialed(place, data, self._clock.now()))
        return False

    async def caller_gone(self) -> None:
        """The caller hung up."""
        await self._follow(self._warm.caller_gone(self._clock.now()))

    async def _follow(self, follows: Follows, put: Put | None = None) -> None:
        if follows.verbs:
            await (put or self._put)(*follows.verbs)
        if follows.finish is not None:
            await self._finished(self._transfer, self._warm, follows.finish)
