"""A delivery worker beside a provider in every kind of trouble: what was said first is taken first, once.

The outcomes of the attempts of one text are drawn; the time is moved. What a lane is held for has its bound
(tests/contract/test_lane_hold.py); within it, no order of troubles may lead to another order of texts.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.domain.clock import SECOND, Clock
from gateway.domain.delivery import (
    Delivery,
    Failure,
    OutcomeUnknown,
    Part,
    PartText,
    Refused,
    SendOutcome,
    Taken,
)
from gateway.domain.send_rules import SendRules
from tests.contract.conftest import World
from tests.contract.scene import answer, arrive, claimed, rows, sms
from tests.contract.test_lane_hold import bell
from workers.deliveries import DeliveryWorker
from workers.liveness import Liveness


class Trouble(StrEnum):
    """What becomes of an attempt."""

    REFUSED = "refused"
    UNREACHED = "unreached"
    DROPPED = "dropped"
    """It was taken, and the answer was lost."""
    LOST = "lost"
    """Neither was it taken, nor did an answer come."""
    KILLED = "killed"
    """Whoever sent it is gone before the answer; it was not taken."""


class _KilledError(Exception):
    """The worker does nothing more about this attempt."""


@dataclass
class Provider:
    """It does with the attempts of the first text what it is told, and takes everything else."""

    troubles: list[Trouble]
    provider: str = "twilio"
    taken: dict[str, list[str]] = field(default_factory=dict)
    """Text → the ids under which it was taken."""
    order: list[str] = field(default_factory=list)

    def split(self, delivery: Delivery) -> Sequence[PartText]:
        """One part."""
        return [PartText(delivery.text)]

    async def send(self, delivery: Delivery, part: Part, timeout: float) -> SendOutcome:
        """The next trouble, or none."""
        trouble = self.troubles.pop(0) if part.text == "first" and self.troubles else None
        match trouble:
            case Trouble.REFUSED:
                return Refused(Failure.TRANSIENT, "20429")
            case Trouble.UNREACHED:
                return Refused(Failure.TRANSIENT, "not_sent")
            case Trouble.LOST:
                return OutcomeUnknown("timeout")
            case Trouble.KILLED:
                raise _KilledError
        taken = Taken(f"SM-{delivery.id}-{part.attempt}")
        self.taken.setdefault(part.text, []).append(taken.provider_message_id)
        self.order.append(part.text)
        return OutcomeUnknown("timeout") if trouble is Trouble.DROPPED else taken

    async def find(self, delivery: Delivery, part: Part) -> Taken | OutcomeUnknown | None:
        """What was taken is listed."""
        found = self.taken.get(part.text)
        return Taken(found[-1]) if found else None


REFUSALS = st.lists(st.sampled_from([Trouble.REFUSED, Trouble.UNREACHED]), max_size=4)
LOST = st.lists(st.sampled_from([Trouble.LOST, Trouble.KILLED]), max_size=2)
TROUBLES = st.tuples(
    st.tuples(REFUSALS, LOST).flatmap(lambda both: st.permutations([*both[0], *both[1]])),
    st.lists(st.just(Trouble.DROPPED), max_size=1),
).map(lambda both: [*both[0], *both[1]])
RULES = SendRules(resend_after=20)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TROUBLES, st.sampled_from([10, 100]))
def test_property_texts_are_taken_in_their_order_whatever_befalls_the_first(
    world: World, troubles: list[Trouble], every: int
) -> None:
    provider = Provider(list(troubles))
    world.people += 1
    world.run(until_both_are_sent(world, provider, f"+1415{5_550_000 + world.people}", every))
    assert provider.order == ["first", "second"], troubles
    assert not provider.troubles


async def until_both_are_sent(world: World, provider: Provider, sender: str, every: int) -> None:
    """Two replies to somebody new; ring until the database knows of nothing to send.

    `every`: so many seconds lie between two looks at what is due. That we are late ourselves is no trouble of
    the text's, and does not use up the time for which its lane is held.
    """
    store = world.store
    accepted = await arrive(store, sms(sender=sender))
    await answer(store, await claimed(store, accepted.conversation_id), "first", "second")
    moment = [(await rows(store, "test_deliveries", id=accepted.conversation_id))[0]["created_at"]]
    liveness = Liveness(store, Clock(now=lambda: moment[0], monotonic=lambda: 0.0), roles="deliveries")
    await liveness.start()
    worker = DeliveryWorker(store, lambda _channel, _ours: provider, liveness, lambda _channel, _ours: RULES)
    for _ in range(200):
        deliveries = await rows(store, "test_deliveries", id=accepted.conversation_id)
        if {delivery["state"] for delivery in deliveries} == {"sent"}:
            break
        for lane in sorted({delivery["lane"] for delivery in deliveries}):
            with suppress(_KilledError):
                await worker.consume(bell(lane))
        moment[0] += every * SECOND
        store.advance(every)
    await liveness.stop()
