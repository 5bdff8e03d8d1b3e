"""kill -9 while mail is taken in and answered: each mail is one turn, its reply one Message-ID."""

import asyncio
import smtplib
import sqlite3
from collections import Counter
from contextlib import closing
from email.message import EmailMessage
from pathlib import Path
from random import Random

from channels.email.fake import SmtpSink
from tests.deployments import HOST, MAILBOX, Deployment, World, embedded
from tests.processes import Process

MAILS = 24
SETTLE_SECONDS = 75.0
"""An attempt whose outcome is not known is made good 20 s after its claim, at the earliest."""


def send(deployment: Deployment, number: int) -> bool:
    """Whether the gateway has taken the mail."""
    mail = EmailMessage()
    mail["From"], mail["To"] = f"ada{number}@customer.example", MAILBOX
    mail["Subject"], mail["Message-ID"] = f"Question {number}", f"<q{number}@customer.example>"
    mail.set_content(f"What about {number}?")
    try:
        with smtplib.SMTP(HOST, deployment.smtp_port, timeout=60) as client:
            client.send_message(mail)
    except (OSError, smtplib.SMTPException):
        return False
    return True


async def until_taken(deployment: Deployment, number: int) -> None:
    """As a mail server does: again and again."""
    while not await asyncio.to_thread(send, deployment, number):  # noqa: ASYNC110 - the world does so
        await asyncio.sleep(0.1)


async def kill_it(process: Process, random: Random, times: int) -> None:
    for _ in range(times):
        await asyncio.sleep(random.uniform(0.1, 0.8))
        await process.kill()
        await process.start()


async def test_a_killed_gateway_answers_each_mail_once(tmp_path: Path, random: Random) -> None:
    sink = SmtpSink(delay_seconds=0.05)
    relay_url = await sink.start()
    async with embedded(tmp_path / "gateway", World("http://127.0.0.1:9", relay_url)) as deployment:
        (process,) = deployment.named("dev")
        await asyncio.gather(
            kill_it(process, random, 5), *(until_taken(deployment, number) for number in range(MAILS))
        )
        async with asyncio.timeout(SETTLE_SECONDS):
            while len({mail.rcpt_tos for mail in sink.mails}) < MAILS:
                await sink.wait_for(len(sink.mails) + 1, SETTLE_SECONDS)
        for recipient in {mail.rcpt_tos for mail in sink.mails}:
            replies = [mail for mail in sink.mails if mail.rcpt_tos == recipient]
            assert len({mail.headers["Message-ID"] for mail in replies}) == 1
            assert len({mail.raw for mail in replies}) == 1
        await process.terminate()
        with closing(sqlite3.connect(deployment.directory / "data" / "gateway.db")) as database:
            said = database.execute("SELECT role, content FROM messages").fetchall()
    roles = Counter(role for role, _ in said)
    assert roles == {"user": MAILS, "assistant": MAILS}
    assert len({content for role, content in said if role == "user"}) == MAILS
    print(f"mails {MAILS}, replies sent {len(sink.mails)}")
    await sink.stop()
