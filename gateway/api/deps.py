"""What the API is built over, and how a route gets hold of it."""

from collections.abc import Awaitable, Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Protocol

from fastapi import Depends, Request
from prometheus_client import REGISTRY, CollectorRegistry
from starlette.routing import BaseRoute

from gateway.api.surface import Surface
from gateway.domain.clock import Clock
from gateway.domain.ports.files import AttachmentStore
from gateway.domain.ports.store import Store
from gateway.service.ask import Waiting
from gateway.settings import ApiKeySetting, GatewayConfig, VoiceMode

Check = Callable[[], Awaitable[str | None]]
"""None when healthy, else what does not answer, in a few words."""


class SpoolState(Protocol):
    """How the ingress spool stands."""

    @property
    def waiting(self) -> int:
        """Entries that are not in the database yet."""
        ...

    @property
    def full(self) -> bool:
        """Whether the last entry found no room."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiDeps:
    """Everything the API needs from the process it runs in."""

    store: Store
    waiting: Waiting
    files: AttachmentStore
    config: Callable[[], GatewayConfig]
    """The configuration in force."""
    partitions: int
    queue_prefix: str
    """In front of the names of queues and exchanges."""
    api_keys: Sequence[ApiKeySetting]
    clock: Clock
    surface: Surface
    webhook_routes: Sequence[BaseRoute]
    large: Container[str] = frozenset()
    """Paths of webhooks that take more than 1 MiB, mail with its files, and bound it themselves."""
    checks: Mapping[str, Check]
    """For /readyz, besides the database."""
    spared: frozenset[str] = frozenset()
    """The checks without which this process still does its work: it is degraded then, and ready."""
    spool: SpoolState | None = None
    """Where webhooks go while the database is away; None: nowhere."""
    can_call: Container[VoiceMode | None] = frozenset({None, VoiceMode.WEBHOOK, VoiceMode.RELAY})
    """How the calls of a number are carried that can call somebody."""
    version: str
    metrics: CollectorRegistry = field(default=REGISTRY)


def deps_of(request: Request) -> ApiDeps:
    """The dependencies of the application a request came to."""
    deps: ApiDeps = request.app.state.deps
    return deps


Deps = Annotated[ApiDeps, Depends(deps_of)]
