"""What servers report later about a mail of ours: it came back, it is late, somebody called it spam."""

from dataclasses import dataclass
from enum import StrEnum


class ReportKind(StrEnum):
    """What is reported."""

    BAD_ADDRESS = "bad_address"
    """It came back: there is no such mailbox, now or ever."""
    RETURNED = "returned"
    """It came back for another reason (full, refused by policy): the address may still be good."""
    DELAYED = "delayed"
    """It is still being tried."""
    DELIVERED = "delivered"
    COMPLAINT = "complaint"
    """The recipient called it spam."""
    AUTO_REPLY = "auto_reply"
    """A machine answered to where reports go, such as an absence notice (RFC 3834 §4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MailReport:
    """A report that was proven to be about a mail of ours, by one of two marks."""

    kind: ReportKind
    delivery_id: str | None = None
    """Named by the return path that it came to."""
    message_id: str | None = None
    """The message whose mail it quotes, by the id that we gave it."""
    code: str | None = None
    """The enhanced status code (RFC 3463)."""
    text: str = ""
    """What a machine wrote."""
    received_at: int
    """µs."""
