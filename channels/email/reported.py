"""Which mail of ours a report is about, and what follows: told by marks that only our own mail carries.

A report is a claim that anybody can write. It counts where it came to the return path of one mail, or quotes
that mail's own id: both hold a MAC. RFC 3464, RFC 5965; VERP.
"""

from collections.abc import Sequence
from dataclasses import replace

from channels.email.kind import MailKind
from channels.email.parse import ParsedMail
from channels.email.report import DsnAction, RecipientStatus
from channels.email.thread import ThreadMarks
from gateway.domain.mail_report import MailReport, ReportKind

BAD_ADDRESS = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"})
"""Enhanced codes that say that there is no such mailbox (RFC 3463 §3.2, §3.3, RFC 7505)."""
_MAX_TEXT = 20_000

_ACTIONS = {
    DsnAction.DELAYED: ReportKind.DELAYED,
    DsnAction.DELIVERED: ReportKind.DELIVERED,
    DsnAction.RELAYED: ReportKind.DELAYED,
    DsnAction.EXPANDED: ReportKind.DELAYED,
}


def reports_in(
    mail: ParsedMail, addresses: Sequence[str], marks: ThreadMarks, received_at: int
) -> list[MailReport]:
    """What is reported, for each mail of ours that is proven to be meant; nothing where none is."""
    deliveries = [found for found in map(marks.delivery_of_return_path, addresses) if found]
    kind, code = _what(mail)
    complained = mail.feedback_report.mail_from if mail.feedback_report else None
    named = marks.delivery_of_return_path(complained) if complained else None
    if not deliveries and named:
        deliveries = [named]
    text = mail.text[:_MAX_TEXT] if kind is ReportKind.AUTO_REPLY else ""
    report = MailReport(kind=kind, code=code, text=text, received_at=received_at)
    if deliveries:
        return [replace(report, delivery_id=found) for found in dict.fromkeys(deliveries)]
    quoted = _quoted_id(mail)
    message_id = marks.message_of_message_id(quoted) if quoted else None
    return [] if message_id is None else [replace(report, message_id=message_id)]


def _what(mail: ParsedMail) -> tuple[ReportKind, str | None]:
    """The kind of report and its code. Whatever else comes to a return path, a machine wrote."""
    if mail.kind is MailKind.COMPLAINT:
        return ReportKind.COMPLAINT, None
    if mail.kind is not MailKind.BOUNCE:
        return ReportKind.AUTO_REPLY, None
    told = mail.delivery_report.recipients if mail.delivery_report else ()
    return _returned(told[0]) if told else (ReportKind.RETURNED, None)


def _returned(status: RecipientStatus) -> tuple[ReportKind, str | None]:
    code = status.status
    if status.action in _ACTIONS:
        return _ACTIONS[status.action], code
    return ReportKind.BAD_ADDRESS if code in BAD_ADDRESS else ReportKind.RETURNED, code


def _quoted_id(mail: ParsedMail) -> str | None:
    """The id that a bounce or a complaint quotes; no other mail reports by quoting."""
    report = mail.delivery_report or mail.feedback_report
    return report.message_id if report else None
