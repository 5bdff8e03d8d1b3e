"""The `EndCall` port, over the store: that a call is over, and what follows for its conversation."""

from dataclasses import dataclass

from gateway.domain.message import InboundMessage
from gateway.domain.ports.ingress import Accept
from gateway.domain.ports.store import Store
from gateway.service.call_over import end_of_call
from gateway.service.call_progress import RulesOf


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEnds:
    """Ends of calls, stored; each may be told of again."""

    store: Store
    accept: Accept
    rules_of: RulesOf
    organization_id: str
    partitions: int

    async def end(self, message: InboundMessage) -> None:
        """Record the event; the conversation closes as is configured for that. Raises GatewayError."""
        accepted = await self.accept(message)
        if not accepted.conversation_id:  # its person was erased, or it was deleted
            return
        await self.store.write(
            end_of_call,
            self.organization_id,
            accepted.conversation_id,
            self.rules_of(message.recipient),
            self.partitions,
        )
