"""What a channel adapter is handed, and what it must offer.

On the way in an adapter proves who is speaking (`verify`), turns the request into the domain's
`InboundMessage` or `Receipt` (`parse`) and gives it to the ports below; only when they return has
the provider's request been answered. On the way out it is a `gateway.domain.ports.egress.Sender`.
Adapters hand over routes and never import the server, the store or the bus.
"""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.domain.call_rules import CallRules
from gateway.domain.clock import Clock
from gateway.domain.ports.calls import CallConnections, CallReports
from gateway.domain.ports.dialogue import Dialogue
from gateway.domain.ports.egress import ApplyReceipt
from gateway.domain.ports.files import KeepAttachment
from gateway.domain.ports.ingress import Accept, TakeReport
from gateway.domain.ports.warm import KeptTransfers, WarmTransfers


@dataclass(frozen=True, slots=True, kw_only=True)
class MailPorts:
    """What an adapter that takes mail may use of the gateway."""

    accept: Accept
    keep: KeepAttachment
    """For files whose bytes come with the message; the others are fetched after it was accepted."""
    report: TakeReport
    clock: Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingress:
    """What an adapter that takes texts or calls may use of the gateway."""

    accept: Accept
    receive: ApplyReceipt
    dialogue: Dialogue
    reports: CallReports
    """For what providers of calls say about them."""
    kept: KeptTransfers
    """Where warm transfers stand whose host does them itself."""
    connections: CallConnections
    """Who has a call whose connection may break."""
    public_url: str
    """What providers see, without a trailing slash; signatures are checked against it."""
    clock: Clock
    calls: Callable[[str], CallRules] = lambda _number: CallRules()
    """What holds for the calls of a number of ours."""
    warm: WarmTransfers | None = None
    """Warm transfers; None where nobody can be called (no account to call with)."""


MAX_BODY = 1_048_576
"""Bytes of a webhook's body; more is 413."""

MAX_FIELDS = 1_000
"""Fields of a form; more is 400. Providers send fewer than a hundred."""
