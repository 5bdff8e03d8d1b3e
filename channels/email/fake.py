"""An SMTP sink on loopback: takes any mail, keeps it, and misbehaves on request.

It stands in for the outgoing mail relay in `make demo` and in tests.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from typing import Final, cast

from aiosmtpd.smtp import SMTP, Envelope, Session

MAX_MAIL_BYTES: Final = 32 * 1024 * 1024
MAX_LINE_BYTES: Final = 64 * 1024
IDLE_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class SunkMail:
    """A mail as it arrived."""

    mail_from: str
    rcpt_tos: tuple[str, ...]
    raw: bytes
    headers: EmailMessage
    """The parsed mail, its body included."""


class SmtpSink:
    """Takes mail on a loopback port.

    `refusals` maps a recipient's address to the reply it gets (`550 5.1.1 No such user`) and may be changed
    at any time, as may `delay_seconds`, which every DATA waits before it is answered.
    """

    def __init__(
        self, refusals: Mapping[str, str] | None = None, delay_seconds: float = 0.0, *, keeps: bool = True
    ) -> None:
        """Without `keeps` mail is only counted: what is left is aiosmtpd itself, for benchmarks."""
        self.count = 0
        self._keeps = keeps
        self.refusals = dict(refusals or {})
        self.delay_seconds = delay_seconds
        self.host = ""
        self.port = 0
        self._mails: list[SunkMail] = []
        self._failures: list[str] = []
        self._drops = 0
        self._arrival = asyncio.Condition()
        self._sessions: set[_SinkProtocol] = set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """What `GATEWAY_SMTP_RELAY_URL` must be."""
        return f"smtp://{self.host}:{self.port}"

    @property
    def mails(self) -> Sequence[SunkMail]:
        """All mail that was accepted, in order; one whose connection was dropped is among them."""
        return tuple(self._mails)

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Listen, and return the URL. Raises OSError where the port is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _SinkProtocol(self, loop), host, port)
        self.host, self.port = host, self._server.sockets[0].getsockname()[1]
        return self.url

    async def stop(self) -> None:
        """Stop listening and close what is open."""
        if self._server is not None:
            self._server.close()
        tasks = [task for session in tuple(self._sessions) if (task := session.abort())]
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()
            self._server = None

    def fail_next(self, times: int, reply: str = "451 4.3.0 Try again later") -> None:
        """Answer the next `times` mails with this reply after their DATA, and do not keep them."""
        self._failures += [reply] * times

    def drop_next(self, times: int = 1) -> None:
        """Keep the next `times` mails, but close the connection instead of answering 250."""
        self._drops += times

    async def wait_for(self, count: int, timeout: float) -> Sequence[SunkMail]:
        """Wait until `count` mails were accepted and return all; TimeoutError after `timeout` seconds."""
        async with asyncio.timeout(timeout), self._arrival:
            await self._arrival.wait_for(lambda: len(self._mails) >= count)
        return self.mails

    async def handle_RCPT(  # noqa: N802 - aiosmtpd finds its hooks by these names
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Accept or refuse a recipient."""
        if address in self.refusals:
            return self.refusals[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - aiosmtpd finds its hooks by these names
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        """Keep a mail, or do what was asked for instead."""
        if self.delay_seconds:
            await asyncio.sleep(self.delay_seconds)
        if self._failures:
            return self._failures.pop(0)
        await self._keep(envelope)
        if self._drops:
            self._drops -= 1
            _abort(server)
        return "250 2.0.0 OK"

    async def _keep(self, envelope: Envelope) -> None:
        self.count += 1
        if not self._keeps:
            return
        raw = envelope.original_content or b""
        mail = SunkMail(
            mail_from=envelope.mail_from or "",
            rcpt_tos=tuple(envelope.rcpt_tos),
            raw=raw,
            headers=message_from_bytes(raw, policy=SMTP_POLICY),
        )
        async with self._arrival:
            self._mails.append(mail)
            self._arrival.notify_all()


class _SinkProtocol(SMTP):
    """One connection."""

    # aiosmtpd's default refuses lines that real mail has.
    line_length_limit = MAX_LINE_BYTES

    def __init__(self, sink: SmtpSink, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            sink,
            data_size_limit=MAX_MAIL_BYTES,
            enable_SMTPUTF8=True,
            hostname="sink.localhost",
            ident="SMTP sink",
            timeout=IDLE_SECONDS,
            loop=loop,
        )
        self._sink_sessions = sink._sessions

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._sink_sessions.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._sink_sessions.discard(self)
        super().connection_lost(error)

    def abort(self) -> "asyncio.Task[None] | None":
        """Close the connection at once; returns the task that served it."""
        _abort(self)
        return self._handler_coroutine


def _abort(protocol: SMTP) -> None:
    # uvloop's transports are none of asyncio's classes
    transport = cast("asyncio.Transport | None", protocol.transport)
    if transport is not None:
        transport.abort()
