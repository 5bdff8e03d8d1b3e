"""Where an agent may transfer calls to: the labels of its configuration, and raw destinations or not."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gateway.domain.agent import AgentFailed, CallTransferRequested
from gateway.domain.intent import CallTransferIntent

_CHOSEN_BY_AGENT = (
    "connecting_text",
    "reason",
    "max_retries",
    "retry_text",
    "on_failure",
    "warm",
    "warm_overrides",
)
"""What a request may change of a configured transfer. Where it goes, and how, is the configuration's."""


@dataclass(frozen=True, slots=True)
class Transfers:
    """The transfers of one agent."""

    labels: Mapping[str, CallTransferIntent] = field(default_factory=dict)
    raw: Callable[[str], str] | None = None
    """Gives the one spelling of a destination the agent names itself, or raises ValueError.

    None where the agent may use labels only: a model must not be talked into dialling a number.
    """

    def resolve(self, requested: CallTransferRequested) -> CallTransferIntent:
        """The transfer that is meant, without defaults applied; AgentFailed if it is not allowed."""
        if requested.destination:
            return self._raw(requested)
        if requested.label is None:
            raise AgentFailed("call_transfer names neither a destination nor a label")
        configured = self.labels.get(requested.label)
        if configured is None:
            known = ", ".join(sorted(self.labels)) or "none"
            raise AgentFailed(f"call_transfer to a label that is not configured; configured: {known}")
        chosen = {
            name: getattr(requested, name) for name in _CHOSEN_BY_AGENT if name in requested.model_fields_set
        }
        return configured.model_copy(update={**chosen, "label": requested.label})

    def _raw(self, requested: CallTransferRequested) -> CallTransferIntent:
        if self.raw is None:
            raise AgentFailed("call_transfer to a raw destination; this agent may use configured labels only")
        values = {name: getattr(requested, name) for name in CallTransferIntent.model_fields}
        try:
            values["destination"] = self.raw(requested.destination)
            values["warm_destinations"] = [self.raw(item) for item in requested.warm_destinations]
        except ValueError:
            raise AgentFailed("call_transfer to a destination that is not a number or a sip: URI") from None
        return CallTransferIntent(**values)
