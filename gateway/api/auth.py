"""Who asks: API keys from the settings and from the database with their roles, and holders of web tokens."""

import hmac
from base64 import b64decode
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from gateway.api.rate import RateLimiter
from gateway.api.web_tokens import WebTokens
from gateway.domain.clock import Clock
from gateway.domain.errors import ErrorCode, GatewayError
from gateway.domain.ids import parse_id
from gateway.domain.ports.store import Store
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
    conversation_id: str | None = None
    """The only conversation that a web token opens; None for a key."""

    def may(self, role: KeyRole) -> bool:
        """Whether the key's role includes another."""
        return self.conversation_id is None and _RANK[self.role] >= _RANK[role]

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


class Admission:
    """Lets a request in: by its key or its web token, and as often as the key may ask."""

    def __init__(self, keyring: Keyring, tokens: WebTokens, limiter: RateLimiter) -> None:
        self._keyring = keyring
        self._tokens = tokens
        self._limiter = limiter

    async def admit(self, request: Request) -> Principal:
        """Who asks. Raises GatewayError: `unauthorized`, `rate_limited`, `unavailable`."""
        key = request.headers.get("x-api-key")
        principal = await self._visitor(request) if key is None else await self._keyring.find(key)
        if principal is None:
            raise unauthorized()
        self._limiter.take(principal.conversation_id or key_hash(key or ""))
        return principal

    async def _visitor(self, request: Request) -> Principal | None:
        scheme, _, text = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        token = await self._tokens.read(text.strip())
        if token is None:
            return None
        return Principal(token.organization_id, "web", KeyRole.CLIENT, conversation_id=token.conversation_id)


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


_WEB_SCHEME = HTTPBearer(
    auto_error=False, description="A web token of this conversation, from `POST /v1/web-tokens`."
)


def caller(request: Request) -> Principal:
    """Who asks; the route has found out before it read the body. What they may do is asked elsewhere."""
    principal: Principal = request.state.principal
    return principal


def _requires(role: KeyRole) -> Callable[..., Principal]:
    def principal(request: Request, _key: Annotated[str | None, Security(_SCHEME)]) -> Principal:
        found = caller(request)
        if found.conversation_id is not None:
            raise _beyond_the_token()
        if not found.may(role):
            raise GatewayError(ErrorCode.FORBIDDEN, f"this needs a key with the role {role}")
        return found

    return principal


def _beyond_the_token() -> GatewayError:
    return GatewayError(
        ErrorCode.FORBIDDEN, "a web token opens its own conversation: turns, messages, events and close"
    )


def _in_conversation(
    request: Request,
    _key: Annotated[str | None, Security(_SCHEME)],
    _token: Annotated[HTTPAuthorizationCredentials | None, Security(_WEB_SCHEME)],
) -> Principal:
    found = caller(request)
    own = found.conversation_id
    if own is not None and parse_id(request.path_params["conversation_id"]) != own:
        raise _beyond_the_token()
    return found


Client = Annotated[Principal, Security(_requires(KeyRole.CLIENT))]
OperatorKey = Annotated[Principal, Security(_requires(KeyRole.OPERATOR))]
Admin = Annotated[Principal, Security(_requires(KeyRole.ADMIN))]
Participant = Annotated[Principal, Security(_in_conversation)]
"""A key, or a web token of the conversation in the path."""
