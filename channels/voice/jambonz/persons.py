"""The persons of a warm transfer, as jambonz tells of them: its machine is told, and what follows is done.

What jambonz asks about a person is answered at once, by who reads; what it leads to for the caller is done in
its turn (`settle`).
"""

import asyncio
from collections.abc import Awaitable, Callable
from math import inf
from typing import Protocol

from channels.voice.jambonz.kept import Kept
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
from channels.voice.jambonz.warm import ACCEPT_KEY, JOINS, Follows, JambonzWarm
from gateway.domain.clock import SECOND, Clock
from gateway.domain.warm.state import Stage
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
        self,
        transfer: Transfer,
        warm: JambonzWarm,
        clock: Clock,
        kept: Kept,
        put: Put,
        finished: Finished,
    ) -> None:
        self._transfer = transfer
        self._warm = warm
        self._clock = clock
        self._kept = kept
        self._put = put
        self._finished = finished
        self._due: list[Follows] = []
        self._keeping = asyncio.Lock()
        self._joins = False
        """jambonz has been told to join the two."""
        self._elsewhere = False
        """Another connection of the call has the transfer: nothing is done here any more."""

    async def begin(self, put: Put, *, wait: float, ahead: float) -> None:
        """The caller is told, and the first one called, when what is being said has been.

        That is waited for `wait` seconds, and takes `ahead` seconds where `put` sees to it.
        """
        self._warm.announce(self._clock.now())
        if not await self._is_kept():
            return
        await asyncio.sleep(wait)
        if not self._warm.over:  # the caller may have left
            await self._follow(self._warm.begin(self._clock.now() + int(ahead * SECOND)), put)

    async def go_on(self) -> None:
        """Go on with what another connection has left; a person it may have called is not called again."""
        warm = self._warm.state
        if warm is None or warm.stage is Stage.ANNOUNCE:
            await self._follow(self._warm.begin(self._clock.now()))
        elif warm.outcome is not None:
            await self._finished(self._transfer, self._warm, warm.outcome)
        elif self._warm.accepted:
            self._joins = True  # it was told so as soon as this was kept
            await self.settle()

    async def acknowledge(self, incoming: Incoming) -> tuple[Verb, ...]:
        """What a person hears next. That they have accepted is kept before they are joined."""
        place, event = incoming.place, incoming.event
        if place is None or place.hook not in (CONFIRM_HOOK, ANSWER_HOOK):
            return ()
        if f"{place.session}:{place.n}" != self._transfer.name or self._elsewhere:
            return unasked(incoming)
        now = self._clock.now()
        if not isinstance(event, Gathered):
            follows, verbs = self._warm.answered(place.attempt, now)
            self._due.append(follows)
            return verbs
        self._due.append(self._warm.pressed(place, event, now))
        accepts = event.digits == ACCEPT_KEY and place.attempt == self._warm.attempt
        accepted = accepts and (self._warm.accepted or self._warm.joined)
        if not (accepted and await self._is_kept()):
            return ()
        self._joins = True
        return JOINS

    async def settle(self) -> None:
        """Do what was left to be done; after an acceptance, the two are joined."""
        due, self._due = self._due, []
        if due and not await self._is_kept():
            return
        for follows in due:
            await self._do(follows)
        if self._joins and self._warm.accepted:
            await self._follow(self._warm.bridged(self._clock.now()))

    async def tick(self) -> None:
        """Time has passed."""
        if self._warm.due is not None and self._warm.due <= self._clock.now():
            await self._follow(self._warm.tick(self._clock.now()))

    @property
    def patience(self) -> float:
        """Seconds after which `tick` has something to do."""
        due = self._warm.due
        return inf if due is None or self._elsewhere else max(0.0, (due - self._clock.now()) / SECOND)

    async def screened(self, place: Place, data: Screened) -> None:
        """Whether a machine has answered."""
        await self._follow(self._warm.screened(place, data, self._clock.now()))

    async def dialed(self, place: Place, data: Dialed) -> bool:
        """A dial has ended; whether it was that of the person who has been joined."""
        if self._warm.over:
            return place.attempt == self._warm.attempt
        await self._follow(self._warm.dialed(place, data, self._clock.now()))
        return False

    async def cancel(self) -> None:
        """The conversation is over."""
        await self._follow(self._warm.cancel(self._clock.now()))

    async def caller_gone(self) -> None:
        """The caller hung up."""
        await self._follow(self._warm.caller_gone(self._clock.now()))

    async def _follow(self, follows: Follows, put: Put | None = None) -> None:
        """Kept first: whoever goes on from there calls nobody twice."""
        if await self._is_kept():
            await self._do(follows, put)

    async def _do(self, follows: Follows, put: Put | None = None) -> None:
        if follows.verbs:
            await (put or self._put)(*follows.verbs)
        if follows.finish is not None:
            await self._finished(self._transfer, self._warm, follows.finish)

    async def _is_kept(self) -> bool:
        """Whether this connection still has the transfer."""
        async with self._keeping:
            warm = self._warm.state
            if warm is not None and not self._elsewhere:
                self._elsewhere = not await self._kept.keep(self._transfer, warm)
        return not self._elsewhere
