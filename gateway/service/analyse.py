"""What the live conversations of some days came to, per day, channel and outcome."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from typing import Self

from gateway.domain.clock import SECOND
from gateway.domain.ports.store import Row, Tx

MAX_DAYS = 366
_EPOCH = date(1970, 1, 1)
_DAY = 24 * 3600 * SECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Sums over conversations."""

    conversations: int = 0
    duration_ms: int = 0
    messages: int = 0
    user_messages: int = 0
    agent_messages: int = 0
    operator_messages: int = 0
    turns: int = 0
    failed_turns: int = 0
    handoffs: int = 0
    approvals: int = 0
    input_tokens: int = 0
    output_tokens: int = 0

    def plus(self, row: Row) -> Self:
        """The sums with another row's."""
        return type(self)(**{f.name: getattr(self, f.name) + row[f.name] for f in fields(self)})


@dataclass(frozen=True, slots=True)
class Days:
    """A range of days (UTC), both included."""

    first: date
    last: date

    @classmethod
    def chosen(cls, first: date | None, last: date | None, now: int) -> Self:
        """The range asked for; the last 30 days where nothing is said. ValueError for one that cannot be."""
        end = last or datetime.fromtimestamp(now // SECOND, UTC).date()
        begin = first or max(end, _EPOCH + timedelta(days=30)) - timedelta(days=29)
        if not _EPOCH <= begin <= end:
            raise ValueError("the first day must not be after the last one, nor before 1970")
        if (end - begin).days >= MAX_DAYS:
            raise ValueError(f"at most {MAX_DAYS} days at once")
        return cls(begin, end)


@dataclass(frozen=True, slots=True)
class Analysis:
    """The sums of a range of days, each cut in one way."""

    days: Days
    total: Totals
    by_channel: dict[str, Totals]
    by_status: dict[str, Totals]
    by_day: dict[str, Totals]
    """By date (ISO 8601), ascending; days without a conversation are left out."""


async def analyse(tx: Tx, organization_id: str, days: Days) -> Analysis:
    """Sum up the conversations that ended on these days."""
    rows = await tx.all(
        "analytics_days",
        organization_id=organization_id,
        ended_from=(days.first - _EPOCH).days * _DAY,
        ended_before=((days.last - _EPOCH).days + 1) * _DAY,
    )
    return Analysis(
        days,
        _summed(rows, lambda _: "").get("", Totals()),
        _summed(rows, lambda row: str(row["channel"])),
        _summed(rows, lambda row: str(row["status"])),
        _summed(rows, lambda row: (_EPOCH + timedelta(days=row["day"])).isoformat()),
    )


def _summed(rows: Sequence[Row], key: Callable[[Row], str]) -> dict[str, Totals]:
    sums: dict[str, Totals] = {}
    for row in rows:
        sums[key(row)] = sums.get(key(row), Totals()).plus(row)
    return sums
