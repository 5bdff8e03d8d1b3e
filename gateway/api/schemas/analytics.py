"""Analytics as operators read them."""

from dataclasses import asdict
from typing import Any

from pydantic import Field

from gateway.api.schemas import desk_examples
from gateway.api.schemas.common import Shape, example
from gateway.service.analyse import Analysis, Totals


class TotalsShape(Shape):
    """Sums over live conversations that have ended."""

    conversations: int
    average_duration_ms: int | None = Field(description="From start to end; null without conversations.")
    messages: int
    user_messages: int
    agent_messages: int
    operator_messages: int
    turns: int
    failed_turns: int
    handoffs: int
    approvals: int
    input_tokens: int
    output_tokens: int


class DayShape(TotalsShape):
    """The sums of one day, by the end of the conversations (UTC)."""

    day: str = Field(json_schema_extra={"format": "date"})


class AnalyticsSummary(Shape):
    """What the live conversations that ended on some days came to."""

    model_config = example(desk_examples.ANALYTICS)

    first_day: str = Field(json_schema_extra={"format": "date"}, description="Included.")
    last_day: str = Field(json_schema_extra={"format": "date"}, description="Included.")
    total: TotalsShape
    by_channel: dict[str, TotalsShape]
    by_status: dict[str, TotalsShape]
    by_day: list[DayShape] = Field(description="Ascending; without the days on which none ended.")


def _totals(totals: Totals) -> dict[str, Any]:
    sums: dict[str, Any] = asdict(totals)
    duration = sums.pop("duration_ms") or 0
    average = duration // totals.conversations if totals.conversations else None
    return {**sums, "average_duration_ms": average}


def _shapes(groups: dict[str, Totals]) -> dict[str, TotalsShape]:
    return {name: TotalsShape.model_construct(**_totals(totals)) for name, totals in groups.items()}


def analytics_summary(analysis: Analysis) -> AnalyticsSummary:
    """The sums of some days."""
    return AnalyticsSummary.model_construct(
        first_day=analysis.days.first.isoformat(),
        last_day=analysis.days.last.isoformat(),
        total=TotalsShape.model_construct(**_totals(analysis.total)),
        by_channel=_shapes(analysis.by_channel),
        by_status=_shapes(analysis.by_status),
        by_day=[
            DayShape.model_construct(day=day, **_totals(totals)) for day, totals in analysis.by_day.items()
        ],
    )
