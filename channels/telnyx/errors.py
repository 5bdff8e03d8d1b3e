"""What Telnyx's codes and statuses mean for a part: data, because Telnyx changes them now and then.

Source: https://developers.telnyx.com/docs/messaging/messages/error-codes and
https://developers.telnyx.com/docs/messaging/messages/receiving-webhooks
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from gateway.domain.delivery import Again, Failure, PartState


def _all(failure: Failure, codes: Iterable[str]) -> dict[str, Failure]:
    return dict.fromkeys(codes, failure)


FAILURES: Final[Mapping[str, Failure]] = MappingProxyType(
    _all(
        Failure.TRANSIENT,
        (
            "10007", "10008", "10011",  # unexpected, timed out, too many requests
            "40002", "40006",  # spam filter for a while, the carrier's server is away
            "40011", "40016", "40018",  # rate of the carrier, daily limits of the campaign
            "40318", "40320",  # the queue is full, the sender cannot be used for a while
        ),
    )
    | _all(
        Failure.CONFIGURATION,
        (
            "10001", "10009", "10010",  # number inactive, credentials, permissions
            "20002", "20006", "20012", "20013", "20014",  # API key revoked or expired, account
            "40003", "40010", "40017",  # sender blocked for good, not registered for 10DLC
            "40013", "40100", "40305", "40306", "40307", "40311", "40312",  # our sender or its profile
            "40314", "40321", "40325", "40329", "40330", "40332", "40333",
            # account disabled, no usable number, toll-free not verified, spend limit
        ),
    )
    | _all(
        Failure.BAD_ADDRESS,
        (
            "10002", "10016",  # not a phone number
            "40001", "40012", "40310",  # landline, not a destination
        ),
    )
    | _all(Failure.NOT_ALLOWED, ("40313", "40331"))  # region, destinations not on the list
    | _all(Failure.OPTED_OUT, ("40300",))
    | _all(
        Failure.PERMANENT,
        (
            "10004", "10014", "10015",  # our request is wrong
            "40004", "40005", "40008", "40009", "40014", "40015",
            # rejected, expired, undeliverable, bad body, expired in the queue, internal spam filter
            "40301", "40302", "40304", "40315", "40316", "40317", "40319", "40322", "40328",
            # type, size, combination, media, content
        ),
    )
)  # fmt: skip
"""Telnyx's error code → why the part was not taken, or (in events) not delivered."""

LATE: Final[Mapping[str, Again]] = MappingProxyType(
    {
        "40002": Again(1800, 1),
        "40006": Again(600, 2),
        "40011": Again(300, 2),
        "40016": Again(86_400, 1),
        "40018": Again(86_400, 1),
        "40318": Again(600, 2),
        "40320": Again(600, 2),
    }
)
"""A code in an event → when a text that did not arrive for it is sent once more, and how often."""

_BY_HTTP_STATUS: Final = {
    401: Failure.CONFIGURATION,
    402: Failure.CONFIGURATION,
    403: Failure.CONFIGURATION,
    404: Failure.CONFIGURATION,
}

PART_STATES: Final[Mapping[str, PartState]] = MappingProxyType(
    {
        "queued": PartState.ACCEPTED,
        "sending": PartState.ACCEPTED,
        "sent": PartState.SENT,
        "delivery_unconfirmed": PartState.SENT,  # the carrier tells nothing more
        "delivered": PartState.DELIVERED,
        "sending_failed": PartState.FAILED,
        "delivery_failed": PartState.FAILED,
        "expired": PartState.FAILED,
    }
)
"""Telnyx's status of a recipient → the part's state."""


def failure_of(http_status: int, code: str) -> Failure:
    """Why a request with this answer was refused; an unknown code in another 4xx is permanent."""
    if http_status == 429:
        return Failure.TRANSIENT
    if code in FAILURES:
        return FAILURES[code]
    if 300 <= http_status < 400:
        return Failure.CONFIGURATION  # the API's address is not Telnyx's
    return _BY_HTTP_STATUS.get(http_status, Failure.PERMANENT)


def failure_in_event(code: str) -> Failure:
    """Why a message that Telnyx had taken did not arrive; permanent where the code is not in the table.

    Never a reason to stop the sender: most such codes (spam, registration) depend on what one recipient made
    the agent say, or on one carrier.
    """
    failure = FAILURES.get(code, Failure.PERMANENT)
    return Failure.NOT_ALLOWED if failure is Failure.CONFIGURATION else failure


def part_state(status: str) -> PartState:
    """The state an event reports; UNKNOWN, which changes nothing, for a status not in the table."""
    return PART_STATES.get(status, PartState.UNKNOWN)
