"""Bounces and complaints, read into fixed words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.email.kind import MailKind
from channels.email.parse import ParsedMail, parse_mail
from channels.email.report import (
    DeliveryReport,
    DsnAction,
    FeedbackReport,
    FeedbackType,
    RecipientStatus,
)

OURS = "<c.agratryjz5zhvf442z2vjaihoy.x@shop.example>"


def report(report_type: str, *parts: str, headers: str = "From: MAILER-DAEMON@mx.example.com") -> bytes:
    body = "".join(f"--b\r\n{part}\r\n" for part in parts)
    return (
        f"{headers}\r\nContent-Type: multipart/report; report-type={report_type}; boundary=b\r\n\r\n"
        f"{body}--b--\r\n"
    ).encode()


def bounce_of(parsed: ParsedMail) -> DeliveryReport:
    assert parsed.kind is MailKind.BOUNCE
    assert parsed.delivery_report is not None
    return parsed.delivery_report


BOUNCE = report(
    "delivery-status",
    "Content-Type: text/plain\r\n\r\nSorry.",
    "Content-Type: message/delivery-status\r\n\r\n"
    "Reporting-MTA: dns; mx.example.com\r\nOriginal-Envelope-Id: env-1\r\n\r\n"
    "Original-Recipient: rfc822;Ana@Example.COM\r\nFinal-Recipient: rfc822; ana.d@mail.example.com\r\n"
    "Action: failed (bad mailbox)\r\nStatus: 5.1.1 (no such user)\r\n"
    "Diagnostic-Code: smtp; 550 5.1.1\r\n <ana.d@mail.example.com>: unknown\r\n\r\n"
    "Final-Recipient: rfc822; <bob@example.com>\r\nAction: Delayed\r\nStatus: 4.4.1\r\n\r\n"
    "Final-Recipient: x400; /s=carl/\r\nAction: vanished\r\n",
    f"Content-Type: message/rfc822\r\n\r\nFrom: s@shop.example\r\nMessage-ID: {OURS}\r\n\r\nHello",
)


def test_a_bounce_is_read_field_by_field() -> None:
    assert bounce_of(parse_mail(BOUNCE)) == DeliveryReport(
        recipients=(
            RecipientStatus(
                recipient="ana@example.com",
                final_recipient="ana.d@mail.example.com",
                action=DsnAction.FAILED,
                status="5.1.1",
                diagnostic="550 5.1.1 <ana.d@mail.example.com>: unknown",
            ),
            RecipientStatus(
                recipient="bob@example.com",
                final_recipient="bob@example.com",
                action=DsnAction.DELAYED,
                status="4.4.1",
                diagnostic="",
            ),
            RecipientStatus(
                recipient=None, final_recipient=None, action=DsnAction.UNKNOWN, status=None, diagnostic=""
            ),
        ),
        message_id=OURS,
        envelope_id="env-1",
    )


@pytest.mark.parametrize(
    ("headers", "body", "recipient", "action", "status"),
    [
        (
            "From: postmaster@x.org\r\nX-Failed-Recipients: ana@example.com, bob@example.com",
            "550 5.7.1 not wanted",
            "ana@example.com",
            DsnAction.FAILED,
            "5.7.1",
        ),
        (
            "From: MAILER-DAEMON@x.org\r\nReturn-Path: <>\r\nSubject: failure notice",
            "Hi. This is the qmail-send program.\n\n<ana@example.com>:\n10.0.0.1 failed after I sent\n"
            "Remote host said: 550 sorry, no mailbox here\n\n--- Below this line is a copy\n\nTo: c@x.org",
            "ana@example.com",
            DsnAction.FAILED,
            "5.0.0",
        ),
        (
            "From: MAILER-DAEMON@x.org\r\nReturn-Path: <>\r\nSubject: Undelivered Mail Returned to Sender",
            "<ana@example.com>: 451 4.2.2 mailbox full",
            "ana@example.com",
            DsnAction.DELAYED,
            "4.2.2",
        ),
        (
            "From: postmaster@x.org\r\nReturn-Path: <>\r\nSubject: Undeliverable: Hi",
            "ana@example.com or bob@example.com could not be reached",
            None,
            None,
            None,
        ),
    ],
)
def test_a_bounce_in_prose(
    headers: str, body: str, recipient: str | None, action: DsnAction | None, status: str | None
) -> None:
    named = bounce_of(parse_mail(f"{headers}\r\n\r\n{body}".encode())).recipients
    found = (named[0].recipient, named[0].action, named[0].status) if named else (None, None, None)
    assert found == (recipient, action, status)


def test_a_returned_mail_is_known_by_the_headers_alone() -> None:
    raw = report("delivery-status", f"Content-Type: text/rfc822-headers\r\n\r\nMessage-ID: {OURS}\r\n")
    assert bounce_of(parse_mail(raw)).message_id == OURS


def test_a_bounce_without_the_mail_names_what_it_answers() -> None:
    raw = report("delivery-status", "\r\nx", headers=f"From: a@x.org\r\nReferences: <a@x> {OURS}")
    assert bounce_of(parse_mail(raw)).message_id == OURS


def test_a_complaint_is_read() -> None:
    raw = report(
        "feedback-report",
        "\r\nThis is an abuse report",
        "Content-Type: message/feedback-report\r\n\r\nFeedback-Type: Abuse\r\nVersion: 1\r\n"
        "Original-Mail-From: <b+token@bounce.shop.example>\r\nOriginal-Rcpt-To: <ana@example.com>\r\n"
        "Original-Rcpt-To: ana@example.com\r\n",
        f"Content-Type: message/rfc822\r\n\r\nMessage-ID: {OURS}\r\n\r\nHello",
        headers="From: feedback@provider.example",
    )
    parsed = parse_mail(raw)
    assert parsed.kind is MailKind.COMPLAINT
    assert parsed.feedback_report == FeedbackReport(
        feedback_type=FeedbackType.ABUSE,
        recipients=("ana@example.com",),
        mail_from="b+token@bounce.shop.example",
        message_id=OURS,
    )


def test_words_that_nobody_defined_are_unknown() -> None:
    parsed = parse_mail(
        report("feedback-report", "Content-Type: message/feedback-report\r\n\r\nFeedback-Type: x")
    )
    assert parsed.feedback_report is not None
    assert parsed.feedback_report.feedback_type is FeedbackType.UNKNOWN


def test_ordinary_mail_reports_nothing() -> None:
    parsed = parse_mail(b"From: ana@example.com\n\nHi")
    assert (parsed.delivery_report, parsed.feedback_report) == (None, None)


def test_a_report_of_thousands_is_cut_off() -> None:
    blocks = "\r\n".join(f"Final-Recipient: rfc822; a{i}@x.org\r\nAction: failed\r\n" for i in range(3000))
    raw = report("delivery-status", f"Content-Type: message/delivery-status\r\n\r\nA: b\r\n\r\n{blocks}")
    assert len(bounce_of(parse_mail(raw)).recipients) == 100


PIECES = st.sampled_from(
    [
        "Final-Recipient: rfc822; a@x.org",
        "Action: failed",
        "Status: 5.1.1",
        "",
        "junk",
        " folded",
        "\0",
        ":",
        "é",
    ]
)


@given(st.lists(PIECES, max_size=30))
def test_any_report_is_read(lines: list[str]) -> None:
    body = "\r\n".join(lines)
    raw = report("delivery-status", f"Content-Type: message/delivery-status\r\n\r\n{body}")
    assert len(bounce_of(parse_mail(raw)).recipients) <= 30
