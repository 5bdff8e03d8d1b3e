"""A call that we begin: how far it has come, who answered it, and what its provider says of it."""

from dataclasses import dataclass
from enum import StrEnum

from gateway.domain.clock import SECOND
from gateway.domain.conversation import Status


class CallState(StrEnum):
    """How far a call has come. `rank` orders what may be reported; a lower or equal one changes nothing."""

    QUEUED = "queued"
    """Nobody was asked to dial yet, or whoever was has refused for now."""
    DIALING = "dialing"
    """The provider is being asked: whether it has the call is not known."""
    UNKNOWN = "unknown"
    """The provider has it, and says something of it that we do not know."""
    INITIATED = "initiated"
    """The provider has it."""
    RINGING = "ringing"
    ANSWERED = "answered"
    COMPLETED = "completed"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def rank(self) -> int:
        """Progress as it is reported."""
        return _RANK[self]

    @property
    def over(self) -> bool:
        """Nothing follows."""
        return self.rank == _OVER

    @property
    def connected(self) -> bool:
        """Whether somebody, or a machine, has answered."""
        return self in (CallState.ANSWERED, CallState.COMPLETED)


_OVER = 5
_RANK = {
    CallState.QUEUED: 0,
    CallState.DIALING: 1,
    CallState.UNKNOWN: 2,
    CallState.INITIATED: 2,
    CallState.RINGING: 3,
    CallState.ANSWERED: 4,
    CallState.COMPLETED: _OVER,
    CallState.BUSY: _OVER,
    CallState.NO_ANSWER: _OVER,
    CallState.FAILED: _OVER,
    CallState.CANCELED: _OVER,
}


class AnsweredBy(StrEnum):
    """Who has answered, as far as machine detection can tell."""

    HUMAN = "human"
    MACHINE = "machine"
    FAX = "fax"
    UNKNOWN = "unknown"

    @property
    def mechanical(self) -> bool:
        """Whether nobody listens now."""
        return self in (AnsweredBy.MACHINE, AnsweredBy.FAX)


class Command(StrEnum):
    """What the provider of a call is to be told."""

    HANG_UP = "hang_up"
    LEAVE_MESSAGE = "leave_message"


DIALED_AT_MOST = 3
"""How often a call is dialled whose provider was asked and left no trace of it."""
LOOKED_FOR = 40
"""Seconds after an attempt in which it is looked for before it counts as not made."""
LOOK_EVERY = 20
"""Seconds between two looks, and from an attempt to the first: its request has ended by then."""
LOOK_AT_LEAST_EVERY = 300
"""Seconds between two looks at a call whose provider has told nothing new for long: the gaps grow to that."""
UNKNOWN_AT_MOST = 600
"""Seconds after which a call is given up whose provider cannot be asked what became of it."""
LOST_AFTER = 86_400
"""Seconds after which the same is true of a call that it had: no call lasts longer at Twilio."""
LOST = "unknown"
"""What is noted as a provider's word of a call that it does not know any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingCall:
    """A call to make, or made. Times in µs."""

    conversation_id: str
    organization_id: str
    ours: str
    theirs: str
    state: CallState
    attempt: int
    claimed_at: int
    call_id: str | None = None
    """The provider's name of it, once it has one."""
    provider: str | None = None
    """Whose name that is."""
    answered_at: int | None = None

    def silent_for(self, now: int) -> int:
        """Seconds, at least, since its provider has told something new of it."""
        return max(0, now - (self.answered_at or self.claimed_at)) // SECOND

    def lost(self, now: int) -> bool:
        """Whether a provider that cannot be asked now need not be asked again."""
        return self.silent_for(now) >= LOST_AFTER


@dataclass(frozen=True, slots=True, kw_only=True)
class CallReport:
    """How far a call of ours has come, as its provider says."""

    provider: str
    call_id: str
    conversation_id: str
    """Our own reference, which every URL of the call carries."""
    state: CallState
    raw: str
    """The provider's own word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredReport:
    """Who has answered a call of ours."""

    call_id: str
    conversation_id: str
    who: AnsweredBy
    raw: str
    """The provider's own word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A recording of a call, in either direction, that can be fetched."""

    provider: str
    call_id: str
    recording_id: str
    url: str
    seconds: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a call of ours stands after a report."""

    ours: bool
    """False: we know nothing of it, or it is a second one for the same conversation."""
    status: Status = Status.CLOSED
    """Of its conversation."""
    first_message: str | None = None
    """What whoever answers is told first, instead of a greeting."""
    news: bool = False
    """Whether the report told how far it is, and nobody had before."""
    doubled: bool = False
    """It is a second one: what was dialled again had been taken the first time."""


@dataclass(frozen=True, slots=True)
class Found:
    """A call as its provider lists it."""

    call_id: str
    state: CallState
    raw: str
