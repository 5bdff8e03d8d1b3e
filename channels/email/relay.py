"""Mail out through one SMTP relay, and what each answer of the relay means.

Source: reference/email.md, section 8; RFC 5321 §4.2 (reply codes), RFC 3463 (enhanced codes).
"""

import asyncio
import re
from collections.abc import Callable, Sequence

from aiosmtplib import SMTP, SMTPException, SMTPNotSupported, SMTPResponseException

from channels.email.body import MailFile
from channels.email.compose import compose
from channels.email.pool import Connection, SmtpPool
from channels.email.sign import DkimSigner
from channels.email.thread import ThreadMarks
from gateway.domain.delivery import (
    Delivery,
    Failure,
    OutcomeUnknown,
    Part,
    PartText,
    Refused,
    SendOutcome,
    Taken,
)
from gateway.domain.errors import FileMissing, Unavailable
from gateway.domain.ports.files import ReadAttachment

NOT_SENT = "not_sent"
"""Our code where the relay was not reached, or fell silent before the mail was handed over."""

NameOf = Callable[[str], str | None]

_GO_AHEAD = 354
_CLOSING = 421
_LOGIN_REFUSED = (530, 534, 535)
_BAD_ADDRESS = ("5.1.1", "5.1.10", "5.2.1")
_ENHANCED = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}(?![0-9.])")
_LEADING_DOT = re.compile(rb"^\.", re.MULTILINE)


class SmtpRelay:
    """A `Sender` for mail: one part a reply, the same mail each time it is sent."""

    def __init__(
        self,
        pool: SmtpPool,
        marks: ThreadMarks,
        read: ReadAttachment,
        signer: DkimSigner | None = None,
        name_of: NameOf = lambda _mailbox: None,
    ) -> None:
        """`name_of`: who mail from a mailbox of ours is from."""
        self._name_of = name_of
        self._pool = pool
        self._marks = marks
        self._read = read
        self._signer = signer

    @property
    def provider(self) -> str:
        """The name stored with a part."""
        return "smtp"

    def split(self, delivery: Delivery) -> Sequence[PartText]:
        """A mail is never cut."""
        return (PartText(delivery.text),)

    async def send(self, delivery: Delivery, part: Part, timeout: float) -> SendOutcome:
        """Hand the mail to the relay within `timeout` seconds."""
        deadline = asyncio.get_running_loop().time() + timeout
        try:
            async with asyncio.timeout_at(deadline):
                mail = await self._mail(delivery, part.text)
        except ValueError:
            return Refused(Failure.BAD_ADDRESS, "not_a_mailbox")
        except FileMissing:
            return Refused(Failure.PERMANENT, "attachment_missing")
        except (Unavailable, TimeoutError):
            return Refused(Failure.TRANSIENT, NOT_SENT)
        try:
            async with asyncio.timeout_at(deadline):
                connection = await self._pool.take()
        except (SMTPException, OSError) as error:
            return _not_reached(error)
        usable = False
        try:
            outcome = await self._hand_over(connection, delivery, mail, deadline)
            usable = not _is_closing(outcome)
        finally:
            self._pool.give(connection, usable=usable)
        return outcome

    async def _mail(self, delivery: Delivery, text: str) -> bytes:
        """The signed mail; one with files is made beside the event loop. Raises ValueError, FileMissing."""
        if not delivery.attachments:
            return self._made(delivery, text, ())
        files = [
            MailFile(
                one.name or "attachment", one.media_type, await self._read(delivery.organization_id, one.id)
            )
            for one in delivery.attachments
        ]
        return await asyncio.to_thread(self._made, delivery, text, files)

    def _made(self, delivery: Delivery, text: str, files: Sequence[MailFile]) -> bytes:
        mail = compose(delivery, text, self._marks, files, self._name_of(delivery.sender))
        return mail if self._signer is None else self._signer.sign(mail)

    async def find(self, delivery: Delivery, part: Part) -> None:
        """A relay cannot be asked. Sent again, the mail has the same Message-ID, which clients fold."""
        return

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.close()

    async def _hand_over(
        self, connection: Connection, delivery: Delivery, mail: bytes, deadline: float
    ) -> SendOutcome:
        client = connection.client
        try:
            async with asyncio.timeout_at(deadline):
                await self._announce(client, delivery)
        except SMTPNotSupported:
            return Refused(Failure.PERMANENT, "smtputf8_not_offered")
        except SMTPResponseException as error:
            return _refused(error.code, error.message)
        except (SMTPException, OSError):  # TimeoutError is an OSError
            client.close()
            return Refused(Failure.TRANSIENT, NOT_SENT)
        try:
            async with asyncio.timeout_at(deadline):
                return await self._transmit(client, delivery, mail)
        except (SMTPException, OSError) as error:
            client.close()
            return OutcomeUnknown(type(error).__name__)

    async def _announce(self, client: SMTP, delivery: Delivery) -> None:
        """Envelope and DATA, up to the relay's go-ahead."""
        sender = self._marks.return_path(delivery.id)
        if delivery.recipient.isascii() and delivery.sender.isascii():
            await client.mail(sender)
            await client.rcpt(delivery.recipient)
        else:
            if not client.supports_extension("smtputf8"):
                raise SMTPNotSupported("the relay does not take addresses beyond ASCII")
            await client.mail(sender, options=["SMTPUTF8"], encoding="utf-8")
            await client.rcpt(delivery.recipient, encoding="utf-8")
        answer = await client.execute_command(b"DATA")
        if answer.code != _GO_AHEAD:
            raise SMTPResponseException(answer.code, answer.message)

    async def _transmit(self, client: SMTP, delivery: Delivery, mail: bytes) -> SendOutcome:
        """The mail itself: from here on, silence means that it may have been taken."""
        if client.protocol is None:
            return OutcomeUnknown("connection lost")
        client.protocol.write(_LEADING_DOT.sub(b"..", mail) + b".\r\n")
        answer = await client.protocol.read_response()
        if 200 <= answer.code < 300:
            return Taken(self._marks.message_id(delivery.conversation_id, delivery.message_id))
        return _refused(answer.code, answer.message)


def _not_reached(error: Exception) -> Refused:
    """The outcome of not even having a connection."""
    if isinstance(error, SMTPResponseException) and error.code in _LOGIN_REFUSED:
        return Refused(Failure.CONFIGURATION, str(error.code))
    return Refused(Failure.TRANSIENT, NOT_SENT)


def _refused(code: int, message: str) -> SendOutcome:
    """What a reply other than success means."""
    enhanced = _ENHANCED.match(message)
    shown = f"{code} {enhanced[0]}" if enhanced else str(code)
    if code in _LOGIN_REFUSED:
        return Refused(Failure.CONFIGURATION, shown)
    if 500 <= code < 600:
        bad = enhanced is not None and enhanced[0] in _BAD_ADDRESS
        return Refused(Failure.BAD_ADDRESS if bad else Failure.PERMANENT, shown)
    if 400 <= code < 500:
        return Refused(Failure.TRANSIENT, shown)
    return OutcomeUnknown(f"unexpected reply {code}")


def _is_closing(outcome: SendOutcome) -> bool:
    """Whether the relay said that it ends the session."""
    return isinstance(outcome, Refused) and outcome.code.startswith(str(_CLOSING))
