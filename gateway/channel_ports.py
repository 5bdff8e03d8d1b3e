"""Wires the channels: what each ingress and egress adapter is handed. Part of the composition root."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from starlette.routing import Route

from channels.contract import Ingress
from channels.email.ingress import MailIngress
from channels.email.pool import RelayAddress
from channels.email.thread import ThreadMarks
from channels.registry import SENDERS, ChannelSender, Egress, MailEgress
from channels.sms.chunks import Limits
from channels.sms.parts import PartRules
from channels.sms.routes import sms_routes
from channels.twilio.credentials import TwilioCredentials
from channels.voice.routes import voice_routes
from gateway.domain.clock import Clock
from gateway.domain.message import Channel, SenderAuth
from gateway.domain.ports import Store
from gateway.service.deliver import bound_ids
from gateway.settings import GatewayConfig, MailAuthMode, Settings


def twilio_credentials(settings: Settings) -> TwilioCredentials | None:
    """The Twilio account; None without a token, so that no webhook of Twilio's can be proven."""
    tokens = tuple(token.get_secret_value() for token in settings.twilio_auth_tokens)
    if not tokens:
        return None
    return TwilioCredentials(
        account_sid=settings.twilio_account_sid, auth_tokens=tokens, api_url=settings.twilio_api_url
    )


def webhook_routes(settings: Settings, ingress: Ingress) -> Sequence[Route]:
    """Every provider webhook this process can prove."""
    credentials = twilio_credentials(settings)
    if credentials is None:
        return ()
    return (*sms_routes(ingress, credentials), *voice_routes(ingress, credentials))


def mail_ingress(settings: Settings, ingress: Ingress, marks: ThreadMarks) -> MailIngress:
    """The SMTP server. A From header alone proves something only where authentication is off."""
    off = settings.mail_auth.mode is MailAuthMode.OFF
    return MailIngress(ingress, marks, unproven=SenderAuth.VERIFIED if off else SenderAuth.UNVERIFIED)


@dataclass(frozen=True, slots=True)
class Senders:
    """The senders of one process, by channel; a channel without one is sandboxed."""

    by_channel: Mapping[Channel, ChannelSender]

    async def close(self) -> None:
        """Close their connections."""
        for sender in self.by_channel.values():
            await sender.close()


def senders(
    settings: Settings,
    config: Callable[[], GatewayConfig],
    store: Store,
    clock: Clock,
    marks: ThreadMarks,
) -> Senders:
    """A sender for each channel that has what it needs to send."""

    def rules_of(address: str) -> PartRules:
        values = config().channel(Channel.SMS, address)
        return PartRules(Limits(max_parts=values.max_parts), number_parts=values.number_parts)

    async def bound(ids: Sequence[str]) -> set[str]:
        return await store.read(bound_ids, "twilio", ids)

    credentials = twilio_credentials(settings)
    sends_sms = credentials is not None and credentials.account_sid is not None
    relay = settings.smtp_relay_url
    egress = Egress(
        public_url=settings.public_url,
        clock=clock,
        rules_of=rules_of,
        bound=bound,
        twilio=credentials,
        mail=None
        if relay is None
        else MailEgress(relay=RelayAddress.from_url(relay.get_secret_value()), marks=marks),
    )
    wanted = {
        Channel.SMS: (Channel.SMS, "twilio") if sends_sms else None,
        Channel.EMAIL: (Channel.EMAIL, "smtp") if relay is not None else None,
    }
    return Senders({channel: SENDERS[key](egress) for channel, key in wanted.items() if key})
