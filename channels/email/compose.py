"""A reply as the bytes of a mail: threaded, marked as automatic if it is, safe against injected headers.

The same delivery always gives the same mail, Message-ID and Date included: sent twice, it shows once.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime

from channels.email.body import MAX_LINE, Below, MailFile, set_body
from channels.email.charset import one_line
from channels.email.quoted import quoted_html, quoted_text
from channels.email.thread import ThreadMarks, references, reply_subject
from gateway.domain.clock import SECOND
from gateway.domain.delivery import Delivery

MAX_SUBJECT = 800

# Long lines, because shorter ones would have long message ids encoded.
_POLICY = SMTP.clone(max_line_length=MAX_LINE, cte_type="7bit")
_POLICY_UTF8 = SMTPUTF8.clone(max_line_length=MAX_LINE, cte_type="7bit")


def compose(
    delivery: Delivery,
    text: str,
    marks: ThreadMarks,
    files: Sequence[MailFile] = (),
    from_name: str | None = None,
) -> bytes:
    """The mail for a delivery and its files, with CRLF line ends. `from_name`: who it is from, on one line.

    Where an address is not ASCII, its headers are UTF-8 (RFC 6532) and the relay must offer SMTPUTF8.
    Raises ValueError where an address cannot stand in a header.
    """
    thread = delivery.thread
    is_ascii = (delivery.sender + delivery.recipient).isascii()
    mail = EmailMessage(_POLICY if is_ascii else _POLICY_UTF8)
    mail["From"] = _named(from_name, _address(delivery.sender))
    mail["To"] = _address(delivery.recipient)
    mail["Subject"] = _subject(thread.subject, is_reply=thread.in_reply_to is not None)
    mail["Date"] = format_datetime(datetime.fromtimestamp(delivery.created_at // SECOND, UTC))
    mail["Message-ID"] = marks.message_id(delivery.conversation_id, delivery.message_id)
    earlier = references(thread.references, thread.in_reply_to)
    if thread.in_reply_to in earlier:
        mail["In-Reply-To"] = thread.in_reply_to
    if earlier:
        mail["References"] = " ".join(earlier)
    mail["Reply-To"] = marks.reply_address(
        delivery.conversation_id, delivery.sender, delivery.recipient, delivery.created_at
    )
    if not thread.by_person:
        mail["Auto-Submitted"] = "auto-replied"
    mail["X-Auto-Response-Suppress"] = "All"
    mail["X-Loop"] = marks.domain
    mail["MIME-Version"] = "1.0"
    set_body(mail, text, delivery.message_id, Below(quoted_text(delivery), quoted_html(delivery)), files)
    return mail.as_bytes()


def _subject(subject: str | None, *, is_reply: bool) -> str:
    text = one_line(subject or "")[:MAX_SUBJECT]
    return reply_subject(text) if is_reply else text


def _address(mailbox: str) -> str:
    if one_line(mailbox) != mailbox or any(mark in mailbox for mark in ' ,;:<>()"'):
        raise ValueError("this address cannot stand in a header")
    return mailbox


def _named(name: str | None, mailbox: str) -> str:
    """A mailbox with a name before it (RFC 5322 §3.4), which may have any characters."""
    if name is None:
        return mailbox
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}" <{mailbox}>'
