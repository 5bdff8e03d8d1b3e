"""Checks the form of a message to be sent, the way the real Messages resource does.

Source: https://www.twilio.com/docs/messaging/api/message-resource#create-a-message-resource
"""

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from channels.twilio.fake.errors import BAD_FROM, BAD_TO, RestError
from channels.twilio.fake.ledger import Draft

MAX_BODY_UNITS = 1600
MAX_MEDIA = 10

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_SENDER = re.compile(r"\+[1-9][0-9]{6,14}|[0-9]{3,8}|(?=.*[A-Za-z])[A-Za-z0-9 +_&-]{1,11}")
_SCHEMES = ("whatsapp:", "messenger:", "rcs:")
_GSM_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_EXTENSION = frozenset("\f^{}\\[~]|€")


def draft_of(form: Sequence[tuple[str, str]]) -> Draft:
    """The message this form asks for. Raises RestError with the code Twilio would answer."""
    fields = dict(form)
    body = fields.get("Body", "")
    media = sum(name == "MediaUrl" for name, _ in form)
    _check_to(fields.get("To", ""))
    service = fields.get("MessagingServiceSid") or None
    _check_from(fields.get("From", ""), service)
    if not body and not media and "ContentSid" not in fields:
        raise RestError(21602, "Message body is required.")
    if len(body.encode("utf-16-le")) // 2 > MAX_BODY_UNITS:
        raise RestError(21617, f"The concatenated message body exceeds the {MAX_BODY_UNITS} character limit.")
    if media > MAX_MEDIA:
        raise RestError(21623, "Number of media files exceeds allowed limit.")
    callback = fields.get("StatusCallback", "")
    _check_callback(callback)
    return Draft(
        to=fields["To"],
        from_=fields.get("From", ""),
        body=body,
        status="",
        messaging_service_sid=service,
        media=media,
        status_callback=callback,
    )


def segments(body: str) -> int:
    """How many segments a carrier would bill, to the accuracy a fake needs (no grapheme or escape moves)."""
    if all(char in _GSM_BASIC or char in _GSM_EXTENSION for char in body):
        units, single, joined = len(body) + sum(char in _GSM_EXTENSION for char in body), 160, 153
    else:
        units, single, joined = len(body.encode("utf-16-le")) // 2, 70, 67
    return 1 if units <= single else -(-units // joined)


def _check_to(to: str) -> None:
    if not to:
        raise RestError(21604, "A 'To' phone number is required.")
    if to in BAD_TO:
        raise RestError(*BAD_TO[to])
    if not (to.startswith(_SCHEMES) or _E164.fullmatch(to)):
        raise RestError(21211, f"The 'To' number {to} is not a valid phone number.")


def _check_from(sender: str, service: str | None) -> None:
    if not sender:
        if service is None:
            raise RestError(21603, "A 'From' phone number is required.")
        return
    if sender in BAD_FROM:
        raise RestError(*BAD_FROM[sender])
    if not (sender.startswith(_SCHEMES) or _SENDER.fullmatch(sender)):
        raise RestError(21212, f"The 'From' number {sender} is not a valid phone number.")


def _check_callback(url: str) -> None:
    if not url:
        return
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and parts.hostname and "_" not in parts.hostname
    except ValueError:
        sound = False
    if not sound:
        raise RestError(21609, f"The 'StatusCallback' URL {url} is not a valid URL.")
