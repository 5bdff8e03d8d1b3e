"""From a mail, however it came, to stored messages: whom it is for, who sent it, what it is.

Every way in (SMTP, LMTP, the webhooks of providers) hands over the same: the raw mail, its envelope and what
is known of its client. What comes back says what became of it; how a client is told is the way's business.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from prometheus_client import Counter

from channels.contract import MailPorts
from channels.email.auth.dmarc import organisational
from channels.email.auth.sender import Judgement, MailArrival, SenderCheck, Standing
from channels.email.files import MailAttachment
from channels.email.kind import MailKind
from channels.email.mailboxes import canonical
from channels.email.parse import ParsedMail
from channels.email.reported import reports_in
from channels.email.thread import ThreadMarks
from gateway.domain.errors import ErrorCode, GatewayError, UnknownAddress
from gateway.domain.ids import new_id
from gateway.domain.message import (
    Accepted,
    Channel,
    InboundAttachment,
    InboundMessage,
    JsonObject,
    Role,
    SenderAuth,
)
from gateway.domain.subject import answered_subject

MAX_HOPS = 25
"""Servers a mail has passed; more is a loop."""
MAX_FILES = 50
"""Files of one mail that are kept."""
NOBODY = "unreadable@mail.invalid"
"""Who stands for the sender of a mail of which nothing can be read (RFC 2606 §2)."""


TAKEN = Counter("gateway_mail_in", "Mails that came in, by what became of them", ["provider", "outcome"])
SENDERS = Counter(
    "gateway_mail_senders", "Mails that came in, by what is known of their sender", ["standing"]
)


class Outcome(StrEnum):
    """What became of a mail."""

    ACCEPTED = "accepted"
    NO_MAILBOX = "no_mailbox"
    NO_SENDER = "no_sender"
    LOOPED = "looped"
    FORGED = "forged"
    """The domain in From asks not to take such mail."""
    UNDECIDED = "undecided"
    """Who sent it cannot be found out now."""
    REPORTED = "reported"
    """It was a report about mail of ours, and was taken as that."""


@dataclass(frozen=True, slots=True)
class Intake:
    """What became of a mail; where it was accepted, as which message."""

    outcome: Outcome
    message_id: str = ""


@dataclass(frozen=True, slots=True)
class Recipient:
    """Whom a mail is for."""

    mailbox: str
    """Our mailbox, canonical and without subaddress."""
    conversation_id: str | None
    """What a reply token names that was mailed to this sender."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """A mail's files in the attachment store."""

    original: InboundAttachment
    files: tuple[InboundAttachment, ...]
    described: tuple[JsonObject, ...]
    """Every file of the mail, with the id of those that were kept."""


class ReadMail(Protocol):
    """Reads mail beside the event loop, within bounds."""

    async def read(self, raw: bytes, mail_from: str | None = None) -> ParsedMail:
        """A mail, read; never raises because of what is in it."""
        ...

    async def files(self, raw: bytes) -> list[tuple[MailAttachment, bytes]]:
        """Its files with their content."""
        ...


