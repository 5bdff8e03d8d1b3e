"""The numbers of our account at Twilio, and where each sends what comes in.

Source: https://www.twilio.com/docs/phone-numbers/api/incomingphonenumber-resource
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Self

import aiohttp
from twilio.rest.api.v2010.account.incoming_phone_number import IncomingPhoneNumberInstance

from channels.exchange import begin_exchange
from channels.twilio.client import FAULTS, PhasedHttpClient, official_client
from channels.twilio.credentials import TwilioCredentials
from channels.twilio.requests import SMS_PATH, SMS_RETRIES, VOICE_PATH, VOICE_STATUS_PATH

SECONDS = 15.0
"""For one request."""
MAX_NUMBERS = 1000
PAGE = 100
_POST = "POST"


class TwilioRefusal(Exception):
    """Twilio does not do it, or does not answer; one line, without secrets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberSettings:
    """Where a number sends what comes in; the names are Twilio's. Empty: not set."""

    sms_url: str = ""
    sms_method: str = _POST
    sms_fallback_url: str = ""
    sms_fallback_method: str = _POST
    sms_application_sid: str = ""
    """Where one is set, the URLs for texts are ignored."""
    voice_url: str = ""
    voice_method: str = _POST
    voice_fallback_url: str = ""
    voice_fallback_method: str = _POST
    voice_application_sid: str = ""
    trunk_sid: str = ""
    """Where an application or a trunk is set, the URLs for calls are ignored."""
    status_callback: str = ""
    """Told how calls end."""
    status_callback_method: str = _POST

    @classmethod
    def of(cls, values: object) -> Self:
        """From what has attributes of these names; None is empty."""
        return cls(**{one.name: str(getattr(values, one.name, None) or "") for one in fields(cls)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """One number of the account."""

    sid: str
    phone_number: str
    name: str
    settings: NumberSettings


@dataclass(frozen=True, slots=True)
class Change:
    """One setting that is not as it should be."""

    setting: str
    before: str
    after: str


def wanted(
    current: NumberSettings, public_url: str, fallback_url: str, *, sms: bool, voice: bool
) -> NumberSettings:
    """A number's settings with those of texts, of calls or both pointing at a gateway.

    `public_url` and `fallback_url` (asked once more where the first fails) are without a trailing slash.
    """
    found = current
    if sms:
        found = replace(
            found,
            sms_url=public_url + SMS_PATH + SMS_RETRIES,
            sms_method=_POST,
            sms_fallback_url=fallback_url + SMS_PATH,
            sms_fallback_method=_POST,
            sms_application_sid="",
        )
    if voice:
        found = replace(
            found,
            voice_url=public_url + VOICE_PATH,
            voice_method=_POST,
            voice_fallback_url=fallback_url + VOICE_PATH,
            voice_fallback_method=_POST,
            voice_application_sid="",
            trunk_sid="",
            status_callback=public_url + VOICE_STATUS_PATH,
            status_callback_method=_POST,
        )
    return found


def changes(before: NumberSettings, after: NumberSettings) -> list[Change]:
    """What is different, in the order of the settings."""
    new = asdict(after)
    return [Change(name, old, new[name]) for name, old in asdict(before).items() if old != new[name]]


def points_at(settings: NumberSettings, public_url: str, *, sms: bool, voice: bool) -> bool:
    """Whether texts, calls or both come to a gateway, however the rest is set up."""
    texts = not settings.sms_application_sid and settings.sms_url.partition("#")[0] == public_url + SMS_PATH
    elsewhere = settings.voice_application_sid or settings.trunk_sid
    calls = not elsewhere and settings.voice_url.partition("#")[0] == public_url + VOICE_PATH
    return (texts or not sms) and (calls or not voice)


class TwilioNumbers:
    """Reads and changes the numbers of one account. Close it when done."""

    def __init__(self, credentials: TwilioCredentials) -> None:
        """Raises ValueError without an account."""
        if not credentials.account_sid:
            raise ValueError("the numbers of an account need its sid")
        self._http = PhasedHttpClient(4)
        self._client = official_client(credentials, self._http)

    async def all(self) -> Sequence[Number]:
        """Every number, at most MAX_NUMBERS. Raises TwilioRefusal."""
        exchange = begin_exchange(SECONDS)
        try:
            found = await self._client.incoming_phone_numbers.list_async(limit=MAX_NUMBERS, page_size=PAGE)
            return [_number(one) for one in found]
        except FAULTS as error:
            raise _refusal(error, exchange.status) from error

    async def change(self, number: Number, settings: NumberSettings) -> Number:
        """Set what is different; the number as it is then. Raises TwilioRefusal."""
        different = {change.setting: change.after for change in changes(number.settings, settings)}
        exchange = begin_exchange(SECONDS)
        try:
            changed = await self._client.incoming_phone_numbers(number.sid).update_async(**different)
            return _number(changed)
        except FAULTS as error:
            raise _refusal(error, exchange.status) from error

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()


def _number(one: IncomingPhoneNumberInstance) -> Number:
    if not one.sid or not one.phone_number:
        raise ValueError("a number without a sid")
    return Number(
        sid=one.sid,
        phone_number=one.phone_number,
        name=one.friendly_name or "",
        settings=NumberSettings.of(one),
    )


def _refusal(error: Exception, status: int) -> TwilioRefusal:
    """`status` is that of the answer: the official client does not always say."""
    if isinstance(error, TimeoutError | aiohttp.ClientError | OSError):
        return TwilioRefusal(f"Twilio does not answer: {type(error).__name__}; see TWILIO_API_URL")
    if status in (401, 403):
        advice = "check TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN"
        return TwilioRefusal(f"Twilio refuses the credentials ({status}); {advice}")
    if status >= 400:
        code = getattr(error, "code", None)
        return TwilioRefusal(f"Twilio answers {status}{f', code {code}' if code else ''}; see its debugger")
    return TwilioRefusal("Twilio's answer cannot be read; see TWILIO_API_URL")
