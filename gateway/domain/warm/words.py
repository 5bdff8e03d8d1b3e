"""What may happen in a warm transfer, and what a host of the call has to do about it."""

from dataclasses import dataclass
from enum import StrEnum

from gateway.domain.intent import OnFailure
from gateway.domain.outcome import TransferReason, TransferState

CONFIRM_PROMPT = "Press 1 to take this call, or 2 to decline."
CALLER_LEFT = "The caller has left. Goodbye."
NOT_JOINED = "I couldn't connect you with the caller. Goodbye."


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonTexts:
    """What persons are told besides their briefing, in their language."""

    confirm: str = CONFIRM_PROMPT
    """Must name the two keys."""
    caller_left: str = CALLER_LEFT
    not_joined: str = NOT_JOINED


ENGLISH = PersonTexts()


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """What was said to the caller has been spoken, or failed: nobody waits for it any more."""


@dataclass(frozen=True, slots=True)
class CallerGone:
    """The caller hung up."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """The gateway wants the transfer no more."""


class LegEvent(StrEnum):
    """What the other leg reports."""

    RINGING = "ringing"
    """It has been called."""
    ANSWERED = "answered"
    FAILED = "failed"
    """It was not answered; with a reason."""
    GONE = "gone"
    HUMAN = "human"
    MACHINE = "machine"
    HEARD = "heard"
    """The person made themselves heard."""
    BRIEFED = "briefed"
    """The briefing has been spoken."""
    ACCEPTED = "accepted"
    DECLINED = "declined"
    BRIDGED = "bridged"
    BRIDGE_FAILED = "bridge_failed"


@dataclass(frozen=True, slots=True)
class Leg:
    """An event of the leg of an attempt, counted from 1."""

    attempt: int
    event: LegEvent
    reason: TransferReason | None = None

    @property
    def live(self) -> bool:
        """Whether the leg is there."""
        return self.event not in (LegEvent.GONE, LegEvent.FAILED)


Event = Tick | Spoken | CallerGone | Cancel | Leg


@dataclass(frozen=True, slots=True)
class StartHold:
    """Take no input of the caller's for the agent, play hold music."""


@dataclass(frozen=True, slots=True)
class StopHold:
    """End hold music and whatever is being said on hold."""


@dataclass(frozen=True, slots=True)
class SayToCaller:
    """Speak to the caller; `Spoken` is expected back. Not part of the conversation with the agent."""

    text: str


@dataclass(frozen=True, slots=True)
class SayToLeg:
    """Speak to the person, instead of what is being said to them."""

    attempt: int
    text: str
    briefing: bool = False
    """`briefed` is expected back."""
    asks: bool = False
    """`accepted` or `declined` is expected back."""


@dataclass(frozen=True, slots=True)
class Dial:
    """Call a person; `screen`: find out whether a machine answers."""

    attempt: int
    destination_index: int
    destination: str
    timeout_seconds: int
    screen: bool


@dataclass(frozen=True, slots=True)
class HangUpLeg:
    """End a leg in whatever state it is; `after`: when this has been said to it."""

    attempt: int
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Bridge:
    """Join the caller and this leg."""

    attempt: int


@dataclass(frozen=True, slots=True)
class Finish:
    """The transfer has ended; said exactly once. `then`: what becomes of a caller who is there."""

    state: TransferState
    reason: TransferReason | None
    then: OnFailure | None


Command = StartHold | StopHold | SayToCaller | SayToLeg | Dial | HangUpLeg | Bridge | Finish
