"""Wires the channels: what each ingress and egress adapter is handed. Part of the composition root."""

import ssl
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from dns.resolver import NoResolverConfiguration
from starlette.routing import BaseRoute

from channels.contract import Ingress, MailPorts
from channels.email.auth.dns import CachedDns
from channels.email.auth.sender import BelieveAll, BelieveNobody, OwnCheck, SenderCheck, TrustedServer
from channels.email.hooks.mailgun import mailgun_routes
from channels.email.hooks.postmark import postmark_routes
from channels.email.hooks.ses import ses_routes
from channels.email.ingress import MailIngress
from channels.email.intake import MailIntake
from channels.email.pool import RelayAddress
from channels.email.reader import MailReader
from channels.email.session import SessionLimits
from channels.email.sign import DkimSigner
from channels.email.thread import ThreadMarks
from channels.media import MediaClient
from channels.registry import SENDERS, ChannelSender, Egress, MailEgress
from channels.sms.chunks import Limits
from channels.sms.parts import PartRules
from channels.sms.routes import sms_routes
from channels.sms.telnyx_routes import telnyx_sms_routes
from channels.telnyx.credentials import TelnyxCredentials
from channels.telnyx.media import telnyx_media
from channels.twilio.credentials import TwilioCredentials
from channels.twilio.media import twilio_media
from channels.voice.jambonz.account import JambonzAccount
from channels.voice.jambonz.routes import jambonz_routes
from channels.voice.outgoing_routes import outgoing_routes
from channels.voice.relay.routes import relay_routes
from channels.voice.routes import voice_routes
from gateway.domain.clock import Clock
from gateway.domain.identity import WHATSAPP
from gateway.domain.message import Channel
from gateway.domain.ports.files import ReadAttachment
from gateway.domain.ports.ingress import Accept, BindToken
from gateway.domain.ports.store import Store
from gateway.service.deliver import bound_ids
from gateway.service.ingress import known_messages
from gateway.settings import GatewayConfig, MailAuthMode, Settings, SettingsError, SmsProvider, VoiceMode

if TYPE_CHECKING:
    from channels.sms.sweep import TwilioSweep
    from channels.twilio.client import TwilioRest


def twilio_credentials(settings: Settings) -> TwilioCredentials | None:
    """The Twilio account; None without a token, so that no webhook of Twilio's can be proven."""
    tokens = tuple(token.get_secret_value() for token in settings.twilio_auth_tokens)
    if not tokens:
        return None
    return TwilioCredentials(
        account_sid=settings.twilio_account_sid, auth_tokens=tokens, api_url=settings.twilio_api_url
    )


def twilio_channels(settings: Settings, number: str) -> list[Channel]:
    """For which channels Twilio must call this gateway when somebody texts or calls a number.

    None for a WhatsApp sender: its webhook is set in Twilio's console, and not to be seen among the numbers.
    """
    if number.startswith(WHATSAPP):
        return []
    sms, voice = (settings.config.address(channel, number) for channel in (Channel.SMS, Channel.VOICE))
    texts = sms is not None and sms.provider in (None, SmsProvider.TWILIO)
    calls = voice is not None and voice.voice_mode in (VoiceMode.RELAY, VoiceMode.WEBHOOK)
    return [channel for channel, ours in ((Channel.SMS, texts), (Channel.VOICE, calls)) if ours]


def telnyx_credentials(settings: Settings) -> TelnyxCredentials | None:
    """The Telnyx account; None without a public key, so that no event of Telnyx's can be proven."""
    if not settings.telnyx_public_keys:
        return None
    key = settings.telnyx_api_key
    return TelnyxCredentials(
        api_key=key.get_secret_value() if key is not None else None,
        public_keys=settings.telnyx_public_keys,
        api_url=settings.telnyx_api_url,
    )


def jambonz_account(settings: Settings) -> JambonzAccount | None:
    """The account that calls over jambonz begin in; None where none is named."""
    key, account_sid, application_sid = (
        settings.jambonz_api_key,
        settings.jambonz_account_sid,
        settings.jambonz_application_sid,
    )
    if key is None or account_sid is None or application_sid is None:
        return None
    return JambonzAccount(
        api_url=settings.jambonz_api_url,
        account_sid=account_sid,
        application_sid=application_sid,
        api_key=key.get_secret_value(),
    )


def calling_modes(settings: Settings) -> frozenset[VoiceMode | None]:
    """How the calls of a number are carried that can call somebody."""
    twilio = frozenset({None, VoiceMode.WEBHOOK, VoiceMode.RELAY})
    return twilio if jambonz_account(settings) is None else twilio | {VoiceMode.JAMBONZ}


def receives_mail_by_webhook(settings: Settings) -> bool:
    """Whether a provider that receives mail for us is configured."""
    return bool(settings.mailgun_signing_key or settings.postmark_webhook_login or settings.ses_topic_arns)


def mail_webhook_routes(
    settings: Settings, intake: MailIntake, clock: Clock, bind: BindToken
) -> Sequence[BaseRoute]:
    """The webhooks of providers that receive mail for us."""
    mailgun, postmark = settings.mailgun_signing_key, settings.postmark_webhook_login
    routes: list[BaseRoute] = []
    if mailgun is not None:
        routes += mailgun_routes(intake, mailgun.get_secret_value(), clock, bind)
    if postmark is not None:
        routes += postmark_routes(intake, postmark.get_secret_value())
    if settings.ses_topic_arns:
        routes += ses_routes(intake, settings.ses_topic_arns)
    return routes


