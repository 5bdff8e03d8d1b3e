"""Mail in over SMTP: whom it is for, who sent it, and that it is stored before the client hears 250.

No relaying: a recipient is one of our mailboxes, with or without a subaddress such as a reply token. Every
failure of ours is a 451, so that the sending server keeps the mail. RFC 5321; reference/email.md, sections 3
to 5.
"""

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from aiosmtpd.smtp import Envelope, Session

from channels.contract import Ingress
from channels.email.kind import MailKind
from channels.email.mailboxes import canonical
from channels.email.parse import ParsedMail, parse_mail
from channels.email.session import SHUTTING_DOWN, TRY_LATER, Gate, MailSession, SessionLimits
from channels.email.thread import ThreadMarks
from gateway.domain.errors import GatewayError, Unavailable, UnknownAddress
from gateway.domain.message import Accepted, Channel, InboundMessage, JsonObject, Role, SenderAuth

PROVIDER = "smtp"
MAX_HOPS = 25
"""Servers a mail has passed; more is a loop."""
BACKLOG = 2_048
"""Connections the system holds for us while we are busy."""

_READERS = 2
"""Threads that read mail."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Recipient:
    """Whom a mail is for."""

    mailbox: str
    """Our mailbox, canonical and without subaddress."""
    conversation_id: str | None
    """What a reply token names that was mailed to this sender."""


class MailIngress:
    """The SMTP server."""

    def __init__(
        self,
        ingress: Ingress,
        marks: ThreadMarks,
        *,
        unproven: SenderAuth = SenderAuth.UNVERIFIED,
        limits: SessionLimits | None = None,
    ) -> None:
        """`unproven`: what a From header alone is worth; `VERIFIED` where authentication is switched off."""
        self._gate = Gate(limits or SessionLimits())
        self._hooks = _Hooks(_Intake(ingress, marks, unproven), self._gate)
        self._hostname = marks.domain
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen; where. Raises OSError when the port is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: MailSession(self._hooks, self._gate, self._hostname, loop), host, port, backlog=BACKLOG
        )
        address = self._server.sockets[0].getsockname()
        return str(address[0]), int(address[1])

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
        self._hooks.intake.close()


class _Intake:
    """From the bytes of a mail to stored messages."""

    def __init__(self, ingress: Ingress, marks: ThreadMarks, unproven: SenderAuth) -> None:
        self._ingress = ingress
        self._marks = marks
        self._unproven = unproven
        self._readers = ThreadPoolExecutor(_READERS, "mail-reader")

    def close(self) -> None:
        self._readers.shutdown(wait=False, cancel_futures=True)

    def mailbox_of(self, address: str) -> str | None:
        """Our mailbox that mail to this address goes to, subaddress or not (RFC 5233); None: not ours."""
        mailbox = canonical(address) or ""
        local, _, domain = mailbox.rpartition("@")
        for candidate in (mailbox, f"{local.rpartition('+')[0]}@{domain}"):
            if self._ingress.accept.serves(Channel.EMAIL, candidate):
                return candidate
        return None

    async def take_in(self, raw: bytes, mail_from: str, addresses: Sequence[str]) -> str:
        """The reply to a mail. Raises Unavailable where it could not be stored now."""
        loop = asyncio.get_running_loop()
        mail = await loop.run_in_executor(self._readers, parse_mail, raw, mail_from)
        if mail.hops > MAX_HOPS:
            return "554 5.4.6 This mail has passed too many servers"
        sender = mail.sender or canonical(mail_from.strip("<>"))
        if sender is None:
            return "550 5.6.0 This mail names no sender"
        accepted: list[Accepted] = []
        for recipient in self._recipients(addresses, mail.sender):
            try:
                accepted.append(await self._ingress.accept(self._message(mail, sender, recipient)))
            except UnknownAddress:
                continue
        if not accepted:
            return "550 5.1.1 No such mailbox here"
        return f"250 2.0.0 accepted as {accepted[0].message_id}"

    def _recipients(self, addresses: Sequence[str], sender: str | None) -> list[Recipient]:
        """One a mailbox, and with the conversation that one of its addresses names for the sender."""
        named: dict[str, str | None] = {}
        now = self._ingress.clock.now()
        for address in addresses:
            mailbox = self.mailbox_of(address)
            if mailbox is not None:
                found = self._marks.read_reply_address(address, sender, now) if sender else None
                named[mailbox] = named.get(mailbox) or found
        return [Recipient(mailbox, conversation_id) for mailbox, conversation_id in named.items()]

    def _message(self, mail: ParsedMail, sender: str, recipient: Recipient) -> InboundMessage:
        kind = self._kind(mail)
        auth = self._sender_auth(mail, recipient)
        return InboundMessage(
            channel=Channel.EMAIL,
            provider=PROVIDER,
            provider_message_id=f"{mail.message_id}|{recipient.mailbox}|{mail.body_hash[:16]}",
            sender=sender,
            recipient=recipient.mailbox,
            text=mail.text,
            received_at=self._ingress.clock.now(),
            subject=mail.subject or None,
            sender_auth=auth,
            conversation_id=recipient.conversation_id or self._named_conversation(mail),
            thread_ids=mail.thread_ids,
            role=Role.USER if kind is MailKind.HUMAN else Role.SYSTEM_EVENT,
            metadata=_metadata(mail, kind, auth),
        )

    def _kind(self, mail: ParsedMail) -> MailKind:
        """What the mail is; our own that comes back is a machine's, or we would answer ourselves."""
        ours = (
            self._marks.domain in mail.loop_marks
            or self._marks.conversation_of_message_id(mail.message_id) is not None
            or (mail.sender is not None and self._ingress.accept.serves(Channel.EMAIL, mail.sender))
        )
        return MailKind.AUTO_REPLY if ours and mail.kind is MailKind.HUMAN else mail.kind

    def _sender_auth(self, mail: ParsedMail, recipient: Recipient) -> SenderAuth:
        """How sure the sender is: a reply token counts where a From header alone does not."""
        if mail.sender is None:
            return SenderAuth.UNVERIFIED
        if self._unproven is SenderAuth.UNVERIFIED and recipient.conversation_id is not None:
            return SenderAuth.REPLY_TOKEN
        return self._unproven

    def _named_conversation(self, mail: ParsedMail) -> str | None:
        """The conversation that a Message-ID of ours names, among those the mail answers."""
        named = map(self._marks.conversation_of_message_id, mail.thread_ids)
        return next(filter(None, named), None)


