"""What a process is to be: its roles and how it serves them."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from gateway.api.surface import Surface
from gateway.settings import HostPort


class Role(StrEnum):
    """What a process does."""

    SERVE = "serve"
    SMTP = "smtp"
    TURNS = "turns"
    DELIVERIES = "deliveries"
    RELAY = "relay"
    TIMERS = "timers"
    WEBHOOKS = "webhooks"
    VOICE = "voice"


WORKER_ROLES = frozenset(Role) - {Role.SERVE, Role.SMTP}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One process: its roles and how it serves them."""

    roles: frozenset[Role]
    surface: Surface = Surface.ALL
    concurrency: int = 256
    """Queue messages worked off at once, over all queues."""
    lmtp: bool = False
    """Take mail in over LMTP instead of SMTP."""
    migrate: bool = False
    """Bring the schema up to date at the start; else an old schema stops it."""
    health: HostPort | None = None
    """Where else /healthz, /readyz and /metrics are served."""
    announce: Callable[[str], None] | None = None
    """Told the ready line."""

    @property
    def needs_bus(self) -> bool:
        """Who only takes in what comes leaves it in the outbox until the broker is back."""
        works = self.roles - {Role.SERVE, Role.SMTP}
        converses = Role.SERVE in self.roles and self.surface is not Surface.PUBLIC
        return bool(works) or converses

    @property
    def takes_in(self) -> bool:
        """Whether messages of end users come in here."""
        public = Role.SERVE in self.roles and self.surface is not Surface.PRIVATE
        return public or Role.SMTP in self.roles


class StartRefused(Exception):
    """The process cannot start; the message says what to do, in one line."""


class StopAsked(Exception):
    """It was told to stop while it waited for what it needs to start."""
