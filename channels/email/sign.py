"""DKIM signatures on our mail (RFC 6376, 8463), without a time: a mail signed twice is the same twice."""

from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from channels.email.auth.keys import MIN_RSA_BITS, sha256
from channels.email.auth.signed import Canonical, Field, read_signed

RSA_BITS = 2_048
HEADERS = (
    b"from",
    b"to",
    b"subject",
    b"date",
    b"message-id",
    b"in-reply-to",
    b"references",
    b"reply-to",
    b"content-type",
    b"mime-version",
)
"""Signed once more often than they stand in the mail, so that none can be added."""
_LINE = 72


@dataclass(frozen=True, slots=True)
class DkimSigner:
    """Signs for one domain with one key."""

    domain: str
    selector: str
    key: RSAPrivateKey | Ed25519PrivateKey

    @classmethod
    def from_file(cls, domain: str, selector: str, path: Path) -> "DkimSigner":
        """Raises ValueError where the file does not hold a private key in PEM, and OSError."""
        return cls(domain, selector, read_private_key(path))

    def sign(self, mail: bytes) -> bytes:
        """The mail below its signature. `mail` has CRLF line ends; nothing may change in it afterwards."""
        signed = read_signed(mail)
        if signed is None:
            raise ValueError("the mail's headers cannot be read")
        names = [name for name in HEADERS for _ in range(len(signed.named(name)) + 1)]
        body_hash = b64encode(sha256(signed.body(Canonical.RELAXED))).decode()
        rsa = isinstance(self.key, RSAPrivateKey)
        tags = (
            "v=1",
            f"a={'rsa' if rsa else 'ed25519'}-sha256",
            "c=relaxed/relaxed",
            f"d={self.domain}",
            f"s={self.selector}",
            "h=" + ":\r\n\t ".join(_wrapped(names)),
            f"bh={body_hash}",
        )
        head = ("DKIM-Signature: " + ";\r\n\t".join(tags) + ";\r\n\tb=").encode()
        own = Field(b"dkim-signature", head + b"\r\n").without_signature(Canonical.RELAXED)
        covered = b"".join(field.canonical(Canonical.RELAXED) for field in signed.chosen(names)) + own
        digits = b64encode(self._signature(covered))
        pieces = [digits[at : at + _LINE] for at in range(0, len(digits), _LINE)]
        return head + b"\r\n\t ".join(pieces) + b"\r\n" + mail

    def _signature(self, covered: bytes) -> bytes:
        if isinstance(self.key, RSAPrivateKey):
            return self.key.sign(covered, PKCS1v15(), SHA256())
        return self.key.sign(sha256(covered))


def read_private_key(path: Path) -> RSAPrivateKey | Ed25519PrivateKey:
    """Raises ValueError where the file does not hold a private key in PEM that mail may be signed with."""
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError(f"{path} does not hold a private key in PEM without a password") from None
    if isinstance(key, RSAPrivateKey) and key.key_size >= MIN_RSA_BITS:
        return key
    if isinstance(key, Ed25519PrivateKey):
        return key
    raise ValueError(f"{path} must hold an RSA key of at least {MIN_RSA_BITS} bits, or an Ed25519 key")


def make_private_key() -> bytes:
    """A new RSA key, in PEM: every receiver reads RSA, not every one Ed25519."""
    key = generate_private_key(public_exponent=65_537, key_size=RSA_BITS)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def key_record(key: RSAPrivateKey | Ed25519PrivateKey) -> str:
    """The TXT record of the public half."""
    if isinstance(key, RSAPrivateKey):
        public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return f"v=DKIM1; k=rsa; p={b64encode(public).decode()}"
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return f"v=DKIM1; k=ed25519; p={b64encode(public).decode()}"


def _wrapped(names: list[bytes]) -> list[str]:
    """The names joined by colons, some on each line."""
    return [":".join(name.decode() for name in names[at : at + 5]) for at in range(0, len(names), 5)]
