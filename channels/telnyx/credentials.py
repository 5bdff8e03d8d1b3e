"""Our account at Telnyx, as the adapters are handed it."""

from base64 import b64decode
from dataclasses import dataclass, field

API_URL = "https://api.telnyx.com"
KEY_BYTES = 32
"""An Ed25519 public key (RFC 8032 §5.1.5)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TelnyxCredentials:
    """One account. `public_keys`, in base64, are one or more: while one is replaced, either may sign."""

    api_key: str | None = field(repr=False)
    """None: webhooks are taken, nothing can be sent."""
    public_keys: tuple[str, ...]
    api_url: str = API_URL
    """Where REST calls go, without a trailing slash."""

    def __post_init__(self) -> None:
        if not self.public_keys:
            raise ValueError("at least one public key is needed to prove webhooks")
        for key in self.public_keys:
            raw_key(key)


def raw_key(public_key: str) -> bytes:
    """The bytes of a public key as Telnyx's portal shows it; raises ValueError where it is none."""
    try:
        raw = b64decode(public_key, validate=True)
    except ValueError:
        raw = b""
    if len(raw) != KEY_BYTES:
        raise ValueError("a Telnyx public key is 32 bytes in base64")
    return raw
