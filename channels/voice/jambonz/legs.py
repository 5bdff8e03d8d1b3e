"""Whom jambonz calls for a caller, asked of its API: what it says on a connection may be lost with that."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from math import inf
from typing import Protocol

from channels.voice.jambonz.call_states import call_state
from channels.voice.jambonz.rest import ListedCall
from gateway.domain.clock import Clock
from gateway.domain.delivery import OutcomeUnknown
from gateway.domain.outgoing_call import CallState


class Called(Enum):
    """How it stands with whoever is called for a caller."""

    NOBODY = auto()
    """Is called; or we have no account to ask with."""
    RINGS = auto()
    TALKS = auto()
    """Somebody has answered: the two talk, unless they are asked first."""
    UNKNOWN = auto()
    """jambonz does not say."""


class Dials(Protocol):
    """Who is asked."""

    async def dialled(self) -> Sequence[ListedCall] | OutcomeUnknown:
        """The calls of the account that calls have begun by a `dial`."""
        ...


@dataclass(slots=True)
class SharedDials:
    """The same for who asks about many calls: jambonz, which has no shorter list, is asked once for all."""

    dials: Dials
    clock: Clock
    seconds: float
    """How long an answer holds."""
    _answer: Sequence[ListedCall] | OutcomeUnknown = ()
    _until: float = -inf
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def dialled(self) -> Sequence[ListedCall] | OutcomeUnknown:
        """What jambonz has said last."""
        async with self._asking:
            if self.clock.monotonic() >= self._until:
                self._answer = await self.dials.dialled()
                self._until = self.clock.monotonic() + self.seconds
            return self._answer


@dataclass(frozen=True, slots=True)
class Legs:
    """Those of one call."""

    dials: Dials | None
    """None without an account."""
    call_sid: str

    async def now(self) -> Called:
        """How it stands."""
        if self.dials is None:
            return Called.NOBODY
        listed = await self.dials.dialled()
        if isinstance(listed, OutcomeUnknown):
            return Called.UNKNOWN
        states = {call_state(one.call_status) for one in listed if one.parent_call_sid == self.call_sid}
        if CallState.ANSWERED in states:
            return Called.TALKS
        return Called.RINGS if any(not state.over for state in states) else Called.NOBODY
