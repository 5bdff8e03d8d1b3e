"""A day's usage as operators see it."""

from typing import Any

from pydantic import ConfigDict, Field

from gateway.api.schemas.common import Shape, Time
from gateway.domain.clock import rfc3339
from gateway.domain.usage import MILLION, Cap, Caps
from gateway.service.usage import Today

_USAGE: dict[str, Any] = {
    "messages": 412,
    "messages_per_day": 1000,
    "turns": 377,
    "tokens": 904112,
    "spend": 4.18,
    "spend_per_day": 20.0,
    "reached": [],
    "resets_at": "2024-05-15T00:00:00.000000Z",
}


class UsageShape(Shape):
    """What was used today (UTC), as far as there are caps."""

    model_config = ConfigDict(json_schema_extra={"example": _USAGE})

    messages: int = Field(description="Texts, each part of a long one, and mails handed to a provider.")
    messages_per_day: int | None = Field(description="null: no cap, as with the next one.")
    turns: int
    tokens: int
    spend: float = Field(description="In the currency of the prices.")
    spend_per_day: float | None
    reached: list[Cap] = Field(description="The caps that are in force now.")
    resets_at: Time


def usage_shape(today: Today, caps: Caps) -> UsageShape:
    """A day beside its caps."""
    used, most = today.used, caps.spend_per_day
    return UsageShape.model_construct(
        messages=used.messages,
        messages_per_day=caps.messages_per_day,
        turns=used.turns,
        tokens=used.tokens,
        spend=used.spend / MILLION,
        spend_per_day=None if most is None else most / MILLION,
        reached=list(today.reached),
        resets_at=rfc3339(today.ends_at),
    )
