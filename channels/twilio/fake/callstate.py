"""What a call at the fake Twilio is: its parties, its status, and the error of a misused call."""

from dataclasses import dataclass
from enum import StrEnum


class CallStatus(StrEnum):
    """Twilio's call statuses: https://www.twilio.com/docs/voice/api/call-resource#call-status-values"""

    QUEUED = "queued"
    INITIATED = "initiated"
    RINGING = "ringing"
    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"
    BUSY = "busy"
    FAILED = "failed"
    NO_ANSWER = "no-answer"
    CANCELED = "canceled"


class CallError(Exception):
    """The script asked for what the call cannot do now, as speaking while nothing listens."""


@dataclass(frozen=True, slots=True)
class CallParties:
    """Who calls whom, and where the call reports."""

    from_: str
    to: str
    direction: str = "inbound"
    """`inbound` or `outbound-api`."""
    status_callback: str = ""
    status_events: frozenset[str] = frozenset({"completed"})
    """Which of `initiated, ringing, answered, completed` are reported."""
