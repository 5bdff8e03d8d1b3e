"""Raw mail to what the gateway needs of it. Never raises, whatever the bytes, and takes linear time.

The text is chosen as a mail program would show it, the new text told from the history (`trim`), the sender
taken only from a From header that plainly holds one mailbox.
"""

from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from hashlib import sha256

from channels.email.charset import decode
from channels.email.files import MailAttachment, files_of, is_attachment
from channels.email.html_text import html_lines
from channels.email.kind import MailKind, kind_of
from channels.email.lines import Line, plain_lines, text_of
from channels.email.mailboxes import read_mailboxes
from channels.email.mime import MAX_HEADER, Entity, read_mail
from channels.email.report import (
    DeliveryReport,
    FeedbackReport,
    read_delivery_report,
    read_feedback_report,
)
from channels.email.thread import made_id, read_ids, thread_mark
from channels.email.trim import trim_lines
from gateway.domain.clock import SECOND

MAX_RAW = 31_457_280
"""Bytes of a mail that is looked into (30 MB); of a longer one only the headers are read."""
MAX_TEXT = 200_000
"""Characters of a mail's text; the rest is left in the raw mail."""
MAX_HTML = 1_000_000
"""Characters of HTML that are turned into text."""
MAX_SUBJECT = 1_000
_THIN = 5
"""A plain text with less than one fifth of the HTML's is taken for a stub."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedMail:
    """A mail, read. Everything in it is the sender's claim."""

    subject: str
    sender: str | None
    """The canonical mailbox of From; None unless there is plainly one."""
    from_count: int
    recipients: tuple[str, ...]
    """To and Cc, canonical. Where a mail goes is decided by its envelope, not by these."""
    message_id: str
    """`<id>`; made from the mail's hash where it has none."""
    in_reply_to: str | None
    references: tuple[str, ...]
    """Oldest first, at most 50."""
    thread_mark: str | None
    """What Outlook's mails of one thread have in common."""
    date: int | None
    """µs since the epoch."""
    text: str
    """The new text."""
    full_text: str
    quoted_text: str
    attachments: tuple[MailAttachment, ...]
    kind: MailKind
    delivery_report: DeliveryReport | None
    """Of a bounce: what it says."""
    feedback_report: FeedbackReport | None
    """Of a complaint: what it says."""
    forwarded: bool
    hops: int
    """How many servers say they passed it on (Received)."""
    loop_marks: tuple[str, ...]
    """What X-Loop says: who has sent this mail on before."""
    body_hash: str
    """sha256 of sender and body, which stays the same when a server repeats the mail."""

    @property
    def thread_ids(self) -> tuple[str, ...]:
        """The ids this mail answers, the likeliest first."""
        answered = (self.in_reply_to,) if self.in_reply_to else ()
        return tuple(dict.fromkeys((*answered, *reversed(self.references))))


def parse_mail(raw: bytes, mail_from: str | None = None) -> ParsedMail:
    """Read a mail. `mail_from` is its envelope's sender, where known: the empty one marks a report."""
    try:
        return _parsed(raw, mail_from)
    except Exception:  # a mail that defeats the reader is kept and shown to an operator, never refused
        return unparseable(raw)


def _parsed(raw: bytes, mail_from: str | None) -> ParsedMail:
    complete = len(raw) <= MAX_RAW
    mail = read_mail(raw if complete else raw[: 2 * MAX_TEXT])
    headers = mail.headers
    subject = headers.text("subject")[:MAX_SUBJECT]
    senders = [box for value in headers.all("from") for box in read_mailboxes(value)]
    plain = all(len(value) < MAX_HEADER - 3 for value in headers.all("from")) and headers.complete
    sender = senders[0] if len(senders) == 1 and plain else None
    lines = _lines_of(mail)
    trimmed = trim_lines(lines, subject)
    ids = read_ids(headers.get("message-id"))
    # Python's own mail library, for one, encodes ids that are longer than a line.
    answered = read_ids(headers.text("in-reply-to"))
    readable = complete and headers.complete
    kind = kind_of(mail, sender, subject, mail_from) if readable else MailKind.UNPARSEABLE
    return ParsedMail(
        subject=subject,
        sender=sender,
        from_count=len(senders),
        recipients=_recipients(mail),
        message_id=ids[0] if ids else made_id(raw),
        in_reply_to=answered[0] if answered else None,
        references=read_ids(headers.text("references")),
        thread_mark=thread_mark(headers.get("thread-index")),
        date=_moment(headers.get("date")),
        text=trimmed.new_text,
        full_text=text_of(lines),
        quoted_text=trimmed.quoted_text,
        attachments=tuple(files_of(mail)),
        kind=kind,
        delivery_report=read_delivery_report(mail) if kind is MailKind.BOUNCE else None,
        feedback_report=read_feedback_report(mail) if kind is MailKind.COMPLAINT else None,
        forwarded=trimmed.forwarded,
        hops=len(headers.all("received")),
        loop_marks=tuple(headers.all("x-loop")),
        body_hash=_body_hash(sender, raw, mail.start),
    )


