"""The refusals of the fake Twilio, with the codes and texts of the real API.

Source: https://www.twilio.com/docs/api/errors; the magic numbers are those of Twilio's test credentials,
https://www.twilio.com/docs/iam/test-credentials.
"""

from collections.abc import Mapping
from typing import Final


class RestError(Exception):
    """A REST request is refused with an HTTP status and a Twilio error code."""

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(f"{code} {message}")
        self.code = code
        self.message = message
        self.status = status

    def body(self) -> dict[str, object]:
        """The JSON answer."""
        return {
            "code": self.code,
            "message": self.message,
            "more_info": f"https://www.twilio.com/docs/errors/{self.code}",
            "status": self.status,
        }


def unauthenticated() -> RestError:
    """Credentials are missing or wrong."""
    return RestError(20003, "Authenticate", 401)


def not_found(path: str) -> RestError:
    """There is no such resource."""
    return RestError(20404, f"The requested resource {path} was not found", 404)


BAD_TO: Final[Mapping[str, tuple[int, str]]] = {
    "+15005550001": (21211, "The 'To' number +15005550001 is not a valid phone number."),
    "+15005550002": (
        21612,
        "The 'To' phone number: +15005550002, is not currently reachable using the 'From' phone number",
    ),
    "+15005550003": (
        21408,
        "Permission to send an SMS has not been enabled for the region indicated by the 'To' number",
    ),
    "+15005550004": (21610, "Attempt to send to unsubscribed recipient"),
    "+15005550009": (21614, "'To' number is not a valid mobile number"),
}
"""Destinations that are always refused, with code and message."""

BAD_FROM: Final[Mapping[str, tuple[int, str]]] = {
    "+15005550001": (21212, "The 'From' number +15005550001 is not a valid phone number"),
    "+15005550007": (
        21606,
        "The 'From' phone number provided (+15005550007) is not a valid message-capable phone number",
    ),
    "+15005550008": (21611, "This 'From' number has exceeded the maximum number of queued messages"),
}
"""Senders that are always refused, with code and message."""
