"""Standard Webhooks signatures (v1, symmetric), for requests to agents and for outgoing webhooks.

HMAC-SHA256 over `id.timestamp.body`, base64, after `v1,`.
Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import hmac
from base64 import b64decode, b64encode

SECRET_PREFIX = "whsec_"  # noqa: S105
TOLERANCE_SECONDS = 300
"""How far a signed timestamp may be from the receiver's clock, either way."""


def signing_key(secret: str) -> bytes:
    """The key that a secret stands for: base64 after `whsec_`, else its own bytes in UTF-8.

    Raises ValueError for an empty secret, or one that is not base64 where it says that it is.
    """
    if secret.startswith(SECRET_PREFIX):
        try:
            key = b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
        except ValueError:
            raise ValueError("a secret that begins with whsec_ goes on in base64") from None
    else:
        key = secret.encode()
    if not key:
        raise ValueError("a signing secret must not be empty")
    return key


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The `webhook-signature` of a request; `timestamp` in seconds. ValueError: bad secret."""
    content = b"%s.%d.%s" % (message_id.encode(), timestamp, body)
    return "v1," + b64encode(hmac.digest(signing_key(secret), content, "sha256")).decode()


def verify(secret: str, message_id: str, timestamp: str, body: bytes, signatures: str, *, now: int) -> bool:
    """Whether one of the space-separated `signatures` was made with `secret`, not long ago.

    The header values are given as received; `now` is in seconds since the epoch. ValueError: bad secret.
    """
    key = signing_key(secret)
    try:
        moment = int(timestamp) if timestamp.isascii() and timestamp.isdigit() else None
        claimed = [item.encode("ascii") for item in signatures.split()]
        content = b"%s.%s.%s" % (message_id.encode(), timestamp.encode(), body)
    except ValueError:  # not ASCII, lone surrogates, a number of thousands of digits
        return False
    if moment is None or abs(now - moment) > TOLERANCE_SECONDS:
        return False
    expected = b"v1," + b64encode(hmac.digest(key, content, "sha256"))
    return any(hmac.compare_digest(expected, item) for item in claimed)