def unparseable(raw: bytes) -> ParsedMail:
    """What is left of a mail that defeats the reader: nothing but its bytes, to be kept and shown."""
    return ParsedMail(
        subject="",
        sender=None,
        from_count=0,
        recipients=(),
        message_id=made_id(raw),
        in_reply_to=None,
        references=(),
        thread_mark=None,
        date=None,
        text="",
        full_text=decode(raw[:MAX_TEXT]),
        quoted_text="",
        attachments=(),
        kind=MailKind.UNPARSEABLE,
        delivery_report=None,
        feedback_report=None,
        forwarded=False,
        hops=0,
        loop_marks=(),
        body_hash=_body_hash(None, raw, 0),
    )


def _body_hash(sender: str | None, raw: bytes, start: int) -> str:
    digest = sha256((sender or "").encode("utf-8", "replace") + b"\0")
    digest.update(memoryview(raw)[start:])
    return digest.hexdigest()


def _recipients(mail: Entity) -> tuple[str, ...]:
    values = [*mail.headers.all("to"), *mail.headers.all("cc")]
    boxes = (box for value in values[:10] for box in read_mailboxes(value))
    return tuple(dict.fromkeys(box for box in boxes if box))


def _moment(date: str) -> int | None:
    try:
        moment = parsedate_to_datetime(date[:200])
        return int(moment.timestamp()) * SECOND
    except (ValueError, TypeError, IndexError, OverflowError, OSError):
        return None


def _lines_of(entity: Entity) -> list[Line]:
    """What a mail program would show, at most `MAX_TEXT` characters."""
    lines: list[Line] = []
    left = MAX_TEXT
    for line in _shown(*_readings(entity)):
        if left <= 0:
            break
        lines.append(line if len(line.text) <= left else line._replace(text=line.text[:left]))
        left -= len(line.text) + 1
    return lines


_Lines = list[Line]


def _readings(entity: Entity) -> tuple[_Lines, _Lines]:
    """(plain text, text of HTML) of a part; a multipart is plain unless it holds alternatives."""
    if not entity.children:
        return _leaf(entity)
    readings = [_readings(child) for child in entity.children]
    if entity.media_type == "multipart/alternative":
        plain = next((plain for plain, _ in readings if _weight(plain)), [])
        rich = next((rich for _, rich in reversed(readings) if _weight(rich)), [])
        return plain, rich
    if not any(_weight(plain) for plain, _ in readings):
        return [], [line for _, rich in readings for line in rich]
    return [line for plain, rich in readings for line in _shown(plain, rich)], []


def _leaf(entity: Entity) -> tuple[_Lines, _Lines]:
    if is_attachment(entity):
        return [], []
    if entity.media_type == "text/html":
        return [], html_lines(entity.text(MAX_HTML))
    return plain_lines(entity.text(MAX_TEXT)), []


def _shown(plain: _Lines, rich: _Lines) -> _Lines:
    """Plain text, unless it is missing or a stub ("your program cannot show this")."""
    return rich if _weight(plain) * _THIN < _weight(rich) else plain


def _weight(lines: _Lines) -> int:
    """How much there is to read."""
    return sum(len(line.text) for line in lines if not line.blank)