class _Hooks:
    """What aiosmtpd calls; each returns the reply."""

    __slots__ = ("_gate", "intake")

    def __init__(self, intake: _Intake, gate: Gate) -> None:
        self.intake = intake
        self._gate = gate

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
        if self.intake.mailbox_of(address) is None:
            return "550 5.1.1 No such mailbox here"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def handle_DATA(  # noqa: N802
        self, _server: MailSession, _session: Session, envelope: Envelope
    ) -> str:
        """Store the mail, then answer."""
        assert isinstance(envelope.content, bytes)
        try:
            async with asyncio.timeout(self._gate.limits.work_seconds):
                return await self.intake.take_in(
                    envelope.content, envelope.mail_from or "", envelope.rcpt_tos
                )
        except (Unavailable, TimeoutError) as error:
            log.warning("mail put off", extra={"action": "mail_deferred", "reason": type(error).__name__})
            return TRY_LATER
        except GatewayError as error:
            log.warning("mail refused", extra={"action": "mail_refused", "reason": error.code.value})
            return "554 5.6.0 This mail cannot be taken"

    async def handle_exception(self, error: Exception) -> str:
        """Our fault, so the client keeps its mail; aiosmtpd would answer 500 and show the error."""
        log.error("mail session failed", extra={"action": "mail_session_failed"}, exc_info=error)
        return TRY_LATER


def _metadata(mail: ParsedMail, kind: MailKind, auth: SenderAuth) -> JsonObject:
    return {
        "subject": mail.subject or None,
        "message_id": mail.message_id,
        "in_reply_to": mail.in_reply_to,
        "references": list(mail.references),
        "full_text": mail.full_text,
        "quoted_text": mail.quoted_text,
        "attachments": [attachment.described() for attachment in mail.attachments],
        "kind": kind.value,
        "forwarded": mail.forwarded,
        "auth": auth.value,
    }
