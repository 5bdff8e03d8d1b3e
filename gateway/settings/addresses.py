"""Our own addresses and the places calls go to: the one spelling in which each is kept and compared."""

import re

from gateway.domain.errors import GatewayError
from gateway.domain.identity import WHATSAPP, canonical_mailbox, canonical_phone
from gateway.domain.message import Channel
from gateway.settings.values import parse_domain

_SHORT_CODE = re.compile(r"[0-9]{3,8}")
_SIP = re.compile(r"sips?:([^\s@\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,128}@)?[A-Za-z0-9_.:;=\[\]-]{1,253}")


def parse_phone_number(value: object) -> str:
    """A possible number in E.164, which may be given with spaces and -.()."""
    try:
        return canonical_phone(value if isinstance(value, str) else "")
    except GatewayError:
        raise ValueError("must be a phone number in E.164 like +15550100") from None


def parse_mailbox(value: object) -> str:
    """A mailbox of ours, in lower case, at a domain that a mail can be sent to."""
    try:
        mailbox = canonical_mailbox(value if isinstance(value, str) else "")
        parse_domain(mailbox.rpartition("@")[2])
    except (GatewayError, ValueError):
        raise ValueError("must be a mailbox like support@example.org") from None
    return mailbox


def parse_address(channel: Channel, value: object) -> str:
    """What people write to or call on a channel.

    SMS may have a short code of 3 to 8 digits, or a WhatsApp sender: `whatsapp:` and its number.
    """
    if channel is Channel.EMAIL:
        return parse_mailbox(value)
    if channel is Channel.SMS and isinstance(value, str):
        text = value.strip()
        if _SHORT_CODE.fullmatch(text):
            return text
        if text.startswith(WHATSAPP):
            return WHATSAPP + parse_phone_number(text.removeprefix(WHATSAPP))
    return parse_phone_number(value)


def parse_destination(value: object) -> str:
    """Where a call is transferred to: a number in E.164 or a sip: URI (RFC 3261 §19.1)."""
    if isinstance(value, str) and _SIP.fullmatch(value):
        return value
    try:
        return parse_phone_number(value)
    except ValueError:
        raise ValueError("must be a phone number in E.164 or a sip: URI") from None
