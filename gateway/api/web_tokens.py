"""Tokens for browsers: whoever holds one speaks in exactly one conversation, for some hours.

`gwt_` and, in base64url, the organisation, the conversation (so one end user) and the end of validity
under an HMAC-SHA256 by a secret that all processes share. Nothing is stored; what ends a token early is
the end of its conversation.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from uuid import UUID

from gateway.domain.clock import SECOND, Clock
from gateway.domain.ports.store import Store
from gateway.service.secret import shared_secret

PREFIX = "gwt_"
_CLAIMS = 16 + 16 + 8
"""Bytes: two UUIDs and seconds since the epoch."""
_LENGTH = (_CLAIMS + 32) * 4 // 3
"""Characters after the prefix; both parts fill their base64 exactly."""


@dataclass(frozen=True, slots=True)
class WebToken:
    """What a valid token says."""

    organization_id: str
    conversation_id: str


class WebTokens:
    """Makes and reads tokens."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._secret = b""

    async def prepare(self) -> None:
        """Have the secret at hand. Raises Unavailable."""
        if not self._secret:
            self._secret = await self._store.write(shared_secret, "web")

    def make(self, token: WebToken, ttl_seconds: int) -> tuple[str, int]:
        """The text of a token, and when it ends (µs); to be prepared for."""
        ends = self._clock.now() // SECOND + ttl_seconds
        claims = UUID(token.organization_id).bytes + UUID(token.conversation_id).bytes + ends.to_bytes(8)
        signed = claims + hmac.digest(self._secret, claims, "sha256")
        return PREFIX + urlsafe_b64encode(signed).decode(), ends * SECOND

    async def read(self, text: str) -> WebToken | None:
        """What a token says; None for one that is not ours or has ended. Raises Unavailable."""
        if not text.startswith(PREFIX) or len(text) != len(PREFIX) + _LENGTH:
            return None
        try:
            signed = urlsafe_b64decode(text.removeprefix(PREFIX).encode("ascii"))
        except ValueError:
            return None
        await self.prepare()
        claims, mac = signed[:_CLAIMS], signed[_CLAIMS:]
        if not hmac.compare_digest(mac, hmac.digest(self._secret, claims, "sha256")):
            return None
        if int.from_bytes(claims[32:]) * SECOND <= self._clock.now():
            return None
        return WebToken(str(UUID(bytes=claims[:16])), str(UUID(bytes=claims[16:32])))
