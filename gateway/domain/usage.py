"""What an organisation uses on a day (UTC), and the caps on it.

Money has no currency here: everything is counted in millionths of the one that the prices are in.
"""

from dataclasses import dataclass
from enum import StrEnum

from gateway.domain.clock import SECOND

MILLION = 1_000_000
DAY = 86_400 * SECOND
"""µs."""


class Cap(StrEnum):
    """What may be used up; as a brake, it is in force until the next day, or until the cap is raised."""

    MESSAGES = "messages"
    SPEND = "spend"


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What was used."""

    messages: int = 0
    """Texts (each part of a long one) and mails that were handed to a provider."""
    turns: int = 0
    tokens: int = 0
    spend: int = 0
    """Millionths."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """The most an organisation may use on a day; None: any amount."""

    organization_id: str
    messages_per_day: int | None = None
    spend_per_day: int | None = None
    """Millionths."""

    @property
    def none(self) -> bool:
        """Whether there is none."""
        return self.messages_per_day is None and self.spend_per_day is None

    def limits(self) -> dict[Cap, int | None]:
        """Each cap's limit."""
        return {Cap.MESSAGES: self.messages_per_day, Cap.SPEND: self.spend_per_day}


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """The caps in force, and what things cost where they are used (millionths)."""

    caps: Caps
    input_price: int = 0
    """Of a million tokens, as are the next two."""
    output_price: int = 0
    embeddings_price: int = 0
    segment_price: int = 0

    def turn(self, input_tokens: int | None, output_tokens: int | None, embedded: int = 0) -> Usage:
        """What a turn used; a fraction of a millionth counts as one."""
        read, written = input_tokens or 0, output_tokens or 0
        cost = read * self.input_price + written * self.output_price + embedded * self.embeddings_price
        return Usage(turns=1, tokens=read + written + embedded, spend=-(-cost // MILLION))

    def part(self, segments: int) -> Usage:
        """What a text, or a mail, uses."""
        return Usage(messages=1, spend=segments * self.segment_price)
