"""Attempts whose outcome was not learnt: looked up with the provider until the last look decides.

A receipt may prove at any time that the provider took the part; then nobody asks here any more.
"""

from dataclasses import dataclass

from gateway.domain.delivery import Delivery, OutcomeUnknown, Part, Taken
from gateway.domain.ports.egress import Sender
from gateway.domain.send_rules import OnUnknown, SendRules
from gateway.telemetry import RECONCILED, REPEATED

LOOK_FOR = 600
"""Seconds after its claim in which an attempt is looked up with a provider that cannot be asked now."""
_LOOK_AGAIN = 10


@dataclass(frozen=True, slots=True)
class LookAgain:
    """Nothing is known yet."""

    seconds: float


class GivenUp:
    """Nothing is known, and nothing is sent again."""


class Missing:
    """It left no trace, or the provider cannot tell: it is sent again."""


async def look_up(
    sender: Sender, delivery: Delivery, part: Part, rules: SendRules, age: float
) -> Taken | LookAgain | GivenUp | Missing:
    """What became of an attempt that was claimed `age` seconds ago."""
    looks = rules.looks()
    if age < looks[0]:
        return LookAgain(looks[0] - age)
    found = await sender.find(delivery, part)
    if isinstance(found, Taken):
        RECONCILED.labels(delivery.channel.value, "taken").inc()
        return found
    if isinstance(found, OutcomeUnknown) and age < LOOK_FOR:
        return LookAgain(_LOOK_AGAIN)
    if found is None and age < looks[-1]:
        return LookAgain(next(look for look in looks if look > age) - age)
    if rules.unknown(delivery) is OnUnknown.GIVE_UP:
        RECONCILED.labels(delivery.channel.value, "given_up").inc()
        return GivenUp()
    RECONCILED.labels(delivery.channel.value, "missing").inc()
    REPEATED.labels(delivery.channel.value).inc()
    return Missing()
