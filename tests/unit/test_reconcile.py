"""An attempt of unknown outcome: when the provider is asked, and what follows when it knows of nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from gateway.domain.delivery import (
    Delivery,
    DeliveryState,
    OutcomeUnknown,
    Part,
    PartText,
    SendOutcome,
    Taken,
)
from gateway.domain.message import Channel
from gateway.domain.send_rules import OnUnknown, SendRules
from workers.reconcile import LOOK_FOR, GivenUp, LookAgain, Missing, look_up

DELIVERY = Delivery(
    id="d",
    lane="lane",
    number=1,
    organization_id="o",
    conversation_id="c",
    message_id="m",
    message_seq=1,
    turn_id="t",
    channel=Channel.SMS,
    sender="+15550100",
    recipient="+15550123",
    text="Hello",
    state=DeliveryState.SENDING,
    attempt=1,
    sandboxed=False,
    created_at=0,
)
PART = Part(delivery_id="d", index=0, text="Hello", hash="")
PATIENT = SendRules(resend_after=120)


@dataclass
class Provider:
    """One that answers every look alike, and sends nothing."""

    found: Taken | OutcomeUnknown | None
    provider: str = "twilio"
    looks: list[str] = field(default_factory=list)

    def split(self, delivery: Delivery) -> Sequence[PartText]:
        """Not asked for here."""
        raise AssertionError(delivery.id)

    async def send(self, delivery: Delivery, part: Part, timeout: float) -> SendOutcome:
        """Not asked for here."""
        raise AssertionError((delivery.id, part.index, timeout))

    async def find(self, delivery: Delivery, part: Part) -> Taken | OutcomeUnknown | None:
        """The same each time."""
        self.looks.append(f"{delivery.id}/{part.index}")
        return self.found


@pytest.mark.parametrize(
    ("age", "wait"), [(0.5, 19.5), (20.0, 10.0), (29.0, 1.0), (30.0, 90.0), (119.0, 1.0)]
)
async def test_what_left_no_trace_is_looked_up_at_20_30_and_120_seconds(age: float, wait: float) -> None:
    provider = Provider(None)
    found = await look_up(provider, DELIVERY, PART, PATIENT, age)
    assert found == LookAgain(wait)
    assert len(provider.looks) == (age >= 20)  # a POST may still be under way before


@pytest.mark.parametrize(
    ("rules", "age"), [(PATIENT, 120.0), (SendRules(resend_after=20), 20.0), (SendRules(), 3600.0)]
)
async def test_after_the_last_look_it_is_sent_again(rules: SendRules, age: float) -> None:
    assert isinstance(await look_up(Provider(None), DELIVERY, PART, rules, age), Missing)


async def test_after_the_last_look_it_is_given_up_where_twice_is_worse_than_never() -> None:
    rules = SendRules(resend_after=120, on_unknown=OnUnknown.GIVE_UP)
    assert isinstance(await look_up(Provider(None), DELIVERY, PART, rules, 119.0), LookAgain)
    assert isinstance(await look_up(Provider(None), DELIVERY, PART, rules, 120.0), GivenUp)


async def test_what_is_found_is_taken_at_any_look() -> None:
    for age in (20.0, 30.0, 500.0):
        assert await look_up(Provider(Taken("SM1")), DELIVERY, PART, PATIENT, age) == Taken("SM1")


async def test_a_provider_that_cannot_be_asked_is_asked_again_but_not_for_ever() -> None:
    silent = Provider(OutcomeUnknown("http_503"))
    for age in (20.0, 200.0, LOOK_FOR - 1.0):
        assert await look_up(silent, DELIVERY, PART, PATIENT, age) == LookAgain(10)
    assert isinstance(await look_up(silent, DELIVERY, PART, PATIENT, LOOK_FOR), Missing)


def test_a_part_waits_for_its_gap_by_the_rate_of_its_sender() -> None:
    assert SendRules().gap(4) == 1.0
    assert SendRules(segments_per_second=10).gap(4) == 1.0
    assert SendRules(segments_per_second=0.5).gap(4) == 8.0
