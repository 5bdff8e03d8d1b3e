"""What a machine reports of our mail, read into fixed words: bounces (RFC 3464) and complaints (RFC 5965).

A report is a claim like any other mail: whoever acts on it first proves by the return path it came to, or by
the id of the mail it is about, that such a mail was sent. Mail that came back without a machine-readable part
is looked through for the few things servers agree on. Bounded: so many recipients, so many characters.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from channels.email.charset import one_line
from channels.email.mailboxes import canonical
from channels.email.mime import Entity, Headers, read_header_blocks
from channels.email.thread import read_ids

MAX_RECIPIENTS = 100
"""Recipients read from one report."""
MAX_DIAGNOSTIC = 500
"""Characters kept of what the other server said."""
_MAX_TEXT = 20_000
"""Characters of a report in prose that are looked through."""

_STATUS = re.compile(r"(?<![0-9.])([245])\.([0-9]{1,3})\.([0-9]{1,3})(?![0-9.])")
_BASIC_REPLY = re.compile(r"(?<![0-9.-])([45])[0-9]{2}(?=[ -])")
_MAILBOX = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9.-]{1,253}")


class DsnAction(StrEnum):
    """What became of the mail for one recipient (RFC 3464 §2.3.3)."""

    FAILED = "failed"
    DELAYED = "delayed"
    """It is still being tried: no verdict on the address."""
    DELIVERED = "delivered"
    RELAYED = "relayed"
    EXPANDED = "expanded"
    UNKNOWN = "unknown"
    """None of these; the raw word is in the raw mail."""


class FeedbackType(StrEnum):
    """Why a recipient or their provider reports a mail (RFC 5965 §7.3, RFC 6430, RFC 6591)."""

    ABUSE = "abuse"
    FRAUD = "fraud"
    VIRUS = "virus"
    OTHER = "other"
    NOT_SPAM = "not-spam"
    AUTH_FAILURE = "auth-failure"
    OPT_OUT = "opt-out"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientStatus:
    """What a bounce says of one recipient."""

    recipient: str | None
    """The mailbox we had sent to, canonical: Original-Recipient, else Final-Recipient."""
    final_recipient: str | None
    """Where a forwarding led in the end; canonical."""
    action: DsnAction
    status: str | None
    """Enhanced status code such as `5.1.1` (RFC 3463); `5.0.0` where only a reply code (550) was given."""
    diagnostic: str
    """What the other server said, on one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryReport:
    """A bounce."""

    recipients: tuple[RecipientStatus, ...]
    """Empty where the bounce names nobody."""
    message_id: str | None
    """`<id>` of the mail that it is about, where that is part of it."""
    envelope_id: str | None
    """Original-Envelope-Id: what we gave with ENVID (RFC 3461)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackReport:
    """A complaint."""

    feedback_type: FeedbackType
    recipients: tuple[str, ...]
    """Who complains: the mailboxes we had sent to, canonical, where the provider does not hide them."""
    mail_from: str | None
    """The return path of the mail it is about, canonical."""
    message_id: str | None
    """`<id>` of the mail it is about."""


_ACTIONS = {action.value: action for action in DsnAction}
_FEEDBACK_TYPES = {feedback.value: feedback for feedback in FeedbackType}
_STATUS_TYPES = ("message/delivery-status", "message/global-delivery-status")
_ORIGINAL_TYPES = ("message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers")
_RETURNED_BEGINS = (
    "received:",
    "return-path:",
    "--- below this line",
    "----- original message",
    "------ this is a copy",
)


def read_delivery_report(mail: Entity) -> DeliveryReport:
    """The bounce a mail is: by its message/delivery-status, else by what its headers and its text say."""
    parts = list(_parts(mail))
    status = next((part for part in parts if part.media_type in _STATUS_TYPES), None)
    blocks = read_header_blocks(status.content(), MAX_RECIPIENTS + 1) if status else []
    of_message = blocks[0] if blocks else None
    recipients = tuple(_recipient_status(block) for block in blocks if block.get("final-recipient"))
    return DeliveryReport(
        recipients=recipients or _in_prose(mail, parts),
        message_id=_original_id(mail, parts),
        envelope_id=_capped(of_message.get("original-envelope-id")) or None if of_message else None,
    )


def read_feedback_report(mail: Entity) -> FeedbackReport:
    """The complaint a mail is."""
    parts = list(_parts(mail))
    report = next((part for part in parts if part.media_type == "message/feedback-report"), None)
    blocks = read_header_blocks(report.content(), 1) if report else []
    fields = blocks[0] if blocks else Headers((), True)
    word = fields.get("feedback-type").strip().lower()
    named = [*fields.all("original-rcpt-to"), *fields.all("removal-recipient")][:MAX_RECIPIENTS]
    return FeedbackReport(
        feedback_type=_FEEDBACK_TYPES.get(word, FeedbackType.UNKNOWN),
        recipients=tuple(dict.fromkeys(filter(None, map(_plain_mailbox, named)))),
        mail_from=_plain_mailbox(fields.get("original-mail-from")),
        message_id=_original_id(mail, parts),
    )


def _parts(mail: Entity) -> Iterator[Entity]:
    yield mail
    for child in mail.children:
        yield from _parts(child)


def _recipient_status(block: Headers) -> RecipientStatus:
    word = block.get("action").partition("(")[0].strip().lower()
    final = _typed_mailbox(block.get("final-recipient"))
    diagnostic = block.text("diagnostic-code")
    code = _STATUS.search(block.get("status")) or _STATUS.search(diagnostic)
    return RecipientStatus(
        recipient=_typed_mailbox(block.get("original-recipient")) or final,
        final_recipient=final,
        action=_ACTIONS.get(word, DsnAction.UNKNOWN),
        status=code[0] if code else None,
        diagnostic=diagnostic.partition(";")[2].strip()[:MAX_DIAGNOSTIC] or diagnostic[:MAX_DIAGNOSTIC],
    )


def _in_prose(mail: Entity, parts: list[Entity]) -> tuple[RecipientStatus, ...]:
    """Who is named by X-Failed-Recipients, else by the text above the returned mail."""
    prose = next((part for part in parts if part.media_type == "text/plain"), None)
    text = prose.text(_MAX_TEXT) if prose else ""
    lines = text.split("\n")
    returned = next(
        (i for i, line in enumerate(lines) if line.lower().startswith(_RETURNED_BEGINS)), len(lines)
    )
    above = "\n".join(lines[:returned])
    status, diagnostic = _code_in(lines[:returned])
    listed = mail.headers.get("x-failed-recipients")
    named = dict.fromkeys(filter(None, map(_plain_mailbox, _MAILBOX.findall(listed or above))))
    if not listed and len(named) > 1:
        # several addresses in prose: which of them failed nobody can tell
        named = dict.fromkeys(box for box in named if not box.startswith(("mailer-daemon@", "postmaster@")))
        named = named if len(named) == 1 else {}
    return tuple(
        RecipientStatus(
            recipient=box,
            final_recipient=box,
            action=DsnAction.DELAYED if (status or "").startswith("4") else DsnAction.FAILED,
            status=status,
            diagnostic=diagnostic,
        )
        for box in list(named)[:MAX_RECIPIENTS]
    )


def _code_in(lines: list[str]) -> tuple[str | None, str]:
    """The first status code in prose, and its line."""
    for line in lines:
        code = _STATUS.search(line)
        if code:
            return code[0], _capped(line)
    for line in lines:
        basic = _BASIC_REPLY.search(line)
        if basic:
            return f"{basic[1]}.0.0", _capped(line)
    return None, ""


def _original_id(mail: Entity, parts: list[Entity]) -> str | None:
    """The Message-ID of the mail that came back, else of the one this answers."""
    for part in parts:
        if part.media_type in _ORIGINAL_TYPES:
            blocks = read_header_blocks(part.content(_MAX_TEXT * 4), 1)
            ids = read_ids(blocks[0].text("message-id")) if blocks else ()
            if ids:
                return ids[0]
    answered = read_ids(mail.headers.text("in-reply-to")) or read_ids(mail.headers.text("references"))
    return answered[-1] if answered else None


def _typed_mailbox(value: str) -> str | None:
    """The mailbox of `rfc822; a@example.org`."""
    kind, semicolon, address = value.partition(";")
    return _plain_mailbox(address if semicolon else kind)


def _plain_mailbox(address: str) -> str | None:
    return canonical(address.strip().strip("<>").rstrip("."))


def _capped(text: str) -> str:
    return one_line(text)[:MAX_DIAGNOSTIC]
