"""A reply as the text messages it becomes, for every SMS sender."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from channels.sms.chunks import Limits, split
from channels.sms.plain import sms_text
from gateway.domain.delivery import Delivery, Part, PartText


@dataclass(frozen=True, slots=True)
class PartRules:
    """How replies from one of our addresses are cut."""

    limits: Limits = field(default_factory=Limits)
    number_parts: bool = True
    validity_seconds: int = 600
    """A part that has waited longer at its provider is stale, where the provider takes such a limit."""


RulesOf = Callable[[str], PartRules]
"""The rules of an address of ours."""

Bound = Callable[[Sequence[str]], Awaitable[set[str]]]
"""Which of these provider message ids belong to parts already."""


def receipt_reference(delivery: Delivery, part: Part) -> str:
    """What names a try of a part in the URL that its receipts come to."""
    return f"d={delivery.id}&p={part.index}&a={part.attempt}"


def sms_parts(delivery: Delivery, rules_of: RulesOf) -> Sequence[PartText]:
    """The parts of a delivery; none where its text has no visible character."""
    rules = rules_of(delivery.sender)
    chunked = split(sms_text(delivery.text), limits=rules.limits, number_parts=rules.number_parts)
    return [PartText(part.text, part.encoding.value, part.segments) for part in chunked.parts]
