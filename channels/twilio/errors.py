"""What Twilio's codes and statuses mean for a part: data, because Twilio changes them now and then.

Source: https://www.twilio.com/docs/api/errors and
https://www.twilio.com/docs/messaging/api/message-resource#message-status-values
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from gateway.domain.delivery import Again, Failure, PartState

_P, _T, _C = Failure.PERMANENT, Failure.TRANSIENT, Failure.CONFIGURATION
_BAD, _OUT, _NO = Failure.BAD_ADDRESS, Failure.OPTED_OUT, Failure.NOT_ALLOWED
_OURS, _PAIR = Failure.OUR_REQUEST, Failure.UNROUTABLE


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a code says: why the part was not taken or, in a callback, did not arrive."""

    failure: Failure
    text: str
    retry_after: float | None = None
    """Seconds, where the code itself says that it takes long."""
    late_tries: int = 0
    """How often a text that did not arrive for this is sent once more, `retry_after` later."""


ERRORS: Final[Mapping[int, Meaning]] = MappingProxyType(
    {
        # of a POST
        20003: Meaning(_C, "the credentials are wrong"),
        20404: Meaning(_C, "the account is not there"),
        20429: Meaning(_T, "too many requests at once"),
        21211: Meaning(_BAD, "To is not a number"),
        21212: Meaning(_C, "From is not a number"),
        21214: Meaning(_BAD, "To cannot be reached"),
        21215: Meaning(_NO, "no permission for the region"),
        21217: Meaning(_BAD, "To is not a valid number"),
        21219: Meaning(_NO, "To is not verified, and this is a trial account"),
        21408: Meaning(_NO, "no permission for the region"),
        21421: Meaning(_BAD, "To is not a valid number"),
        21602: Meaning(_OURS, "the body is missing"),
        21603: Meaning(_C, "From is missing"),
        21604: Meaning(_OURS, "To is missing"),
        21606: Meaning(_C, "From is not a number of ours, or cannot send"),
        21608: Meaning(_NO, "To is not verified, and this is a trial account"),
        21609: Meaning(_OURS, "StatusCallback is not a URL"),
        21610: Meaning(_OUT, "the recipient has opted out"),
        21611: Meaning(_T, "the sender's queue is full", 120.0),
        21612: Meaning(_PAIR, "no route from this sender to this recipient"),
        21614: Meaning(_BAD, "To is not a mobile number"),
        21617: Meaning(_OURS, "the body is too long"),
        21620: Meaning(_OURS, "a media URL is not valid"),
        21623: Meaning(_OURS, "too many media files"),
        21624: Meaning(_OURS, "the validity period is not valid"),
        21652: Meaning(_OURS, "a parameter is not allowed here"),
        21659: Meaning(_C, "From is not a number of ours"),
        21660: Meaning(_C, "From and account do not belong together"),
        21701: Meaning(_C, "the messaging service is not there"),
        21702: Meaning(_C, "the messaging service is not there"),
        21703: Meaning(_C, "the messaging service has no sender"),
        21704: Meaning(_C, "the messaging service has no sender"),
        63003: Meaning(_P, "the channel does not know the recipient"),
        63007: Meaning(_C, "the channel does not know the sender"),
        63016: Meaning(_P, "outside the 24-hour window: a template is needed"),
        63024: Meaning(_P, "the recipient is not valid on the channel"),
        # of a callback
        30001: Meaning(_T, "the sender's queue was full", 600.0, 2),
        30002: Meaning(_C, "the account is suspended"),
        30003: Meaning(_T, "the handset is switched off or out of reach", 1800.0, 2),
        30004: Meaning(_PAIR, "blocked"),
        30005: Meaning(_BAD, "unknown or inactive handset"),
        30006: Meaning(_BAD, "a landline, or a carrier that cannot be reached"),
        30007: Meaning(_NO, "filtered by the carrier for what it says"),
        30008: Meaning(_T, "unknown", 1800.0, 1),
        30010: Meaning(_C, "dearer than the price cap"),
        30017: Meaning(_T, "the carrier's network is congested", 300.0, 2),
        30018: Meaning(_C, "the destination demands registration"),
        30019: Meaning(_P, "too large for the carrier"),
        30022: Meaning(_T, "faster than the campaign's rate", 300.0, 2),
        30023: Meaning(_T, "the day's limit of the brand is reached", 86_400.0, 1),
        30024: Meaning(_C, "the sender is not registered with the carrier"),
        30027: Meaning(_T, "the day's limit of the carrier is reached", 86_400.0, 1),
        30032: Meaning(_C, "the toll-free number is not verified"),
        30034: Meaning(_C, "the number is not registered for 10DLC"),
        30036: Meaning(_P, "older than its validity period"),
        63018: Meaning(_T, "faster than the channel's rate", 60.0, 2),
    }
)
"""Twilio's error code → its meaning: 2xxxx answer a POST, 30xxx come in callbacks, 63xxx in both."""

_BY_HTTP_STATUS: Final = {401: _C, 403: _C, 404: _C}

PART_STATES: Final[Mapping[str, PartState]] = MappingProxyType(
    {
        "accepted": PartState.ACCEPTED,
        "scheduled": PartState.ACCEPTED,
        "queued": PartState.ACCEPTED,
        "sending": PartState.ACCEPTED,
        "sent": PartState.SENT,
        "delivered": PartState.DELIVERED,
        "read": PartState.DELIVERED,
        "undelivered": PartState.FAILED,
        "failed": PartState.FAILED,
        "canceled": PartState.CANCELED,
    }
)
"""Twilio's MessageStatus → the part's state."""


def failure_of(http_status: int, code: int) -> Failure:
    """Why a request with this answer was refused; an unknown code in another 4xx is permanent."""
    if http_status == 429:
        return Failure.TRANSIENT
    if code in ERRORS:
        return ERRORS[code].failure
    if 300 <= http_status < 400:
        return Failure.CONFIGURATION  # the API's address is not Twilio's
    return _BY_HTTP_STATUS.get(http_status, Failure.PERMANENT)


def retry_after(code: int) -> float | None:
    """How many seconds a code says to wait, if it does."""
    known = ERRORS.get(code)
    return known.retry_after if known else None


def failure_in_callback(code: str) -> Failure:
    """Why a message that Twilio had taken did not arrive; permanent where the code is not in the table."""
    known = ERRORS.get(int(code)) if code.isdecimal() else None
    return known.failure if known else Failure.PERMANENT


def again(code: str) -> Again | None:
    """Whether, and when, a text that did not arrive for this is sent once more."""
    known = ERRORS.get(int(code)) if code.isdecimal() else None
    if known is None or not known.late_tries or known.retry_after is None:
        return None
    return Again(int(known.retry_after), known.late_tries)


def part_state(message_status: str) -> PartState:
    """The state a callback reports; UNKNOWN, which changes nothing, for a status not in the table."""
    return PART_STATES.get(message_status, PartState.UNKNOWN)
