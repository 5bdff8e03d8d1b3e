"""What a host cannot do as it was asked, and does instead."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Downgrade:
    """One of them: the field of the intent, and what stands in."""

    field: str
    substitute: str
