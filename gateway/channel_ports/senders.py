"""Who sends what goes out: a sender for each provider that has what it needs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

from channels.email.pool import RelayAddress
from channels.email.thread import ThreadMarks
from channels.registry import SENDERS, ChannelSender, Egress, MailEgress
from channels.sms.chunks import Limits
from channels.sms.parts import PartRules
from gateway.channel_ports.accounts import telnyx_credentials, twilio_credentials
from gateway.channel_ports.mail import dkim_signer
from gateway.domain.clock import Clock
from gateway.domain.message import Channel
from gateway.domain.ports.files import ReadAttachment
from gateway.domain.ports.store import Store
from gateway.service.deliver import bound_ids
from gateway.settings import GatewayConfig, Settings


@dataclass(frozen=True, slots=True)
class Senders:
    """The senders of one process; what has none is sandboxed."""

    by_provider: Mapping[tuple[Channel, str], ChannelSender]
    config: Callable[[], GatewayConfig]

    def of(self, channel: Channel, ours: str) -> ChannelSender | None:
        """Who sends from an address of ours: its provider where one is declared, else the first there is."""
        known = [key for key in self.by_provider if key[0] is channel]
        entry = self.config().address(channel, ours)
        if entry is not None and entry.provider is not None:
            known = [key for key in known if key[1] == entry.provider]
        return self.by_provider[known[0]] if known else None

    async def close(self) -> None:
        """Close their connections."""
        for sender in self.by_provider.values():
            await sender.close()


@dataclass(frozen=True, slots=True)
class OutgoingMail:
    """What mail that goes out is made with."""

    marks: ThreadMarks
    read: ReadAttachment


def senders(
    settings: Settings,
    config: Callable[[], GatewayConfig],
    store: Store,
    clock: Clock,
    mail: OutgoingMail,
) -> Senders:
    """A sender for each provider that has what it needs to send; Twilio before others."""

    def rules_of(address: str) -> PartRules:
        values = config().channel(Channel.SMS, address)
        return _part_rules(values.max_parts, values.validity, number_parts=values.number_parts)

    async def bound(ids: Sequence[str]) -> set[str]:
        return await store.read(bound_ids, "twilio", ids)

    twilio, telnyx = twilio_credentials(settings), telnyx_credentials(settings)
    relay = settings.smtp_relay_url
    egress = Egress(
        public_url=settings.public_url,
        clock=clock,
        rules_of=rules_of,
        bound=bound,
        twilio=twilio,
        telnyx=telnyx,
        mail=None
        if relay is None
        else MailEgress(
            relay=RelayAddress.from_url(relay.get_secret_value()),
            marks=mail.marks,
            read=mail.read,
            signer=dkim_signer(settings),
            name_of=lambda mailbox: config().channel(Channel.EMAIL, mailbox).from_name,
        ),
    )
    can_send = {
        (Channel.SMS, "twilio"): twilio is not None and twilio.account_sid is not None,
        (Channel.SMS, "telnyx"): telnyx is not None and telnyx.api_key is not None,
        (Channel.EMAIL, "smtp"): relay is not None,
    }
    return Senders({key: SENDERS[key](egress) for key, able in can_send.items() if able}, config)


@lru_cache(maxsize=64)
def _part_rules(max_parts: int, validity: timedelta, *, number_parts: bool) -> PartRules:
    return PartRules(
        Limits(max_parts=max_parts), number_parts=number_parts, validity_seconds=int(validity.total_seconds())
    )
