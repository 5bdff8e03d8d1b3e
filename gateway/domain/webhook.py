"""Webhooks out: who is told which facts, how an attempt ends, and when the next one is made."""

import secrets
from base64 import b64encode
from dataclasses import dataclass
from enum import StrEnum

from gateway.domain.clock import SECOND
from gateway.domain.signing import SECRET_PREFIX
from gateway.domain.wire import FactType

GIVE_UP_SECONDS = 24 * 3600
"""An event that was not taken for so long becomes a dead letter."""
OVERLAP_SECONDS = 24 * 3600
"""How long the secret before a rotation goes on signing."""
_DELAYS = (5, 30, 120, 600, 3600)
_SECRET_BYTES = 32


class WebhookStatus(StrEnum):
    """How one event stands at one endpoint."""

    PENDING = "pending"
    """It waits for its next attempt."""
    SENDING = "sending"
    """An attempt is being made."""
    DELIVERED = "delivered"
    """The receiver answered 2xx."""
    DEAD = "dead"
    """Given up."""


class DisabledReason(StrEnum):
    """Why an endpoint is told nothing."""

    REQUESTED = "requested"
    GONE = "gone"
    """The receiver answered 410."""


class WebhookError(StrEnum):
    """Why an attempt got no status."""

    ADDRESS_REFUSED = "address_refused"
    """The name leads to an address that is not public."""
    CONNECTION_FAILED = "connection_failed"
    TIMEOUT = "timeout"
    NO_ANSWER = "no_answer"
    """The connection broke, or what came was not HTTP."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEndpoint:
    """A place that is told facts. Times in µs; without its secrets."""

    id: str
    organization_id: str
    url: str
    description: str
    events: tuple[FactType, ...] | None
    """None: every one."""
    previous_until: int | None
    """Until when the secret before the last rotation signs as well."""
    disabled_reason: DisabledReason | None
    created_at: int
    updated_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookDelivery:
    """How one event stands at one endpoint. Times in µs."""

    event_id: str
    type: str
    status: WebhookStatus
    attempt: int
    response_code: int | None
    error: WebhookError | None
    created_at: int
    attempted_at: int | None
    next_attempt_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookAttempt:
    """An attempt that is committed: the request may be made now."""

    endpoint_id: str
    url: str
    secrets: tuple[str, ...]
    """All that sign, the newest first."""
    event_id: str
    type: str
    body: str
    attempt: int


@dataclass(frozen=True, slots=True)
class WebhookOutcome:
    """What a receiver answered: a status, or none and why."""

    response_code: int | None
    error: WebhookError | None = None

    @property
    def delivered(self) -> bool:
        """2xx."""
        return self.response_code is not None and 200 <= self.response_code < 300

    @property
    def gone(self) -> bool:
        """410: the receiver wants nothing more."""
        return self.response_code == 410


def retry_delay(attempt: int, tried_for: int) -> int | None:
    """µs until the next attempt after `attempt` (1: the first) failed, `tried_for` µs after the beginning.

    5 s, 30 s, 2 min, 10 min, then every hour; None where that would be after 24 hours.
    """
    delay = _DELAYS[min(attempt, len(_DELAYS)) - 1] * SECOND
    return delay if tried_for + delay <= GIVE_UP_SECONDS * SECOND else None


def new_secret() -> str:
    """A signing secret in the form of Standard Webhooks: 256 random bits."""
    return SECRET_PREFIX + b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()
