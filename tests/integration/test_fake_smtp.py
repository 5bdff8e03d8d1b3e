"""The SMTP sink, over real connections with aiosmtplib."""

import asyncio
from collections.abc import AsyncIterator
from email.message import EmailMessage

import aiosmtplib
import pytest

from channels.email.fake import SmtpSink


@pytest.fixture
async def sink() -> AsyncIterator[SmtpSink]:
    sink = SmtpSink()
    await sink.start()
    yield sink
    await sink.stop()


def mail(subject: str = "Zwölf") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "support@example.org"
    message["To"] = "ann@example.net"
    message["Subject"] = subject
    message.set_content("Grüße\n.\n..dots\n")
    return message


async def send(sink: SmtpSink, *recipients: str, subject: str = "Zwölf") -> None:
    await aiosmtplib.send(
        mail(subject),
        sender="bounce@example.org",
        recipients=list(recipients) or ["ann@example.net"],
        hostname=sink.host,
        port=sink.port,
        start_tls=False,
        timeout=60,
    )


async def test_a_mail_is_kept_as_it_came(sink: SmtpSink) -> None:
    await send(sink, "ann@example.net", "bob@example.net")
    (kept,) = await sink.wait_for(1, timeout=60)
    assert (kept.mail_from, kept.rcpt_tos) == ("bounce@example.org", ("ann@example.net", "bob@example.net"))
    assert kept.headers["Subject"] == "Zwölf"
    assert kept.headers.get_content().replace("\r\n", "\n") == "Grüße\n.\n..dots\n"
    assert kept.raw.endswith(b"\r\n")
    assert sink.url == f"smtp://127.0.0.1:{sink.port}"


async def test_waiting_ends_with_the_mail_or_the_time(sink: SmtpSink) -> None:
    waiting = asyncio.create_task(sink.wait_for(2, timeout=60))
    await send(sink, subject="one")
    await send(sink, subject="two")
    assert [kept.headers["Subject"] for kept in await waiting] == ["one", "two"]
    with pytest.raises(TimeoutError):
        await sink.wait_for(3, timeout=0.05)


async def test_a_recipient_can_be_refused(sink: SmtpSink) -> None:
    sink.refusals["bob@example.net"] = "550 5.1.1 No such user"
    with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as refused:
        await send(sink, "bob@example.net")
    assert [recipient.code for recipient in refused.value.recipients] == [550]
    assert not sink.mails
    await send(sink, "ann@example.net", "bob@example.net")
    assert sink.mails[0].rcpt_tos == ("ann@example.net",)


async def test_it_fails_as_often_as_asked(sink: SmtpSink) -> None:
    sink.fail_next(2)
    sink.fail_next(1, "554 5.7.1 Rejected")
    codes = []
    for _ in range(4):
        try:
            await send(sink)
            codes.append(250)
        except aiosmtplib.SMTPDataError as error:
            codes.append(error.code)
    assert codes == [451, 451, 554, 250]
    assert len(sink.mails) == 1


async def test_a_mail_is_kept_although_its_connection_is_dropped(sink: SmtpSink) -> None:
    sink.drop_next()
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await send(sink, subject="lost answer")
    await send(sink, subject="after")
    assert [kept.headers["Subject"] for kept in sink.mails] == ["lost answer", "after"]


async def test_it_can_be_slow(sink: SmtpSink) -> None:
    sink.delay_seconds = 0.2
    loop = asyncio.get_running_loop()
    began = loop.time()
    await send(sink)
    assert loop.time() - began >= 0.2


async def test_long_lines_and_utf8_addresses_are_taken(sink: SmtpSink) -> None:
    async with aiosmtplib.SMTP(hostname=sink.host, port=sink.port, start_tls=False, timeout=60) as client:
        raw = b"Subject: long\r\n\r\n" + b"x" * 20_000 + b"\r\n"
        await client.sendmail("a@example.org", ["zoë@example.net"], raw, mail_options=["SMTPUTF8"])
    assert sink.mails[0].raw == raw
    assert sink.mails[0].rcpt_tos == ("zoë@example.net",)


async def test_stopping_closes_open_connections(sink: SmtpSink) -> None:
    client = aiosmtplib.SMTP(hostname=sink.host, port=sink.port, start_tls=False, timeout=60)
    await client.connect()
    await sink.stop()
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await client.noop()
    client.close()
