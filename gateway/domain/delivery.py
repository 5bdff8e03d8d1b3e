"""Deliveries: a reply's way to the provider, in parts, with attempts and receipts."""

from dataclasses import dataclass, field
from enum import StrEnum

from gateway.domain.message import Attachment, Channel


class DeliveryState(StrEnum):
    """What became of a reply; `delivery_status` of its message is the worst of its parts."""

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"
    SANDBOXED = "sandboxed"
    """Kept in the console's outbox: a test conversation, or a channel without credentials."""
    CANCELED = "canceled"
    """Its conversation was taken over or closed before it left."""
    UNKNOWN = "unknown"


class PartState(StrEnum):
    """One part's state. `rank` orders what receipts may say; a lower rank never overwrites a higher one."""

    PENDING = "pending"
    SENDING = "sending"
    UNKNOWN = "unknown"
    """Claimed, and the outcome was not learnt: to be reconciled, never blindly repeated."""
    ACCEPTED = "accepted"
    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"
    CANCELED = "canceled"
    SANDBOXED = "sandboxed"

    @property
    def rank(self) -> int:
        """Progress as receipts report it."""
        return _RANK[self]

    @property
    def left(self) -> bool:
        """The provider has it, or it will never be sent: the next part may go."""
        return self in (
            PartState.ACCEPTED,
            PartState.SENT,
            PartState.DELIVERED,
            PartState.SANDBOXED,
        )


_RANK = {
    PartState.PENDING: 0,
    PartState.SENDING: 1,
    PartState.UNKNOWN: 1,
    PartState.ACCEPTED: 2,
    PartState.SENT: 4,
    PartState.SANDBOXED: 5,
    PartState.CANCELED: 5,
    PartState.FAILED: 5,
    PartState.DELIVERED: 6,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    """Where in a mail thread a reply belongs (RFC 5322 §3.6.4)."""

    subject: str | None = None
    in_reply_to: str | None = None
    references: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One sending of a delivery: one SMS, or a whole mail."""

    delivery_id: str
    index: int
    text: str
    hash: str
    """sha256 of the text: a stored part is never made anew."""
    encoding: str | None = None
    segments: int = 1
    state: PartState = PartState.PENDING
    attempt: int = 0
    claimed_at: int | None = None
    provider_message_id: str | None = None
    error_code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A reply that has to reach the end user over a channel. Deliveries of one lane leave in order."""

    id: str
    lane: str
    number: int
    organization_id: str
    conversation_id: str
    message_id: str
    message_seq: int
    turn_id: str | None
    channel: Channel
    sender: str
    """Our address."""
    recipient: str
    text: str
    state: DeliveryState
    attempt: int
    sandboxed: bool
    created_at: int
    thread: Thread = field(default_factory=Thread)
    attachments: tuple[Attachment, ...] = ()
    parts: tuple[Part, ...] = ()


def lane_of(organization_id: str, channel: str, ours: str, theirs: str) -> str:
    """The name of the order in which deliveries between two addresses leave."""
    return f"{organization_id}|{channel}|{ours}|{theirs}"


@dataclass(frozen=True, slots=True)
class PartText:
    """A part before it is stored."""

    text: str
    encoding: str | None = None
    segments: int = 1


class Failure(StrEnum):
    """Why a provider did not take a part, and so what follows (reference: the error table)."""

    PERMANENT = "permanent"
    """This message will never be taken."""
    BAD_ADDRESS = "bad_address"
    OPTED_OUT = "opted_out"
    CONFIGURATION = "configuration"
    """Our account or sender is at fault: stop, tell the operator."""
    TRANSIENT = "transient"
    """The same part may be sent again later."""


@dataclass(frozen=True, slots=True)
class Taken:
    """The provider has it, under this id."""

    provider_message_id: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The provider answered that it does not take it, or was never reached (`TRANSIENT`)."""

    failure: Failure
    code: str
    """The vendor's code, raw, or our own name for a failure before the provider was reached."""
    retry_after: float | None = None
    """Seconds, where the provider says."""


@dataclass(frozen=True, slots=True)
class OutcomeUnknown:
    """The request went out and no answer came: it may have been taken."""

    reason: str


SendOutcome = Taken | Refused | OutcomeUnknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What a provider says later about a part."""

    provider: str
    provider_message_id: str
    state: PartState
    raw_status: str
    error_code: str | None = None
    delivery_id: str | None = None
    """With `part_index`: our own reference, echoed in the callback's URL, so a receipt that
    overtakes the answer to the POST still finds its part (and proves that it was taken)."""
    part_index: int | None = None
    attempt: int | None = None


ATTEMPTS = 5
"""Tries of a turn or a part before it becomes a dead letter."""

BACKOFF_SECONDS = (5, 30, 120, 600)
"""Wait after the first, second … failed attempt."""


def backoff(attempt: int) -> int:
    """Seconds to wait after attempt number `attempt` (1-based) has failed."""
    return BACKOFF_SECONDS[min(attempt, len(BACKOFF_SECONDS)) - 1]
