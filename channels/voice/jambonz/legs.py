"""Whom jambonz calls for a caller, asked of its API: what it says on a connection may be lost with that."""

from dataclasses import dataclass
from enum import Enum, auto

from channels.voice.jambonz.call_states import call_state
from channels.voice.jambonz.rest import JambonzRest
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


@dataclass(frozen=True, slots=True)
class Legs:
    """Those of one call."""

    rest: JambonzRest | None
    call_sid: str

    async def now(self) -> Called:
        """How it stands."""
        if self.rest is None:
            return Called.NOBODY
        listed = await self.rest.dialled_by(self.call_sid)
        if isinstance(listed, OutcomeUnknown):
            return Called.UNKNOWN
        states = {call_state(one.call_status) for one in listed}
        if CallState.ANSWERED in states:
            return Called.TALKS
        return Called.RINGS if any(not state.over for state in states) else Called.NOBODY
