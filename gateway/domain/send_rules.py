"""How what goes out is paced, tried again, looked up and given up: the numbers, and the rules of a sender."""

from dataclasses import dataclass
from enum import StrEnum

from gateway.domain.delivery import Delivery
from gateway.domain.usage import Meter

RECONCILE_AFTER = 20
"""Seconds after its claim from which an attempt of unknown outcome is looked up: its POST has ended."""

LOOKS = (RECONCILE_AFTER, 30)
"""When it is looked up, besides once at the end."""

LANE_HELD_AT_MOST = 180
"""Seconds in which a text that cannot leave, or of which nothing is known, holds up those behind it."""

LEAST_GAP = 1.0
"""Seconds between the parts of one reply, so that they arrive in their order more often than not."""

ATTEMPTS = 5
"""Tries of a turn, a call or a file before it becomes a dead letter, or is given up."""

BACKOFF_SECONDS = (5, 30, 120, 600)
"""Wait after the first, second … of them has failed."""

TEXT_WAITS = (5, 15, 30, 60, 600)
TEXT_ATTEMPTS = 8
"""A text that is refused for now is tried six times while it holds up those behind it, then aside: together
half an hour. The first four waits leave room for two attempts whose outcome was lost."""

MAIL_WAITS = (60, 300, 900, 3600)
MAIL_ATTEMPTS = 51
"""Together two days: for so long a mail server may be away (RFC 5321 §4.5.4.1 asks for four or five days)."""


def backoff(attempt: int) -> int:
    """Seconds to wait after attempt number `attempt` (1-based) has failed."""
    return BACKOFF_SECONDS[min(attempt, len(BACKOFF_SECONDS)) - 1]


@dataclass(frozen=True, slots=True)
class Wait:
    """How long something that could not leave waits, and where."""

    seconds: float
    aside: bool = False
    """In a lane of its own: what was said after it may leave."""


class OnUnknown(StrEnum):
    """What becomes of a part whose outcome could not be learnt."""

    RESEND = "resend"
    """It is sent again, perhaps twice then: for replies."""
    GIVE_UP = "give_up"
    """It is not, and perhaps missing then: for codes and payments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendRules:
    """How what goes out from one of our addresses is paced, and what happens when it goes wrong."""

    segments_per_second: float | None = None
    """What the sender keeps to over all processes; None: whatever the provider takes."""
    resend_after: int = RECONCILE_AFTER
    """Seconds after its claim from which an attempt that left no trace counts as not taken."""
    on_unknown: OnUnknown = OnUnknown.RESEND
    on_unknown_first: OnUnknown = OnUnknown.RESEND
    """The same of a message that begins a conversation."""
    cancel_unsent: bool = False
    """Whether what a later turn says replaces what has not left of an earlier one."""
    attempts: int = TEXT_ATTEMPTS
    waits: tuple[int, ...] = TEXT_WAITS
    """Seconds after the first, second … attempt that was refused for now; the last one is for all further."""
    hold_seconds: int = LANE_HELD_AT_MOST
    """How long what waits for another attempt, or an outcome, holds up what was said after it."""
    failover: str | None = None
    """Which of our addresses sends instead where this one cannot."""
    meter: Meter | None = None
    """What counts each part; None: there is no cap."""

    def backoff(self, refusal: int) -> int:
        """Seconds to wait after refusal number `refusal` (1-based) of a part for now."""
        return self.waits[min(refusal, len(self.waits)) - 1]

    def wait(self, held: float, seconds: float) -> Wait:
        """So many seconds more, for what has held up others for `held` seconds."""
        return Wait(seconds, aside=held + seconds > self.hold_seconds)

    def wait_refused(self, held: float, refusal: int, jitter: float = 1.0, least: float = 0.0) -> Wait:
        """After refusal number `refusal` (1-based); times `jitter`, and never shorter than the provider says.

        It grows with refusals only, not with attempts whose outcome was lost or whose worker died: those say
        nothing about the provider's load. One who says "in a second" each time has not used up all attempts
        in a few of them. A wait that would outlast the hold ends with it, for a last attempt before others
        overtake.
        """
        seconds = max(self.backoff(refusal) * jitter, least)
        left = self.hold_seconds - held
        if seconds > left >= max(self.waits[0], least):
            return Wait(left)
        return self.wait(held, seconds)

    def unknown(self, delivery: Delivery) -> OnUnknown:
        """What becomes of a part whose outcome could not be learnt."""
        return self.on_unknown_first if delivery.begins else self.on_unknown

    def gap(self, segments: int) -> float:
        """Seconds after a part of so many segments in which the next of the same reply does not leave."""
        rate = self.segments_per_second
        return LEAST_GAP if rate is None else max(LEAST_GAP, segments / rate)

    def looks(self) -> tuple[int, ...]:
        """When an attempt of unknown outcome is looked up, seconds after its claim; the last look decides."""
        return (*(look for look in LOOKS if look < self.resend_after), self.resend_after)
