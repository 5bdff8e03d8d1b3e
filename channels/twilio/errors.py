"""What Twilio's codes and statuses mean for a part: data, because Twilio changes them now and then.

Source: https://www.twilio.com/docs/api/errors and
https://www.twilio.com/docs/messaging/api/message-resource#message-status-values
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from gateway.domain.delivery import Failure, PartState


def _all(failure: Failure, codes: Iterable[int]) -> dict[int, Failure]:
    return dict.fromkeys(codes, failure)


FAILURES: Final[Mapping[int, Failure]] = MappingProxyType(
    _all(
        Failure.TRANSIENT,
        (
            20429,  # too many concurrent requests
            21611, 30001,  # the sender's queue is full
            30003,  # handset switched off or out of reach
            30008,  # unknown
            30017, 30022, 30023, 30027,  # congestion, rate of the campaign, daily caps
            63018,  # rate of the channel
        ),
    )
    | _all(
        Failure.CONFIGURATION,
        (
            20003, 20404, 30002,  # credentials, account, account suspended
            21212, 21603, 21606, 21659, 21660, 21701, 21702, 21703, 21704, 63007,  # our sender or service
            21215, 21408,  # no permission for the region
            21219, 21608,  # trial account
            30007, 30018, 30024, 30032, 30034,  # filtered, sender not registered or not verified
            30010,  # price cap
        ),
    )
    | _all(
        Failure.BAD_ADDRESS,
        (
            21211, 21214, 21217, 21421, 21614,  # not a number, not a mobile one
            30005, 30006,  # unknown handset, landline
        ),
    )
    | _all(Failure.OPTED_OUT, (21610,))
    | _all(
        Failure.PERMANENT,
        (
            21602, 21604, 21609, 21617, 21620, 21623, 21624, 21652,  # our request is wrong
            21612,  # no route between these two
            30004, 30019, 30036,  # blocked, too large for the carrier, validity expired
            63003, 63016, 63024,  # channel recipient, outside the 24-hour window
        ),
    )
)  # fmt: skip
"""Twilio's error code → why the part was not taken, or (30xxx, in callbacks) not delivered."""

RETRY_AFTER_SECONDS: Final[Mapping[int, float]] = MappingProxyType({21611: 120.0})
"""How long to wait where the code itself says that it takes long."""

_BY_HTTP_STATUS: Final = {
    401: Failure.CONFIGURATION,
    403: Failure.CONFIGURATION,
    404: Failure.CONFIGURATION,
}

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
    if code in FAILURES:
        return FAILURES[code]
    if 300 <= http_status < 400:
        return Failure.CONFIGURATION  # the API's address is not Twilio's
    return _BY_HTTP_STATUS.get(http_status, Failure.PERMANENT)


def part_state(message_status: str) -> PartState:
    """The state a callback reports; UNKNOWN, which changes nothing, for a status not in the table."""
    return PART_STATES.get(message_status, PartState.UNKNOWN)
