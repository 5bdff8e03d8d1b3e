"""Bounces, complaints and absence notices that come in: which mail of ours they mean, and what they say."""

import pytest

from gateway.domain.ids import new_id
from gateway.domain.mail_report import ReportKind
from tests.integration.mail_server import MARKS, Server, mail_server

DELIVERY, CONVERSATION, MESSAGE = new_id(), new_id(), new_id()
PATH = MARKS.return_path(DELIVERY)
OWN_ID = MARKS.message_id(CONVERSATION, MESSAGE)
BOUNCE = """\
From: MAILER-DAEMON@mx.example.com
To: {to}
Subject: Undelivered Mail Returned to Sender
Message-ID: <b1@mx.example.com>
Auto-Submitted: auto-replied
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-Type: text/plain

It could not be delivered.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.com

Final-Recipient: rfc822; ana@example.com
Action: {action}
Status: {status}

--b
Content-Type: text/rfc822-headers

From: support@example.org
Message-ID: {quoted}

--b--
"""
COMPLAINT = """\
From: feedback@provider.example
To: support@example.org
Subject: abuse report
Message-ID: <c1@provider.example>
Content-Type: multipart/report; report-type=feedback-report; boundary=b

--b
Content-Type: text/plain

A complaint.
--b
Content-Type: message/feedback-report

Feedback-Type: abuse
Version: 1
User-Agent: x
Original-Mail-From: <{path}>

--b--
"""


def bounce(*, action: str = "failed", status: str = "5.1.1", quoted: str = "<x@y>", to: str = PATH) -> str:
    text = BOUNCE.format(action=action, status=status, quoted=quoted, to=to)
    return text.replace("\n", "\r\n")


async def told(server: Server) -> list[tuple[ReportKind, str | None, str | None, str | None]]:
    return [(r.kind, r.code, r.delivery_id, r.message_id) for r in server.accept.reports]


@pytest.mark.parametrize(
    ("action", "status", "kind"),
    [
        ("failed", "5.1.1", ReportKind.BAD_ADDRESS),
        ("failed", "5.2.2", ReportKind.RETURNED),
        ("failed", "5.7.1", ReportKind.RETURNED),
        ("delayed", "4.4.1", ReportKind.DELAYED),
        ("delivered", "2.0.0", ReportKind.DELIVERED),
    ],
)
async def test_a_bounce_is_told_by_its_return_path(action: str, status: str, kind: ReportKind) -> None:
    async with mail_server() as server:
        reply = await server.send(bounce(action=action, status=status), PATH, sender="")
        assert reply == "2.0.0 report taken"
        assert await told(server) == [(kind, status, DELIVERY, None)]
        assert not server.accept.messages


async def test_a_bounce_to_a_mailbox_is_told_by_the_mail_it_quotes() -> None:
    async with mail_server() as server:
        await server.send(bounce(quoted=OWN_ID), sender="")
        assert await told(server) == [(ReportKind.BAD_ADDRESS, "5.1.1", None, MESSAGE)]
        assert not server.accept.messages


async def test_a_bounce_about_no_mail_of_ours_is_only_kept() -> None:
    async with mail_server() as server:
        await server.send(bounce(quoted=OWN_ID.replace("<c.", "<c.a")), sender="")
        assert not server.accept.reports
        [message] = server.accept.messages
        assert message.metadata["kind"] == "bounce"


async def test_a_return_path_is_no_mailbox_unless_we_made_it() -> None:
    async with mail_server() as server:
        changed = PATH[:12] + ("a" if PATH[12] != "a" else "b") + PATH[13:]
        for address in (changed, "bounces@example.org"):
            with pytest.raises(Exception, match=r"5\.1\.1"):
                await server.send(bounce(), address, sender="")


async def test_a_complaint_is_told_by_the_return_path_it_quotes() -> None:
    async with mail_server() as server:
        await server.send(COMPLAINT.format(path=PATH).replace("\n", "\r\n"))
        assert await told(server) == [(ReportKind.COMPLAINT, None, DELIVERY, None)]


async def test_what_a_machine_answers_to_the_return_path_is_noted() -> None:
    away = "From: ana@example.com\r\nSubject: Away\r\nAuto-Submitted: auto-replied\r\n\r\nUntil May.\r\n"
    async with mail_server() as server:
        await server.send(away, PATH, sender="")
        [report] = server.accept.reports
        assert (report.kind, report.text, report.delivery_id) == (
            ReportKind.AUTO_REPLY,
            "Until May.",
            DELIVERY,
        )
