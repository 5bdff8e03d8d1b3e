"""DKIM: which domains have signed a mail as it is (RFC 6376). Every signature is looked at.

Stricter than the RFC where it leaves a door open: a signature that covers a part of the body only (`l=`),
that has run out, or that is made with SHA-1 or a short key proves nothing.
"""

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from channels.email.auth.keys import ALGORITHMS, KeyedField, PublicKey, sha256
from channels.email.auth.signed import BadSignature, Canonical, Field, SignedMail, read_tags, squeezed

MAX_SIGNATURES = 10
"""Of one mail; the rest is not looked at."""
_REQUIRED = ("v", "a", "b", "bh", "d", "h", "s")
_NUMBER = re.compile(r"[0-9]{1,12}")
_DOMAIN = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)+"
)
_SKEW = 3_600
"""Seconds by which a signer's clock may be ahead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature(KeyedField):
    """A DKIM-Signature, or the signature over the mail in an ARC set, read and not yet verified."""

    headers: tuple[bytes, ...]
    header_form: Canonical
    body_form: Canonical
    body_hash: bytes
    identity_domain: str
    """The domain of `i=`: within `d=`."""


def signature_fields(mail: SignedMail) -> Sequence[Field]:
    """The DKIM signatures of a mail, from the top."""
    return mail.named(b"dkim-signature")[:MAX_SIGNATURES]


def read_signature(field: Field, now: int, *, arc: bool = False) -> Signature:
    """Raises BadSignature. `now` in seconds; `arc` reads an ARC-Message-Signature, which has no version."""
    tags = _tags(field)
    required = _REQUIRED[1:] if arc else _REQUIRED
    missing = [name for name in required if not tags.get(name)]
    if missing:
        raise BadSignature(f"{missing[0]}= is missing")
    if not arc and tags["v"] != "1":
        raise BadSignature("another version")
    if tags["a"] not in ALGORITHMS:
        raise BadSignature("an algorithm that proves nothing")
    if "l" in tags:
        raise BadSignature("it covers a part of the body")
    _check_time(tags, now)
    headers = tuple(name.lower().encode() for name in squeezed(tags["h"]).split(":"))
    if b"from" not in headers:
        raise BadSignature("it does not cover From")
    header_form, body_form = _forms(tags.get("c", "simple/simple"))
    domain = domain_of(tags["d"])
    return Signature(
        field=field,
        domain=domain,
        selector=domain_of(tags["s"], selector=True),
        algorithm=tags["a"],
        headers=headers,
        header_form=header_form,
        body_form=body_form,
        body_hash=decoded(tags["bh"]),
        signature=decoded(tags["b"]),
        identity_domain=domain if arc else _identity(tags.get("i", f"@{domain}"), domain),
    )


def verify_signature(signature: Signature, mail: SignedMail, key: PublicKey) -> None:
    """Raises BadSignature unless the mail is as the domain has signed it. Takes time: call it in a thread."""
    if key.exact_domain and signature.identity_domain != signature.domain:
        raise BadSignature("the key is not for subdomains")
    if b"subject" not in signature.headers and mail.named(b"subject"):
        raise BadSignature("it does not cover Subject")
    if sha256(mail.body(signature.body_form)) != signature.body_hash:
        raise BadSignature("the body was changed")
    chosen = [field.canonical(signature.header_form) for field in mail.chosen(signature.headers)]
    own = signature.field.without_signature(signature.header_form)
    key.verify(signature.signature, b"".join((*chosen, own)))


def domain_of(text: str, *, selector: bool = False) -> str:
    """A domain or selector as the DNS is asked for it. Raises BadSignature."""
    try:
        name = text.strip().rstrip(".").encode("ascii" if text.isascii() else "idna").decode().lower()
    except UnicodeError:
        raise BadSignature("not a domain") from None
    if not _DOMAIN.fullmatch(f"{name}.x" if selector else name):
        raise BadSignature("not a domain")
    return name


def decoded(text: str) -> bytes:
    """Base64 with white space in it. Raises BadSignature."""
    try:
        return b64decode(squeezed(text), validate=True)
    except (Base64Error, ValueError):
        raise BadSignature("not base64") from None


def _tags(field: Field) -> Mapping[str, str]:
    try:
        return read_tags(field.value.decode("utf-8"))
    except UnicodeDecodeError:
        raise BadSignature("not a tag list") from None


def _check_time(tags: Mapping[str, str], now: int) -> None:
    times = {name: tags[name] for name in ("t", "x") if name in tags}
    if not all(_NUMBER.fullmatch(value) for value in times.values()):
        raise BadSignature("a time is not a number")
    signed = int(times.get("t", 0))
    if "x" in times and int(times["x"]) <= max(now, signed):
        raise BadSignature("it has expired")
    if signed > now + _SKEW:
        raise BadSignature("it is from the future")


def _forms(text: str) -> tuple[Canonical, Canonical]:
    header, _, body = text.partition("/")
    try:
        return Canonical(header), Canonical(body or "simple")
    except ValueError:
        raise BadSignature("an unknown canonical form") from None


def _identity(text: str, domain: str) -> str:
    identity = domain_of(text.rpartition("@")[2])
    if identity != domain and not identity.endswith(f".{domain}"):
        raise BadSignature("i= is not within d=")
    return identity
