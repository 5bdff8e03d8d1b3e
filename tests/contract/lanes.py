"""Deliveries that wait in their lane: what the agent said, held by a worker, its parts before the cut."""

from gateway.domain.delivery import Part
from gateway.domain.message import InboundMessage
from gateway.domain.ports.store import Store
from gateway.service.deliver import LaneClaim, claim_lane
from tests.contract.scene import answer, arrive, claimed, rows, worker


async def said(store: Store, *texts: str, to: InboundMessage | None = None) -> tuple[str, str]:
    """The agent has just answered a text, or the message `to`, with these: the conversation, its lane."""
    accepted = await arrive(store, to)
    await answer(store, await claimed(store, accepted.conversation_id), *texts)
    deliveries = await rows(store, "test_deliveries", id=accepted.conversation_id)
    return accepted.conversation_id, str(deliveries[0]["lane"])


async def held(store: Store, lane: str) -> LaneClaim:
    """The lane and its first delivery, taken by a worker of its own."""
    claim = await store.write(claim_lane, lane, await worker(store))
    assert isinstance(claim, LaneClaim), claim
    return claim


def unstored(claim: LaneClaim, index: int = 0) -> Part:
    """A part of a delivery that is not cut yet."""
    return Part(delivery_id=claim.delivery.id, index=index, text="", hash="")
