"""Deliveries: a reply's way to the provider, in parts, with attempts and receipts."""

from dataclasses import field
from enum import StrEnum

from gateway.domain.message import Attachment, Channel
from gateway.domain.record import record


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
    """Claimed, and the outcome was not learnt: to be reconciled, never blindly repeated.

    In a receipt: a status that we do not know; it still proves that the part was taken."""
    ACCEPTED = "accepted"
    SENT = "sent"
    UNCONFIRMED = "unconfirmed"
    """The provider has sent it, and nobody said for days whether it arrived: many carriers never do."""
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
        """The provider has it, or it stays here: the next part may go."""
        return self in (
            PartState.ACCEPTED,
            PartState.SENT,
            PartState.UNCONFIRMED,
            PartState.DELIVERED,
            PartState.SANDBOXED,
        )

    @property
    def lost(self) -> bool:
        """It has not arrived and will not: what is left of its reply is not sent."""
        return self in (PartState.FAILED, PartState.CANCELED)


_RANK = {
    PartState.PENDING: 0,
    PartState.SENDING: 1,
    PartState.UNKNOWN: 1,
    PartState.ACCEPTED: 2,
    PartState.SENT: 4,
    PartState.UNCONFIRMED: 4,
    PartState.SANDBOXED: 5,
    PartState.CANCELED: 5,
    PartState.FAILED: 5,
    PartState.DELIVERED: 6,
}


@record(frozen=True, slots=True)
class Answered:
    """What a reply answers, to be quoted below it."""

    text: str
    at: int
    """When it came, µs."""


@record(frozen=True, slots=True, kw_only=True)
class Thread:
    """Where in a mail thread a reply belongs (RFC 5322 §3.6.4)."""

    subject: str | None = None
    in_reply_to: str | None = None
    references: tuple[str, ...] = ()
    answered: Answered | None = None
    """Only where it is proven that its recipient wrote it: we carry nobody's words to somebody else."""
    by_person: bool = False
    """A person wrote the reply: it is no automatic one (RFC 3834 §5)."""


@record(frozen=True, slots=True, kw_only=True)
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
    refusals: int = 0
    """How many of the attempts were refused for now."""
    late_tries: int = 0
    """How often it was taken, did not arrive for now, and is sent once more."""
    claimed_at: int | None = None
    first_claimed_at: int | None = None
    """When it first tried to leave, µs: since then it holds up what is behind it."""
    slot_at: int | None = None
    """Its place in the sender's rate, µs, where it has been given one and was not claimed since."""
    provider_message_id: str | None = None
    error_code: str | None = None


@record(frozen=True, slots=True, kw_only=True)
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

    @property
    def begins(self) -> bool:
        """Whether we began the conversation with it: nothing comes before the first message."""
        return self.message_seq == 0


def lane_of(organization_id: str, channel: str, ours: str, theirs: str) -> str:
    """The name of the order in which deliveries between two addresses leave."""
    return f"{organization_id}|{channel}|{ours}|{theirs}"


@record(frozen=True, slots=True)
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
    """Nothing can be delivered there: the address is marked."""
    OPTED_OUT = "opted_out"
    """Its owner wants nothing from us: the pair is suppressed."""
    UNROUTABLE = "unroutable"
    """Not from this sender to this address; another sender may."""
    NOT_ALLOWED = "not_allowed"
    """Our account may not send this one, others it may: for the operator to see."""
    OUR_REQUEST = "our_request"
    """The request is wrong: a fault of ours."""
    CONFIGURATION = "configuration"
    """Our account or sender is at fault, whatever is sent: it is stopped, for the operator to mend."""
    TRANSIENT = "transient"
    """The same part may be sent again later."""


@record(frozen=True, slots=True)
class Taken:
    """The provider has it, under this id."""

    provider_message_id: str


NOT_SENT = "not_sent"
"""Our code for a request of which nothing was written."""


@record(frozen=True, slots=True)
class Refused:
    """The provider answered that it does not take it, or was never reached (`TRANSIENT`)."""

    failure: Failure
    code: str
    """The vendor's code, raw, or our own name for a failure before the provider was reached."""
    retry_after: float | None = None
    """Seconds at least, where the provider says."""

    @property
    def never_left(self) -> bool:
        """Whether nothing of the request was written: the provider was not reached."""
        return self.code == NOT_SENT


@record(frozen=True, slots=True)
class OutcomeUnknown:
    """The request went out and no answer came: it may have been taken."""

    reason: str


SendOutcome = Taken | Refused | OutcomeUnknown


@record(frozen=True, slots=True)
class Again:
    """A part that did not arrive for now is sent once more."""

    after: int
    """Seconds."""
    times: int
    """At most so often."""


LATE_AT_MOST = 36 * 3600
"""Seconds after a reply was said in which it may be sent once more: a day's limit, and some."""


@record(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What a provider says later about a part."""

    provider: str
    provider_message_id: str
    state: PartState
    raw_status: str
    error_code: str | None = None
    failure: Failure | None = None
    """What `error_code` means, where the state is FAILED and the code is known."""
    again: Again | None = None
    """Whether that may be another time, where the failure is transient."""
    delivery_id: str | None = None
    """With `part_index`: our own reference, echoed in the callback's URL, so a receipt that
    overtakes the answer to the POST still finds its part (and proves that it was taken)."""
    part_index: int | None = None
    attempt: int | None = None
