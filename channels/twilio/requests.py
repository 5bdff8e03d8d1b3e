"""Twilio's webhook requests, proven: signed with a token of ours, and of no other account."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from channels.twilio.credentials import TwilioCredentials
from channels.twilio.signature import verify
from channels.webhooks import FormFields, invalid, read_form, signed_url, unproven
from gateway.domain.message import JsonObject

PROVIDER = "twilio"
SMS_PATH = "/webhooks/twilio/sms"
SMS_STATUS_PATH = f"{SMS_PATH}/status"
"""Named by the sender, answered by the routes."""
VOICE_PATH = "/webhooks/twilio/voice"
VOICE_STATUS_PATH = f"{VOICE_PATH}/status"
SMS_RETRIES = "#ct=2000&rt=4000&rc=3&rp=all"
"""Appended to a URL: connect and read within 2 s and 4 s, three more tries, after any failure.

Without it Twilio tries once more, and only where it could not connect. Not signed and not sent.
Source: https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides
"""
EMPTY_TWIML = '<?xml version="1.0" encoding="UTF-8"?><Response/>'
MAX_ADDRESS = 255
MAX_VALUE = 4096
"""Characters of a parameter that are kept."""
MAX_METADATA = 65_536
"""Characters of all parameters of a request that are kept."""
MAX_NAME = 128
MAX_CUT = 50
"""How many parameters that did not fit are named."""
_SID = re.compile(r"[A-Za-z0-9]{1,64}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class TwilioForm:
    """The parameters of a proven request. New ones appear without notice, so none is refused."""

    fields: FormFields
    first: Mapping[str, str]

    def text(self, name: str) -> str:
        """A parameter, or "" where it is absent; without U+0000, which no database stores as text."""
        return self.first.get(name, "").replace("\x00", "")

    def sid(self, *names: str) -> str:
        """The first of these parameters that is there, as an identifier; 422 where none is one."""
        value = next((self.first[name] for name in names if self.first.get(name)), "")
        if not _SID.fullmatch(value):
            raise invalid(f"{names[0]} is missing or is not an identifier.")
        return value

    def address(self, name: str) -> str:
        """A parameter that says who or where; 422 where it is empty, too long or holds control characters."""
        value = self.first.get(name, "")
        if not value.strip() or len(value) > MAX_ADDRESS or _CONTROL.search(value):
            raise invalid(f"{name} is missing or is not an address.")
        return value.strip()

    def metadata(self, *spoken_for: str) -> JsonObject:
        """All parameters as Twilio sent them, less those that the message itself carries.

        Values are cut at MAX_VALUE and all together at MAX_METADATA characters; what does not fit is named.
        """
        kept: dict[str, str] = {}
        left, cut = MAX_METADATA, []
        for name, value in self.first.items():
            if name in spoken_for:
                continue
            clean = value.replace("\x00", "")[:MAX_VALUE]
            left -= len(name) + len(clean)
            if left < 0 or len(value) > MAX_VALUE:
                cut.append(name.replace("\x00", "")[:MAX_NAME])
            if left >= 0:
                kept[name.replace("\x00", "")] = clean
        return {"provider": kept, "provider_cut": cut[:MAX_CUT]} if cut else {"provider": kept}


async def proven_form(request: Request, public_url: str, twilio: TwilioCredentials) -> TwilioForm:
    """The request's parameters; WebhookRefused with 403 unless it is signed, and for no other account."""
    fields = await read_form(request)
    signature = request.headers.get("x-twilio-signature", "")
    if not signature:
        raise unproven(PROVIDER, "no_signature")
    if not verify(twilio.auth_tokens, signed_url(public_url, request), fields, signature):
        raise unproven(PROVIDER, "bad_signature")
    form = TwilioForm(fields, dict(reversed(fields)))
    # the signature proves who asks; whoever leaves the account out names no other
    if twilio.account_sid and form.text("AccountSid") not in ("", twilio.account_sid):
        raise unproven(PROVIDER, "other_account")
    return form


def twiml(document: str = EMPTY_TWIML) -> Response:
    """An answer that Twilio acts on; the empty document does nothing (plain text would be sent as an SMS)."""
    return Response(document, media_type="text/xml")
