"""Addresses and how they are made comparable: E.164 numbers, mailboxes, a client's own user ids."""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import phonenumbers

from gateway.domain.errors import ErrorCode, GatewayError
from gateway.domain.message import Channel

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_PHONE_NOISE = str.maketrans("", "", " -.()\u00a0")
_MAILBOX_MAX = 254
_USER_ID_MAX = 255

WHATSAPP = "whatsapp:"
"""In front of a number, theirs or ours, that is written to over WhatsApp; the two go together only."""

UNVERIFIED = "unverified:"
"""In front of a mailbox that unproven mail claims to come from: such mail has a person of its own."""


class ContactKind(StrEnum):
    """What kind of address a contact is; SMS and voice share one record per number."""

    PHONE = "phone"
    EMAIL = "email"
    USER = "user"


KIND_OF_CHANNEL = {
    Channel.SMS: ContactKind.PHONE,
    Channel.VOICE: ContactKind.PHONE,
    Channel.EMAIL: ContactKind.EMAIL,
    Channel.API: ContactKind.USER,
    Channel.WEB: ContactKind.USER,
}


@dataclass(frozen=True, slots=True)
class Address:
    """A canonical address of an end user."""

    kind: ContactKind
    value: str


def _invalid(what: str) -> GatewayError:
    return GatewayError(ErrorCode.INVALID_IDENTIFIER, what)


def canonical_phone(text: str) -> str:
    """E.164. Spaces and `-.()` are removed; a *possible* number suffices, so that test numbers work."""
    number = text.translate(_PHONE_NOISE)
    if not _E164.fullmatch(number):
        raise _invalid("a phone number is written in E.164, such as +14155550123")
    _check_possible(number)
    return number


@lru_cache(maxsize=4096)
def _check_possible(number: str) -> None:
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        raise _invalid("this phone number has no known country code") from None
    if not phonenumbers.is_possible_number(parsed):
        raise _invalid("this phone number is too long or too short for its country")


def canonical_mailbox(text: str) -> str:
    """The mailbox with its domain in lower-case ASCII (IDNA); the local part is folded too.

    RFC 5321 §2.4 leaves the local part's case to the receiver; no receiver in use tells
    two people apart by it, and people write it either way.
    """
    local, at, domain = text.strip().rpartition("@")
    if not at or not local or not domain or len(text) > _MAILBOX_MAX or re.search(r"[\s<>\x00-\x1f]", text):
        raise _invalid("an e-mail address is written as name@domain")
    try:
        ascii_domain = domain.rstrip(".").encode("idna").decode().lower()
    except UnicodeError:
        raise _invalid("the domain of this e-mail address is not valid") from None
    return f"{local.lower()}@{ascii_domain}"


def canonical_user(text: str) -> str:
    """A client's own user id: opaque, 1..255 characters."""
    if not 1 <= len(text) <= _USER_ID_MAX or "\x00" in text:
        raise _invalid("an identifier has 1 to 255 characters")
    return text


_CANONICAL = {
    ContactKind.PHONE: canonical_phone,
    ContactKind.EMAIL: canonical_mailbox,
    ContactKind.USER: canonical_user,
}


def address_of(channel: Channel, identifier: str) -> Address:
    """The canonical address behind an identifier; GatewayError `invalid_identifier` otherwise."""
    kind = KIND_OF_CHANNEL[channel]
    return Address(kind, _CANONICAL[kind](identifier))
