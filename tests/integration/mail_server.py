"""An SMTP server over ports that only remember, and sessions with it."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiosmtplib import SMTP

from channels.contract import MailPorts
from channels.email.auth.sender import BelieveNobody, SenderCheck
from channels.email.files import MailAttachment, read_files
from channels.email.gate import SessionLimits
from channels.email.ingress import MailIngress
from channels.email.intake import MailIntake
from channels.email.parse import ParsedMail, parse_mail
from channels.email.thread import ThreadMarks
from gateway.domain.clock import Clock
from gateway.domain.errors import UnknownAddress
from gateway.domain.ids import new_id
from gateway.domain.mail_report import MailReport
from gateway.domain.message import Accepted, Channel, InboundAttachment, InboundMessage

NOW = 1_795_424_400_000_000
MARKS = ThreadMarks("example.org", (b"secret",))
MAIL = "From: Ana <ana@example.com>\r\nSubject: Bill\r\nMessage-ID: <m1@example.com>\r\n\r\nWhere is it?\r\n"


@dataclass
class Accepting:
    """Keeps messages for two mailboxes; may be away."""

    messages: list[InboundMessage] = field(default_factory=list)
    fail: Callable[[], None] = lambda: None
    waiting: asyncio.Event | None = None
    entered: asyncio.Event = field(default_factory=asyncio.Event)

    reports: list[MailReport] = field(default_factory=list)

    async def report(self, report: MailReport) -> None:
        self.fail()
        self.reports.append(report)

    async def __call__(self, message: InboundMessage) -> Accepted:
        self.entered.set()
        if self.waiting is not None:
            await self.waiting.wait()
        self.fail()
        if not self.serves(message.channel, message.recipient):
            raise UnknownAddress("email")
        self.messages.append(message)
        return Accepted(
            conversation_id=new_id(),
            message_id=f"id{len(self.messages)}",
            end_user_id=new_id(),
            duplicate=False,
        )

    def serves(self, channel: Channel, address: str) -> bool:
        return channel is Channel.EMAIL and address in ("support@example.org", "sales@example.org")


async def keep(
    content: bytes, *, media_type: str, name: str | None, whole: bool = False
) -> InboundAttachment:
    """An attachment store that forgets."""
    return InboundAttachment(
        id=new_id(), media_type=media_type, size=len(content), name=name, sha256="0" * 64
    )


@dataclass
class Server:
    mail: MailIngress
    accept: Accepting
    port: int

    async def send(self, raw: str | bytes, *to: str, sender: str = "ana@example.com") -> str:
        async with SMTP(hostname="127.0.0.1", port=self.port, local_hostname="client") as client:
            _, reply = await client.sendmail(sender, to or ["support@example.org"], raw)
        return reply


class HereReader:
    """Reads mail in this process: starting others would take longer than the tests."""

    async def read(self, raw: bytes, mail_from: str | None = None) -> ParsedMail:
        return parse_mail(raw, mail_from)

    async def files(self, raw: bytes) -> list[tuple[MailAttachment, bytes]]:
        return read_files(raw)


def ports_over(accept: Accepting) -> MailPorts:
    return MailPorts(accept=accept, keep=keep, report=accept.report, clock=Clock(now=lambda: NOW))


@asynccontextmanager
async def mail_server(
    limits: SessionLimits | None = None,
    check: SenderCheck | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Server]:
    accept = Accepting()
    intake = MailIntake(ports_over(accept), MARKS, check or BelieveNobody(), HereReader())
    mail = MailIngress(intake, MARKS.domain, limits=limits, tls=tls)
    _, port = await mail.start("127.0.0.1", 0)
    try:
        yield Server(mail, accept, port)
    finally:
        await mail.stop(0)


async def raw_session(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)


async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *commands: bytes) -> bytes:
    """Send commands one by one; the last reply's last line. The first is the greeting's."""
    reply = b""
    for command in commands:
        writer.write(command)
        await writer.drain()
        while (reply := await reader.readline())[3:4] == b"-":
            pass
    return reply


async def data_session(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A session that has been told to send its mail."""
    reader, writer = await raw_session(port)
    commands = (
        b"",
        b"EHLO c\r\n",
        b"MAIL FROM:<ana@example.com>\r\n",
        b"RCPT TO:<support@example.org>\r\n",
        b"DATA\r\n",
    )
    assert (await say(reader, writer, *commands)).startswith(b"354")
    return reader, writer
