"""Our accounts at providers, and which channels each serves."""

from channels.telnyx.credentials import TelnyxCredentials
from channels.twilio.credentials import TwilioCredentials
from channels.voice.jambonz.account import JambonzAccount
from gateway.domain.identity import WHATSAPP
from gateway.domain.message import Channel
from gateway.settings import Settings, SmsProvider, VoiceMode


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
