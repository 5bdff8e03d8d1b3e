"""Receipts in any order, doubled and late, between attempts and their outcomes: states only ever rise.

A machine sends one reply of two parts and lets receipts, silences and settlements come as they like.
"""

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from hypothesis.strategies import integers, sampled_from

from gateway.domain.delivery import DeliveryState, Part, PartState, PartText, Receipt
from gateway.service.arrival import worst
from gateway.service.deliver import LaneClaim, claim_lane, settle_delivery
from gateway.service.parts import PartClaim, claim_part, settle_part
from gateway.service.receive import receive
from tests.contract import scene
from tests.contract.conftest import World

PARTS = 2
_STATUSES = {
    "queued": PartState.ACCEPTED,
    "sent": PartState.SENT,
    "delivered": PartState.DELIVERED,
    "undelivered": PartState.FAILED,
    "canceled": PartState.CANCELED,
    "levitating": PartState.UNKNOWN,
}


class Receipts(RuleBasedStateMachine):
    """One reply, and what the provider says of its parts."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.world.people += 1
        self.store = self.world.store
        self.claim = self.world.run(self._sent(f"+1415556{self.world.people:04}"))
        self.expected = [PartState.SENDING] * PARTS
        self.bound = [False] * PARTS
        self.settled = False

    async def _sent(self, number: str) -> LaneClaim:
        accepted = await scene.arrive(self.store, scene.sms(sender=number))
        await scene.answer(self.store, await scene.claimed(self.store, accepted.conversation_id), "one two")
        self.conversation_id = accepted.conversation_id
        (delivery,) = await scene.rows(self.store, "test_deliveries", id=accepted.conversation_id)
        claim = await self.store.write(claim_lane, delivery["lane"], await scene.worker(self.store))
        assert isinstance(claim, LaneClaim)
        cut = [PartText("one", "GSM-7", 1), PartText("two", "GSM-7", 1)]
        for index in range(PARTS):
            part = self._part(claim, index)
            texts = cut if index == 0 else ()
            attempt = await self.store.write(claim_part, claim.ref, part, "twilio", texts)
            assert isinstance(attempt, PartClaim)
        return claim

    def _part(self, claim: LaneClaim, index: int) -> Part:
        return Part(delivery_id=claim.delivery.id, index=index, text="", hash="")

    def _sid(self, index: int) -> str:
        return f"SM-{self.claim.delivery.id}-{index}"

    @rule(index=integers(0, PARTS - 1), status=sampled_from(sorted(_STATUSES)), by_sid=sampled_from((0, 1)))
    def receipt(self, index: int, status: str, by_sid: int) -> None:
        """The provider says something, naming our part or its own id."""
        state = _STATUSES[status]
        told = Receipt(
            provider="twilio",
            provider_message_id=self._sid(index),
            state=state,
            raw_status=status,
            delivery_id=None if by_sid else self.claim.delivery.id,
            part_index=None if by_sid else index,
            attempt=None if by_sid else 1,
        )
        self.world.run(self.store.write(receive, told))
        if by_sid and not self.bound[index]:
            return  # nobody knows whose it is
        self.bound[index] = True
        says = PartState.ACCEPTED if state is PartState.UNKNOWN else state
        if says.rank > self.expected[index].rank:
            self.expected[index] = says

    @rule(index=integers(0, PARTS - 1))
    def answer(self, index: int) -> None:
        """The answer to the POST comes, late or again."""
        self.world.run(self.store.write(settle_part, self._part(self.claim, index), self._sid(index)))
        self.bound[index] = True
        if self.expected[index].rank < PartState.ACCEPTED.rank:
            self.expected[index] = PartState.ACCEPTED

    @rule()
    def settle(self) -> None:
        """All parts have left: the reply is over as far as sending goes."""
        if self.settled or not all(self.bound):
            return
        self.world.run(
            self.store.write(settle_delivery, self.claim.ref, self.claim.delivery, DeliveryState.SENT)
        )
        self.settled = True

    @invariant()
    def states_are_the_highest_told(self) -> None:
        """Of what was told, the highest; of equals, the first."""
        parts = self.world.run(scene.rows(self.store, "test_parts", id=self.conversation_id))
        assert [part["state"] for part in parts] == self.expected

    @invariant()
    def the_message_shows_the_worst_part(self) -> None:
        """And is told of once for each end it came to."""
        messages = self.world.run(scene.rows(self.store, "test_messages", id=self.conversation_id))
        shown = messages[1]["delivery_status"]
        assert shown == (worst(self.expected) if self.settled else "pending")


def test_receipts_only_ever_move_a_part_on(world: World, database_url: str) -> None:
    machine = type("Receipts", (Receipts,), {"world": world})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=4 if database_url.startswith("postgres") else 30,
            stateful_step_count=20,
            deadline=None,
            derandomize=True,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        ),
    )
