"""Pauses as operators see them."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from gateway.api.schemas.common import Request, Shape, Time
from gateway.domain.brake import Pause
from gateway.domain.clock import rfc3339
from gateway.service.brake import MAX_REASON

_PAUSED: dict[str, Any] = {
    "paused": True,
    "since": "2024-05-14T12:00:00.000000Z",
    "by": "Jamie",
    "reason": "it quotes last year's prices",
}

Reason = Annotated[
    str | None, Field(max_length=MAX_REASON, description="For whoever wonders; no end user sees it.")
]


class PauseBody(Request):
    """Why it is paused."""

    model_config = ConfigDict(json_schema_extra={"example": {"reason": _PAUSED["reason"]}})

    reason: Reason = None


class PauseShape(Shape):
    """Whether an agent, or the organisation, is paused."""

    model_config = ConfigDict(json_schema_extra={"example": _PAUSED})

    paused: bool
    since: Time | None = Field(description="null: it is not paused, as with all below.")
    by: str | None = Field(description="The name of the key, or `command line`.")
    reason: str | None


def pause_shape(pause: Pause | None) -> PauseShape:
    """A pause, or that there is none."""
    if pause is None:
        return PauseShape.model_construct(paused=False, since=None, by=None, reason=None)
    return PauseShape.model_construct(
        paused=True, since=rfc3339(pause.set_at), by=pause.set_by, reason=pause.reason
    )
