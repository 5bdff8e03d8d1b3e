"""Telnyx's request signature: Ed25519 over the time, a bar and the raw body.

Source: https://developers.telnyx.com/docs/messaging/messages/receiving-webhooks
The URL is not covered: nothing that a request's query says is proven.
"""

from base64 import b64decode
from collections.abc import Sequence

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from channels.telnyx.credentials import raw_key

TOLERANCE_SECONDS = 300
"""How far the request's time may be from ours, either way: older ones may be replayed."""
SIGNATURE_HEADER = "telnyx-signature-ed25519"
TIMESTAMP_HEADER = "telnyx-timestamp"
_MAX_DIGITS = 12


def signed_text(timestamp: str, body: bytes) -> bytes:
    """What is signed."""
    return timestamp.encode("ascii", "replace") + b"|" + body


def is_fresh(timestamp: str, now_seconds: float) -> bool:
    """Whether a request's time (Unix seconds) is near enough to ours."""
    if not timestamp.isascii() or not timestamp.isdecimal() or len(timestamp) > _MAX_DIGITS:
        return False
    return abs(int(timestamp) - now_seconds) <= TOLERANCE_SECONDS


def verify(public_keys: Sequence[str], timestamp: str, body: bytes, signature: str) -> bool:
    """Whether one of the keys signed this body at this time; says nothing about how long ago that is."""
    try:
        claimed = b64decode(signature, validate=True)
    except ValueError:
        return False
    text = signed_text(timestamp, body)
    return any(_signed(key, claimed, text) for key in public_keys)


def _signed(public_key: str, signature: bytes, text: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(raw_key(public_key)).verify(signature, text)
    except InvalidSignature:
        return False
    return True
