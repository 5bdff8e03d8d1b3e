"""What a fake Twilio may do wrong on request, and the seeded dice that decide when."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Self, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Faults:
    """How often the fake misbehaves. All are probabilities from 0 to 1, except `delay_seconds` and `seed`.

    The request faults are decided in the order of the fields, each by a roll of its own.
    """

    delay_seconds: float = 0.0
    """How long a delayed REST request waits before anything else happens to it."""
    delay_probability: float = 0.0
    drop_before: float = 0.0
    """The connection is closed before anything is recorded."""
    rate_429: float = 0.0
    """Answered 429 (20429), nothing is recorded."""
    rate_5xx: float = 0.0
    """Answered 500 or 503, nothing is recorded."""
    drop_after_accept: float = 0.0
    """A create is accepted and recorded, its callbacks are sent, but the connection closes unanswered."""
    duplicate_callbacks: float = 0.0
    """A status callback is sent twice, at once."""
    reorder_callbacks: float = 0.0
    """The status callbacks of a message are sent in shuffled order."""
    no_callbacks: float = 0.0
    """None of the status callbacks of a message is sent."""
    undelivered: float = 0.0
    """A message ends as undelivered, with a code after which nothing is tried again (30036)."""
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise ValueError for a value that is out of its range."""
        for one in fields(self):
            value = getattr(self, one.name)
            if one.name == "seed":
                continue
            if not 0 <= value <= (60 if one.name == "delay_seconds" else 1):
                raise ValueError(f"fault {one.name} is out of range: {value}")

    @classmethod
    def parse(cls, values: Mapping[str, object]) -> Self:
        """Faults by name, from JSON or the command line; what is not named is off.

        Raises ValueError for an unknown name and for a value that is not a number in its range.
        """
        known = {one.name for one in fields(cls)}
        numbers: dict[str, float] = {}
        for name, value in values.items():
            if name not in known:
                raise ValueError(f"unknown fault {name!r}; there are: {', '.join(sorted(known))}")
            if not isinstance(value, str | int | float):
                raise ValueError(f"fault {name} is not a number")
            numbers[name] = float(value)
        seed = int(numbers.pop("seed", 0))
        return cls(**numbers, seed=seed)


@dataclass(slots=True)
class Dice:
    """Rolls for the current faults; setting new faults restarts the sequence from their seed."""

    _faults: Faults = field(default_factory=Faults)
    _random: random.Random = field(default_factory=lambda: random.Random(0))  # noqa: S311 - must be repeatable

    @property
    def faults(self) -> Faults:
        """What is in force now."""
        return self._faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._faults = faults
        self._random = random.Random(faults.seed)  # noqa: S311 - must be repeatable

    def hits(self, probability: float) -> bool:
        """Whether something of this probability happens now."""
        return probability > 0 and self._random.random() < probability

    def shuffled(self, items: list[T]) -> list[T]:
        """The items in another order, if there are two or more of them."""
        if len(items) < 2:
            return items
        order = items[:]
        while order == items:
            self._random.shuffle(order)
        return order
