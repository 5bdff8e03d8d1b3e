"""Mail in over SMTP: it is stored before the client hears 250.

No relaying: a recipient is one of our mailboxes, with or without a subaddress such as a reply token. Every
failure of ours is a 451, so that the sending server keeps the mail. RFC 5321.
"""

import asyncio
import logging
import ssl

from aiosmtpd.proxy_protocol import ProxyData
from aiosmtpd.smtp import Envelope, Session

from channels.email.auth.sender import MailArrival
from channels.email.gate import SHUTTING_DOWN, Gate, SessionLimits
from channels.email.intake import MailIntake, Outcome
from channels.email.session import TRY_LATER, LmtpSession, MailSession
from gateway.domain.errors import GatewayError, Unavailable

PROVIDER = "smtp"
BACKLOG = 2_048
"""Connections the system holds for us while we are busy."""

_REPLIES = {
    Outcome.ACCEPTED: "250 2.0.0 accepted as {}",
    Outcome.NO_MAILBOX: "550 5.1.1 No such mailbox here",
    Outcome.NO_SENDER: "550 5.6.0 This mail names no sender",
    Outcome.LOOPED: "554 5.4.6 This mail has passed too many servers",
    Outcome.FORGED: "550 5.7.1 The domain in From asks not to take such mail (DMARC)",
    Outcome.REPORTED: "250 2.0.0 report taken",
    Outcome.UNDECIDED: "451 4.7.0 Cannot find out now who sent this, try again later",
}

log = logging.getLogger(__name__)


class MailIngress:
    """The SMTP server."""

    def __init__(
        self,
        intake: MailIntake,
        hostname: str,
        *,
        limits: SessionLimits | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`hostname`: how it introduces itself. `tls`: offers STARTTLS."""
        self._tls = tls
        self._gate = Gate(limits or SessionLimits())
        self._hooks = _Hooks(intake, self._gate)
        self._hostname = hostname
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen; where. Raises OSError when the port is taken."""
        loop = asyncio.get_running_loop()
        kind = LmtpSession if self._gate.limits.lmtp else MailSession
        self._server = await loop.create_server(
            lambda: kind(self._hooks, self._gate, self._hostname, loop, self._tls),
            host,
            port,
            backlog=BACKLOG,
        )
        address = self._server.sockets[0].getsockname()
        return str(address[0]), int(address[1])

    @property
    def sessions(self) -> int:
        """How many clients are connected."""
        return len(self._gate.sessions)

    async def stop(self, grace: float) -> None:
        """Accept nobody any more; give mails on their way in `grace` seconds, then end every session."""
        self._gate.draining = True
        if self._server is not None:
            self._server.close()
        sessions = tuple(self._gate.sessions)
        for session in sessions:
            if not session.has_mail:
                session.dismiss(SHUTTING_DOWN)
        tasks = [session.task for session in sessions if session.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=grace)
        for session in tuple(self._gate.sessions):
            session.dismiss(SHUTTING_DOWN)
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()
            self._server = None


class _Hooks:
    """What aiosmtpd calls; each returns the reply."""

    __slots__ = ("_gate", "_intake")

    def __init__(self, intake: MailIntake, gate: Gate) -> None:
        self._intake = intake
        self._gate = gate

    async def handle_PROXY(  # noqa: N802 -- aiosmtpd names the hooks
        self, server: MailSession, _session: Session, _envelope: Envelope, proxied: ProxyData
    ) -> bool:
        """A proxy of ours says whom it connects for."""
        return server.stands_for(proxied)

    async def handle_MAIL(  # noqa: N802 -- aiosmtpd names the hooks
        self, _server: MailSession, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Begin a mail."""
        if self._gate.draining:
            return SHUTTING_DOWN
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(  # noqa: N802
        self, _server: MailSession, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Only our own addresses, and not too many."""
        if len(envelope.rcpt_tos) >= self._gate.limits.recipients:
            return "452 4.5.3 Too many recipients"
        if not self._intake.takes(address):
            return "550 5.1.1 No such mailbox here"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def handle_DATA(  # noqa: N802
        self, server: MailSession, session: Session, envelope: Envelope
    ) -> str:
        """Store the mail, then answer."""
        assert isinstance(envelope.content, bytes)
        arrival = MailArrival(
            raw=envelope.content,
            mail_from=envelope.mail_from or "",
            client=None if self._gate.limits.lmtp else server.client,
            helo=session.host_name or "",
        )
        try:
            async with asyncio.timeout(self._gate.limits.work_seconds):
                intake = await self._intake.take_in(arrival, envelope.rcpt_tos, PROVIDER)
        except (Unavailable, TimeoutError) as error:
            log.warning("mail put off", extra={"action": "mail_deferred", "reason": type(error).__name__})
            return TRY_LATER
        except GatewayError as error:
            log.warning("mail refused", extra={"action": "mail_refused", "reason": error.code.value})
            return "554 5.6.0 This mail cannot be taken"
        if intake.outcome not in (Outcome.ACCEPTED, Outcome.REPORTED):
            log.warning(
                "mail refused",
                extra={
                    "action": "mail_refused",
                    "reason": intake.outcome.value,
                    "size": len(envelope.content),
                },
            )
        return _REPLIES[intake.outcome].format(intake.message_id)

    async def handle_exception(self, error: Exception) -> str:
        """Our fault, so the client keeps its mail; aiosmtpd would answer 500 and show the error."""
        log.error("mail session failed", extra={"action": "mail_session_failed"}, exc_info=error)
        return TRY_LATER
