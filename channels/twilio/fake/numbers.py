"""The IncomingPhoneNumbers resource of the fake Twilio: list, fetch, update."""

from aiohttp import web

from channels.twilio.fake.errors import not_found
from channels.twilio.fake.ledger import new_sid
from channels.twilio.fake.rest import Gate, answer, form_of, page_of

BASE = "/2010-04-01/Accounts/{account}/IncomingPhoneNumbers"
DEMO_URL = "https://demo.twilio.com/welcome"
_SETTINGS = {
    "SmsUrl": "sms_url",
    "SmsMethod": "sms_method",
    "SmsFallbackUrl": "sms_fallback_url",
    "SmsFallbackMethod": "sms_fallback_method",
    "SmsApplicationSid": "sms_application_sid",
    "VoiceUrl": "voice_url",
    "VoiceMethod": "voice_method",
    "VoiceFallbackUrl": "voice_fallback_url",
    "VoiceFallbackMethod": "voice_fallback_method",
    "VoiceApplicationSid": "voice_application_sid",
    "TrunkSid": "trunk_sid",
    "StatusCallback": "status_callback",
    "StatusCallbackMethod": "status_callback_method",
}
"""A form field → what the resource calls it."""


class NumbersResource:
    """Routes under `/IncomingPhoneNumbers`."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self.numbers: dict[str, dict[str, str | None]] = {}
        """By phone number: what Twilio would show of it."""

    def add(self, phone_number: str, **settings: str) -> None:
        """The account has this number, set up as a new one is unless `settings` say otherwise."""
        self.numbers[phone_number] = {
            **dict.fromkeys(_SETTINGS.values(), ""),
            "sms_url": f"{DEMO_URL}/sms/reply",
            "voice_url": f"{DEMO_URL}/voice/",
            **{name: "POST" for name in _SETTINGS.values() if name.endswith("_method")},
            "sid": new_sid("PN"),
            "account_sid": self._gate.account_sid,
            "phone_number": phone_number,
            "friendly_name": f"Number {phone_number[-4:]}",
            **settings,
        }

    def routes(self) -> list[web.RouteDef]:
        """What to mount."""
        guard = self._gate.guard
        return [
            web.get(f"{BASE}.json", guard(self._list)),
            web.get(f"{BASE}/{{sid}}.json", guard(self._fetch)),
            web.post(f"{BASE}/{{sid}}.json", guard(self._update)),
        ]

    async def _list(self, request: web.Request) -> web.StreamResponse:
        page = page_of(request, list(self.numbers.values()), lambda number: str(number["sid"]))
        return answer(page.fields(request) | {"incoming_phone_numbers": page.records})

    async def _fetch(self, request: web.Request) -> web.StreamResponse:
        return answer(self._known(request))

    async def _update(self, request: web.Request) -> web.StreamResponse:
        number = self._known(request)
        number.update({_SETTINGS[name]: value for name, value in await form_of(request) if name in _SETTINGS})
        return answer(number)

    def _known(self, request: web.Request) -> dict[str, str | None]:
        sid = request.match_info["sid"]
        found = next((one for one in self.numbers.values() if one["sid"] == sid), None)
        if found is None:
            raise not_found(request.path)
        return found
