"""Which adapter sends for which channel through which provider: an explicit table.

A vendor's library is imported when its adapter is built, and only then. A channel that has no sender needs
none here: its replies stay in the console's outbox.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from channels.sms.parts import Bound, RulesOf
from channels.telnyx.credentials import TelnyxCredentials
from channels.twilio.credentials import TwilioCredentials
from gateway.domain.clock import Clock
from gateway.domain.message import Channel
from gateway.domain.ports.egress import Sender
from gateway.domain.ports.files import ReadAttachment

if TYPE_CHECKING:
    from channels.email.pool import RelayAddress
    from channels.email.sign import DkimSigner
    from channels.email.thread import ThreadMarks


@dataclass(frozen=True, slots=True, kw_only=True)
class MailEgress:
    """What mail is sent with."""

    relay: "RelayAddress"
    marks: "ThreadMarks"
    """Makes Message-IDs and reply addresses; its domain is also our name in EHLO."""
    read: ReadAttachment
    """Reads the files that a reply carries."""
    signer: "DkimSigner | None" = None
    name_of: Callable[[str], str | None] = lambda _mailbox: None
    """Who mail from a mailbox of ours is from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Egress:
    """What senders are built from."""

    public_url: str
    """What providers see, without a trailing slash; receipts are sent there."""
    clock: Clock
    rules_of: RulesOf
    """How replies from one of our numbers are cut."""
    bound: Bound
    """Which provider message ids belong to parts already."""
    twilio: TwilioCredentials | None = None
    telnyx: TelnyxCredentials | None = None
    mail: MailEgress | None = None


class ChannelSender(Sender, Protocol):
    """A sender that may hold connections open."""

    async def close(self) -> None:
        """Close them."""
        ...


Build = Callable[[Egress], ChannelSender]


def _twilio_sms(egress: Egress) -> ChannelSender:
    from channels.sms.twilio import TwilioSms
    from channels.twilio.client import TwilioRest

    if egress.twilio is None:
        raise ValueError("sending text messages through Twilio needs its credentials")
    return TwilioSms(
        TwilioRest(egress.twilio),
        public_url=egress.public_url,
        clock=egress.clock,
        rules_of=egress.rules_of,
        bound=egress.bound,
    )


def _telnyx_sms(egress: Egress) -> ChannelSender:
    from channels.sms.telnyx import TelnyxSms
    from channels.telnyx.client import TelnyxRest

    telnyx = egress.telnyx
    if telnyx is None or not telnyx.api_key:
        raise ValueError("sending text messages through Telnyx needs its API key")
    rest = TelnyxRest(telnyx.api_key, telnyx.api_url)
    return TelnyxSms(rest, public_url=egress.public_url, rules_of=egress.rules_of)


def _smtp_email(egress: Egress) -> ChannelSender:
    from channels.email.pool import SmtpPool
    from channels.email.relay import SmtpRelay

    if egress.mail is None:
        raise ValueError("sending mail needs a relay")
    mail = egress.mail
    pool = SmtpPool(mail.relay, mail.marks.domain)
    return SmtpRelay(pool, mail.marks, mail.read, mail.signer, mail.name_of)


SENDERS: Mapping[tuple[Channel, str], Build] = MappingProxyType(
    {
        (Channel.SMS, "twilio"): _twilio_sms,
        (Channel.SMS, "telnyx"): _telnyx_sms,
        (Channel.EMAIL, "smtp"): _smtp_email,
    }
)
"""(channel, provider) → how its sender is built; ValueError where what it needs is missing."""
