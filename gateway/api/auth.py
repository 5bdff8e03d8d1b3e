"""Who asks: API keys from the settings and from the database, and the roles they carry."""

import hmac
from base64 import b64decode
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Request, Security
from fastapi.security import APIKeyHeader

from gateway.domain.clock import Clock
from gateway.domain.errors import ErrorCode, GatewayError
from gateway.domain.ports import Store
from gateway.service.handoff import Operator
from gateway.service.keys import StoredKey, key_hash, key_of_hash
from gateway.settings import ApiKeySetting, KeyRole, organization_id_of

_RANK = {KeyRole.CLIENT: 0, KeyRole.OPERATOR: 1, KeyRole.ADMIN: 2}
_KNOWN_SECONDS = 10.0
"""How long a stored key is taken without asking the database: a revoked one works as long."""
_UNKNOWN_SECONDS = 1.0
_MAX_CACHED = 10_000
_MAX_KEY = 512
"""Characters; a longer key is not even hashed."""


@dataclass(frozen=True, slots=True)
class Principal:
    """The organisation a key speaks for, and what it may do there."""

    organization_id: str
    name: str
    role: KeyRole
    approver_roles: frozenset[str] = frozenset()

    def may(self, role: KeyRole) -> bool:
        """Whether the key's role includes another."""
        return _RANK[self.role] >= _RANK[role]

    @property
    def operator(self) -> Operator:
        """The key as a person who writes to end users."""
        return Operator(self.organization_id, self.name, admin=self.role is KeyRole.ADMIN)


def _nameless(hashed: str) -> str:
    return f"key {hashed[:8]}"


class Keyring:
    """Knows keys by their hashes; stored ones for some seconds, to spare the database."""

    def __init__(self, store: Store, api_keys: Sequence[ApiKeySetting], clock: Clock) -> None:
        self._store = store
        self._clock = clock
        hashes = [key_hash(setting.key.get_secret_value()) for setting in api_keys]
        self._settings = [(h, _of_setting(s, h)) for h, s in zip(hashes, api_keys, strict=True)]
        self._cache: OrderedDict[str, tuple[float, Principal | None]] = OrderedDict()

    async def find(self, key: str) -> Principal | None:
        """Whose key this is; None for an unknown one. Raises Unavailable."""
        if not key or len(key) > _MAX_KEY:
            return None
        hashed = key_hash(key)
        found: Principal | None = None
        for known, principal in self._settings:
            if hmac.compare_digest(known, hashed):
                found = principal
        return found or await self._stored(hashed)

    async def _stored(self, hashed: str) -> Principal | None:
        now = self._clock.monotonic()
        until, principal = self._cache.get(hashed, (now, None))
        if until > now:
            return principal
        stored = await self._store.read(key_of_hash, hashed)
        principal = None if stored is None else _of_stored(stored, hashed)
        self._cache[hashed] = now + (_UNKNOWN_SECONDS if principal is None else _KNOWN_SECONDS), principal
        self._cache.move_to_end(hashed)
        if len(self._cache) > _MAX_CACHED:
            self._cache.popitem(last=False)
        return principal


def _of_setting(setting: ApiKeySetting, hashed: str) -> Principal:
    return Principal(
        organization_id_of(setting.organisation), setting.name or _nameless(hashed), setting.role
    )


def _of_stored(stored: StoredKey, hashed: str) -> Principal:
    return Principal(
        stored.organization_id,
        stored.name or _nameless(hashed),
        stored.role,
        frozenset(stored.approver_roles),
    )


def unauthorized() -> GatewayError:
    """The refusal of a missing or unknown key."""
    return GatewayError(ErrorCode.UNAUTHORIZED, "send a valid API key in the header x-api-key")


def basic_password(authorization: str | None) -> str:
    """The password of an HTTP Basic header (RFC 7617), which browsers ask for; empty where there is none."""
    scheme, _, encoded = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        _, _, password = b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return ""
    return password


_SCHEME = APIKeyHeader(
    name="x-api-key",
    auto_error=False,
    description="An API key: `GATEWAY_API_KEYS`, or `gateway keys create`.",
)


def _requires(role: KeyRole) -> Callable[..., Principal]:
    def principal(request: Request, _key: Annotated[str | None, Security(_SCHEME)]) -> Principal:
        # the route has looked the key up already, before it read the body
        found: Principal = request.state.principal
        if not found.may(role):
            raise GatewayError(ErrorCode.FORBIDDEN, f"this needs a key with the role {role}")
        return found

    return principal


Client = Annotated[Principal, Security(_requires(KeyRole.CLIENT))]
OperatorKey = Annotated[Principal, Security(_requires(KeyRole.OPERATOR))]
Admin = Annotated[Principal, Security(_requires(KeyRole.ADMIN))]