class MailIntake:
    """Takes mail in. Belongs to one event loop."""

    def __init__(self, ports: MailPorts, marks: ThreadMarks, check: SenderCheck, reader: ReadMail) -> None:
        self._ports = ports
        self._marks = marks
        self._check = check
        self._reader = reader

    def mailbox_of(self, address: str) -> str | None:
        """Our mailbox that mail to this address goes to, subaddress or not (RFC 5233); None: not ours."""
        mailbox = canonical(address) or ""
        local, _, domain = mailbox.rpartition("@")
        for candidate in (mailbox, f"{local.rpartition('+')[0]}@{domain}"):
            if self._ports.accept.serves(Channel.EMAIL, candidate):
                return candidate
        return None

    def takes(self, address: str) -> bool:
        """Whether mail to this address is taken: a mailbox of ours, or the return path of a mail of ours."""
        return (
            self.mailbox_of(address) is not None or self._marks.delivery_of_return_path(address) is not None
        )

    async def take_in(self, arrival: MailArrival, addresses: Sequence[str], provider: str) -> Intake:
        """Store a mail for each of our mailboxes among `addresses`, the envelope's recipients.

        Raises Unavailable where it could not be stored now, and other GatewayErrors where it never can.
        """
        intake = await self._take_in(arrival, addresses, provider)
        TAKEN.labels(provider, intake.outcome.value).inc()
        return intake

    async def _take_in(self, arrival: MailArrival, addresses: Sequence[str], provider: str) -> Intake:
        mail = await self._reader.read(arrival.raw, arrival.mail_from)
        if mail.hops > MAX_HOPS:
            return Intake(Outcome.LOOPED)
        if await self._report(mail, addresses):
            return Intake(Outcome.REPORTED)
        sender = mail.sender or canonical((arrival.mail_from or "").strip("<>"))
        if sender is None and mail.kind is MailKind.UNPARSEABLE:
            sender = NOBODY
        if sender is None:
            return Intake(Outcome.NO_SENDER)
        recipients = self._recipients(addresses, mail.sender)
        if not recipients:
            return Intake(Outcome.NO_MAILBOX)
        judgement = await self._judge(arrival, mail)
        SENDERS.labels(judgement.standing.value).inc()
        if judgement.standing is Standing.UNDECIDED:
            return Intake(Outcome.UNDECIDED)
        if judgement.standing is Standing.REFUSED and arrival.client is not None:
            return Intake(Outcome.FORGED)
        kept = await self._keep(arrival.raw, mail)
        messages = [
            replace(self._message(mail, sender, recipient, judgement, kept), provider=provider)
            for recipient in recipients
        ]
        return await self._accept(messages)

    async def _report(self, mail: ParsedMail, addresses: Sequence[str]) -> bool:
        """Take what is reported of mail of ours; whether the mail was that and nothing else."""
        reports = reports_in(mail, addresses, self._marks, self._ports.clock.now())
        for report in reports:
            await self._ports.report(report)
        is_report = mail.kind in (MailKind.BOUNCE, MailKind.COMPLAINT)
        return bool(reports) and (is_report or not any(map(self.mailbox_of, addresses)))

    async def _accept(self, messages: Sequence[InboundMessage]) -> Intake:
        accepted: list[Accepted] = []
        for message in messages:
            try:
                accepted.append(await self._ports.accept(message))
            except UnknownAddress:  # its mailbox went while the mail was read
                continue
        if not accepted:
            return Intake(Outcome.NO_MAILBOX)
        return Intake(Outcome.ACCEPTED, accepted[0].message_id)

    async def _judge(self, arrival: MailArrival, mail: ParsedMail) -> Judgement:
        if mail.sender is None:
            return Judgement(Standing.UNPROVEN, "no single mailbox in From")
        return await self._check(arrival, mail.sender)

    def _recipients(self, addresses: Sequence[str], sender: str | None) -> list[Recipient]:
        """One a mailbox, and with the conversation that one of its addresses names for the sender."""
        named: dict[str, str | None] = {}
        now = self._ports.clock.now()
        for address in addresses:
            mailbox = self.mailbox_of(address)
            if mailbox is not None:
                found = self._marks.read_reply_address(address, sender, now) if sender else None
                named[mailbox] = named.get(mailbox) or found
        return [Recipient(mailbox, conversation_id) for mailbox, conversation_id in named.items()]

    async def _keep(self, raw: bytes, mail: ParsedMail) -> _Kept:
        """Put the mail and its files into the attachment store: once, whoever the mail is for."""
        original = await self._ports.keep(raw, media_type="message/rfc822", name=None, whole=True)
        if not mail.attachments:
            return _Kept(original, (), ())
        files: list[tuple[MailAttachment, InboundAttachment | None]] = []
        for described, content in await self._reader.files(raw):
            kept = None
            if len(files) < MAX_FILES:
                kept = await self._keep_one(content, described.media_type, described.name)
            files.append((described, kept))
        files.sort(key=lambda pair: pair[0].inline)
        return _Kept(
            original,
            tuple(kept for _, kept in files if kept is not None),
            tuple({**described.described(), "kept": kept is not None} for described, kept in files),
        )

    async def _keep_one(self, content: bytes, media_type: str, name: str | None) -> InboundAttachment | None:
        """None where it is larger than what is kept: the message counts, and says that there was a file."""
        try:
            return await self._ports.keep(content, media_type=media_type, name=name)
        except GatewayError as error:
            if error.code is not ErrorCode.PAYLOAD_TOO_LARGE:
                raise
            return None

    def _message(
        self, mail: ParsedMail, sender: str, recipient: Recipient, judgement: Judgement, kept: _Kept
    ) -> InboundMessage:
        kind = self._kind(mail)
        marks = (mail.thread_mark,) if mail.thread_mark else ()
        auth = _sender_auth(judgement.standing, recipient)
        answerable = kind is MailKind.HUMAN and auth is not SenderAuth.FAILED
        return InboundMessage(
            channel=Channel.EMAIL,
            provider="",
            provider_message_id=f"{mail.message_id}|{recipient.mailbox}|{mail.body_hash[:16]}",
            sender=sender,
            sender_domain=organisational(sender.rpartition("@")[2]),
            recipient=recipient.mailbox,
            text=mail.text,
            received_at=self._ports.clock.now(),
            subject=mail.subject or None,
            attachments=tuple(_of_one_message(kept.files)),
            original=next(_of_one_message((kept.original,))),
            sender_auth=auth,
            conversation_id=recipient.conversation_id or self._named_conversation(mail),
            thread_ids=(*mail.thread_ids, *marks),
            thread_names=marks,
            unreadable=kind is MailKind.UNPARSEABLE,
            answers_subject=None if mail.thread_ids else answered_subject(mail.subject),
            role=Role.USER if answerable else Role.SYSTEM_EVENT,
            metadata={
                "subject": mail.subject or None,
                "message_id": mail.message_id,
                "in_reply_to": mail.in_reply_to,
                "recipients": list(mail.recipients),
                "references": list(mail.references),
                "full_text": mail.full_text,
                "quoted_text": mail.quoted_text,
                "attachments": list(kept.described),
                "kind": kind.value,
                "forwarded": mail.forwarded,
                "auth": auth.value,
                "authentication": judgement.grounds,
            },
        )

    def _kind(self, mail: ParsedMail) -> MailKind:
        """What the mail is; our own that comes back is a machine's, or we would answer ourselves."""
        ours = (
            self._marks.domain in mail.loop_marks
            or self._marks.conversation_of_message_id(mail.message_id) is not None
            or (mail.sender is not None and self._ports.accept.serves(Channel.EMAIL, mail.sender))
        )
        return MailKind.AUTO_REPLY if ours and mail.kind is MailKind.HUMAN else mail.kind

    def _named_conversation(self, mail: ParsedMail) -> str | None:
        """The conversation that a Message-ID of ours names, among those the mail answers."""
        named = map(self._marks.conversation_of_message_id, mail.thread_ids)
        return next(filter(None, named), None)


def _sender_auth(standing: Standing, recipient: Recipient) -> SenderAuth:
    """How sure the sender is: a reply token counts where nothing speaks against the sender."""
    if standing is Standing.PROVEN:
        return SenderAuth.VERIFIED
    if standing in (Standing.FAILED, Standing.REFUSED):
        return SenderAuth.FAILED
    return SenderAuth.UNVERIFIED if recipient.conversation_id is None else SenderAuth.REPLY_TOKEN


def _of_one_message(files: Sequence[InboundAttachment]) -> Iterator[InboundAttachment]:
    """The same files under ids of their own: each message that a mail becomes has its attachments."""
    return (replace(file, id=new_id()) for file in files)