def webhook_routes(settings: Settings, ingress: Ingress) -> Sequence[BaseRoute]:
    """Every provider webhook this process can prove, but for those that bring mail."""
    twilio, telnyx = twilio_credentials(settings), telnyx_credentials(settings)
    routes: list[BaseRoute] = []
    if twilio is not None:
        routes += [
            *sms_routes(ingress, twilio),
            *voice_routes(ingress, twilio),
            *outgoing_routes(ingress, twilio),
            *relay_routes(ingress, twilio),
        ]
    if telnyx is not None:
        routes += telnyx_sms_routes(ingress, telnyx)
    if settings.jambonz_webhook_login is not None:
        routes += jambonz_routes(ingress, settings.jambonz_webhook_login.get_secret_value())
    return routes


@dataclass(frozen=True, slots=True)
class Sweep:
    """Looks for texts whose webhook never arrived."""

    sweeper: "TwilioSweep"
    rest: "TwilioRest"

    async def close(self) -> None:
        """Close its connections."""
        await self.rest.close()


def sweep(
    settings: Settings, config: Callable[[], GatewayConfig], store: Store, clock: Clock, accept: Accept
) -> Sweep | None:
    """The sweep of our Twilio account; None without one."""
    credentials = twilio_credentials(settings)
    if credentials is None or credentials.account_sid is None:
        return None
    from channels.sms.sweep import TwilioSweep
    from channels.twilio.client import TwilioRest

    def numbers() -> list[str]:
        """Those that Twilio serves, as it calls them."""
        ours = config().addresses_of(Channel.SMS)
        return [entry.address for entry in ours if entry.provider in (None, SmsProvider.TWILIO)]

    async def known(ids: Sequence[str]) -> set[str]:
        return await store.read(known_messages, config().organization_id, "twilio", ids)

    rest = TwilioRest(credentials)
    return Sweep(TwilioSweep(rest, clock, accept, known, numbers), rest)


@dataclass(frozen=True, slots=True)
class Media:
    """Who fetches the files of messages, by provider."""

    by_provider: Mapping[str, MediaClient]

    async def close(self) -> None:
        """Close their connections."""
        for client in self.by_provider.values():
            await client.close()


def media(settings: Settings) -> Media:
    """A fetcher for each provider whose messages this process can take."""
    twilio = twilio_credentials(settings)
    found: dict[str, MediaClient] = {}
    if twilio is not None:
        found["twilio"] = twilio_media(twilio)
    if telnyx_credentials(settings) is not None:
        found["telnyx"] = telnyx_media(settings.telnyx_media_domains)
    return Media(found)


@dataclass(frozen=True, slots=True)
class MailWorkers:
    """What works on mail beside the event loop: processes that read it, threads that check its signatures."""

    reader: MailReader
    threads: Executor


def mail_intake(settings: Settings, ports: MailPorts, marks: ThreadMarks, beside: MailWorkers) -> MailIntake:
    """What every way in for mail hands it to."""
    return MailIntake(ports, marks, _sender_check(settings, ports.clock, beside.threads), beside.reader)


def _sender_check(settings: Settings, clock: Clock, threads: Executor) -> SenderCheck:
    match settings.mail_auth.mode:
        case MailAuthMode.OFF:
            return BelieveAll()
        case MailAuthMode.TRUST:
            return TrustedServer(settings.mail_auth.authserv_id or "")
        case MailAuthMode.VERIFY:
            # mail for `localhost` comes from this machine, of which no name server knows anything
            if settings.mail_domain == "localhost" and settings.dns_server is None:
                return BelieveNobody()
            server = settings.dns_server
            try:
                dns = CachedDns((server.host, server.port) if server else None)
            except (NoResolverConfiguration, ValueError):
                problem = "GATEWAY_DNS_SERVER: there is no name server to ask who sent a mail; name one"
                raise SettingsError([problem]) from None
            return OwnCheck(dns, clock, threads, settings.mail_arc_sealers)


def mail_server(settings: Settings, intake: MailIntake, *, lmtp: bool) -> MailIngress:
    """The SMTP server, or that of LMTP. Raises OSError where its certificate cannot be read."""
    limits = SessionLimits(proxies=settings.smtp_proxy_from, lmtp=lmtp)
    return MailIngress(intake, settings.mail_domain, limits=limits, tls=_tls(settings))


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if settings.smtp_tls_cert_file is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(settings.smtp_tls_cert_file, settings.smtp_tls_key_file)
    return context


def dkim_signer(settings: Settings) -> DkimSigner | None:
    """What signs our mail; None where no key is configured. Raises OSError, or SettingsError."""
    if settings.dkim_selector is None or settings.dkim_key_file is None:
        return None
    try:
        return DkimSigner.from_file(settings.mail_domain, settings.dkim_selector, settings.dkim_key_file)
    except ValueError as error:
        raise SettingsError([f"GATEWAY_DKIM_KEY_FILE: {error}"]) from None


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
