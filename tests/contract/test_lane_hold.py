"""A delivery worker beside a provider that cannot be reached: how long a text holds up the next one."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

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
from gateway.domain.envelope import Envelope
from gateway.domain.message import Channel
from gateway.domain.ports.bus import Ack
from gateway.domain.send_rules import LANE_HELD_AT_MOST, OnUnknown, SendRules
from gateway.service.parts import claim_part
from gateway.service.senders import SenderKey, halt
from tests.contract import scene
from tests.contract.conftest import MovableStore
from tests.contract.scene import answer, arrive, claimed, rows
from workers.deliveries import NOT_BEGUN_SECONDS, START_WITHIN, DeliveryWorker
from workers.liveness import Liveness


@dataclass
class Provider:
    """It does with a text what the test says, and with every other one as it should."""

    outcomes: dict[str, SendOutcome]
    found: Taken | OutcomeUnknown | None = None
    provider: str = "twilio"
    sent: list[str] = field(default_factory=list)

    def split(self, delivery: Delivery) -> Sequence[PartText]:
        """One part."""
        return [PartText(delivery.text)]

    async def send(self, delivery: Delivery, part: Part, timeout: float) -> SendOutcome:
        """Note it, and answer."""
        self.sent.append(part.text)
        return self.outcomes.get(part.text) or Taken(f"SM-{part.text}-{part.attempt}")

    async def find(self, delivery: Delivery, part: Part) -> Taken | OutcomeUnknown | None:
        """What a look-up shows."""
        return self.found


def bell(lane: str) -> Envelope:
    """A lane's bell."""
    return Envelope.model_construct(
        v=1,
        id="bell",
        type="delivery.due",
        occurred_at="",
        organization_id=scene.ORGANIZATION,
        conversation_id=None,
        data={"lane": lane},
    )


@dataclass
class Bench:
    """A worker, the time, and what it sends to."""

    store: MovableStore
    worker: DeliveryWorker
    provider: Provider
    moment: list[int]
    monotonic: list[float]
    conversation_id: str
    rules: list[SendRules]
    """Those in force; the first goes when it has been read, the last stays."""

    def advance(self, seconds: float) -> None:
        self.moment[0] += int(seconds * SECOND)
        self.store.advance(seconds)

    async def ring(self) -> None:
        """Ring every lane, and again those that have rung meanwhile."""
        for _ in range(2):
            deliveries = await rows(self.store, "test_deliveries", id=self.conversation_id)
            for lane in sorted({delivery["lane"] for delivery in deliveries}):
                assert (await self.worker.consume(bell(lane))).ack is Ack.DONE

    async def until_sent(self, text: str) -> int:
        """Let time pass, ringing every ten seconds; after how many of them a text has been sent."""
        for seconds in range(0, 600, 10):
            await self.ring()
            if text in self.provider.sent:
                return seconds
            self.advance(10)
        raise AssertionError(f"{text} was not sent in ten minutes")


