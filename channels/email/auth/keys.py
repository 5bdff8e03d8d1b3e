"""Public keys of signers: where they are, what they may be used for, whether a signature is theirs."""

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256, Hash
from cryptography.hazmat.primitives.serialization import load_der_public_key

from channels.email.auth.signed import BadSignature, Field, read_tags, squeezed

MIN_RSA_BITS = 1_024
MAX_RSA_BITS = 8_192
"""A longer key costs more than a mail may."""

ALGORITHMS: Mapping[str, str] = {"rsa-sha256": "rsa", "ed25519-sha256": "ed25519"}
"""Algorithm of a signature → `k=` of its key (RFC 6376 §3.3, RFC 8463). SHA-1 is no proof (RFC 8301)."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key record."""

    key: RSAPublicKey | Ed25519PublicKey
    exact_domain: bool
    """`t=s`: not for subdomains."""

    def verify(self, signature: bytes, covered: bytes) -> None:
        """Raises BadSignature unless the signature over these bytes was made with this key."""
        try:
            if isinstance(self.key, RSAPublicKey):
                self.key.verify(signature, covered, PKCS1v15(), SHA256())
            else:
                self.key.verify(signature, sha256(covered))
        except InvalidSignature:
            raise BadSignature("the signature is not of its key") from None


def sha256(content: bytes) -> bytes:
    """The digest; lets other threads run meanwhile."""
    digest = Hash(SHA256())
    digest.update(content)
    return digest.finalize()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedField:
    """A field that holds a signature, read and not yet verified, and whose key it is made with."""

    field: Field
    domain: str
    selector: str
    algorithm: str
    signature: bytes

    @property
    def key_name(self) -> str:
        """Where its key is."""
        return key_name(self.selector, self.domain)

    @property
    def key_kind(self) -> str:
        """`k=` of its key."""
        return ALGORITHMS[self.algorithm]


def key_name(selector: str, domain: str) -> str:
    """Where a key is published (RFC 6376 §3.6.2.1)."""
    return f"{selector}._domainkey.{domain}"


def read_key(records: Sequence[str], kind: str) -> PublicKey:
    """The key of a kind in the TXT records of its name. Raises BadSignature."""
    if not records:
        raise BadSignature("no key")
    problem = BadSignature("no key")
    for record in records:
        try:
            return _read_record(record, kind)
        except BadSignature as error:
            problem = error
    raise problem


def _read_record(record: str, kind: str) -> PublicKey:
    tags = read_tags(record)
    if "v" in tags and (next(iter(tags)) != "v" or tags["v"] != "DKIM1"):
        raise BadSignature("the key is of another version")
    if tags.get("k", "rsa") != kind:
        raise BadSignature("the key is of another kind")
    if "h" in tags and "sha256" not in squeezed(tags["h"]).split(":"):
        raise BadSignature("the key is for other hashes")
    if "s" in tags and not {"*", "email"} & set(squeezed(tags["s"]).split(":")):
        raise BadSignature("the key is not for mail")
    content = squeezed(tags.get("p", ""))
    if not content:
        raise BadSignature("the key was revoked")
    flags = squeezed(tags.get("t", "")).split(":")
    return PublicKey(_key(content, kind), exact_domain="s" in flags)


def _key(content: str, kind: str) -> RSAPublicKey | Ed25519PublicKey:
    try:
        raw = b64decode(content, validate=True)
        if kind == "ed25519":
            return Ed25519PublicKey.from_public_bytes(raw)
        key = load_der_public_key(raw)
    except (Base64Error, ValueError, UnsupportedAlgorithm):
        raise BadSignature("the key cannot be read") from None
    if not isinstance(key, RSAPublicKey):
        raise BadSignature("the key is of another kind")
    if not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
        raise BadSignature(f"the key has {key.key_size} bits")
    return key