@pytest.fixture
async def bench(store: MovableStore, request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    """Two replies that wait; the first one meets trouble."""
    provider: Provider = request.param
    moment, monotonic = [0], [0.0]
    clock = Clock(now=lambda: moment[0], monotonic=lambda: monotonic[0])
    liveness = Liveness(store, clock, roles="deliveries")
    await liveness.start()
    rules = [SendRules(resend_after=600, on_unknown=OnUnknown.RESEND)]

    def rules_of(_channel: Channel, _ours: str) -> SendRules:
        return rules.pop(0) if len(rules) > 1 else rules[0]

    worker = DeliveryWorker(store, lambda _channel, _ours: provider, liveness, rules_of)
    accepted = await arrive(store)
    await answer(store, await claimed(store, accepted.conversation_id), "first", "second")
    moment[0] = (await rows(store, "test_deliveries", id=accepted.conversation_id))[0]["created_at"]
    yield Bench(store, worker, provider, moment, monotonic, accepted.conversation_id, rules)
    await liveness.stop()


UNREACHED = Provider({"first": Refused(Failure.TRANSIENT, "not_sent")})
BUSY = Provider({"first": Refused(Failure.TRANSIENT, "20429", retry_after=3600.0)})
UNKNOWN = Provider({"first": OutcomeUnknown("timeout")})
SILENT = Provider({"first": OutcomeUnknown("timeout")}, found=OutcomeUnknown("http_503"))


@pytest.mark.parametrize(
    ("bench", "at_least"),
    [(UNREACHED, 20), (BUSY, 0), (UNKNOWN, 20), (SILENT, 120)],
    ids=["not reached", "busy for an hour", "no trace", "cannot be asked"],
    indirect=["bench"],
)
async def test_a_text_in_trouble_holds_up_the_next_one_for_three_minutes_at_most(
    bench: Bench, at_least: int
) -> None:
    bench.provider.sent.clear()
    taken_after = await bench.until_sent("second")
    looked_late = 10 * bench.provider.sent.count("first")  # what we are late ourselves is not its trouble
    assert at_least <= taken_after <= LANE_HELD_AT_MOST + looked_late
    lanes = [d["lane"] for d in await rows(bench.store, "test_deliveries", id=bench.conversation_id)]
    assert len(set(lanes)) == 2
    assert "first" in bench.provider.sent


@pytest.mark.parametrize("bench", [Provider({})], indirect=True)
async def test_a_provider_that_says_in_a_second_each_time_has_not_used_up_the_attempts_in_a_minute(
    bench: Bench,
) -> None:
    bench.provider.outcomes["first"] = Refused(Failure.TRANSIENT, "20429", retry_after=1.0)
    bench.provider.sent.clear()
    for _ in range(20):
        await bench.ring()
        bench.advance(3)
    assert 2 <= bench.provider.sent.count("first") <= 5
    assert "second" not in bench.provider.sent
    del bench.provider.outcomes["first"]
    assert await bench.until_sent("second") <= LANE_HELD_AT_MOST
    assert bench.provider.sent[-2:] == ["first", "second"]


@pytest.mark.parametrize("bench", [Provider({})], indirect=True)
async def test_what_waits_aside_leaves_when_its_provider_is_well(bench: Bench) -> None:
    bench.provider.outcomes["first"] = Refused(Failure.TRANSIENT, "20429", retry_after=3600.0)
    await bench.until_sent("second")
    del bench.provider.outcomes["first"]
    bench.provider.sent.clear()
    bench.advance(3300)
    await bench.ring()
    assert bench.provider.sent == []
    bench.advance(300)
    await bench.ring()
    assert bench.provider.sent == ["first"]
    states = {d["state"] for d in await rows(bench.store, "test_deliveries", id=bench.conversation_id)}
    assert states == {"sent"}


@pytest.mark.parametrize("bench", [Provider({})], indirect=True)
async def test_an_attempt_that_was_claimed_too_slowly_is_not_made_and_does_not_count(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.provider.sent.clear()

    async def slow(*args: Any, **kwargs: Any) -> Any:
        claim = await claim_part(*args, **kwargs)
        bench.monotonic[0] += START_WITHIN + 1
        return claim

    monkeypatch.setattr("workers.deliveries.claim_part", slow)
    await bench.ring()
    assert bench.provider.sent == []
    (part,) = await rows(bench.store, "test_parts", id=bench.conversation_id)
    assert (part["state"], part["attempt"], part["refusals"]) == ("pending", 0, 0)
    monkeypatch.undo()
    bench.advance(NOT_BEGUN_SECONDS)
    await bench.ring()
    assert bench.provider.sent == ["first", "second"]
    parts = await rows(bench.store, "test_parts", id=bench.conversation_id)
    assert [(part["state"], part["attempt"]) for part in parts] == [("accepted", 1)] * 2


@pytest.mark.parametrize("bench", [Provider({})], indirect=True)
async def test_what_we_were_late_with_an_attempt_that_was_not_begun_does_not_use_up_the_hold(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.provider.outcomes["first"] = Refused(Failure.TRANSIENT, "20429")
    bench.provider.sent.clear()
    await bench.ring()
    bench.advance(LANE_HELD_AT_MOST)  # nobody came when it was due

    async def slow(*args: Any, **kwargs: Any) -> Any:
        claim = await claim_part(*args, **kwargs)
        bench.monotonic[0] += START_WITHIN + 1
        bench.advance(LANE_HELD_AT_MOST)
        return claim

    monkeypatch.setattr("workers.deliveries.claim_part", slow)
    await bench.ring()
    monkeypatch.undo()
    assert bench.provider.sent == ["first"]
    bench.advance(NOT_BEGUN_SECONDS)
    await bench.ring()
    assert bench.provider.sent == ["first", "first"]  # refused once more: it has held up others for seconds
    lanes = {d["lane"] for d in await rows(bench.store, "test_deliveries", id=bench.conversation_id)}
    assert len(lanes) == 1


@pytest.mark.parametrize("bench", [Provider({})], indirect=True)
async def test_a_failover_that_is_taken_out_of_the_configuration_meanwhile_leaves_no_lane_held(
    bench: Bench,
) -> None:
    sender = SenderKey(scene.ORGANIZATION, "sms", scene.OURS)
    await bench.store.write(halt, sender, "30034", delivery=None, tries=False)
    (lane,) = {d["lane"] for d in await rows(bench.store, "test_deliveries", id=bench.conversation_id)}
    bench.rules.insert(0, replace(bench.rules[0], failover="+15550177"))
    assert (await bench.worker.consume(bell(lane))).ack is Ack.DONE
    (row,) = await rows(bench.store, "test_lane", id=lane)
    assert row["lease_owner"] is None
