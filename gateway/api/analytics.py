"""Analytics: what the live conversations came to."""

import re
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.exceptions import RequestValidationError
from pydantic import BeforeValidator
from starlette.responses import Response

from gateway.api.answers import json_response
from gateway.api.auth import OperatorKey
from gateway.api.deps import Deps
from gateway.api.route import ApiRoute
from gateway.api.schemas.analytics import AnalyticsSummary, analytics_summary
from gateway.service.analyse import Days, analyse

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _written_out(day: object) -> object:
    if isinstance(day, str) and not _DAY.fullmatch(day):
        raise ValueError("a day is written as 2026-01-31")  # seconds since 1970 would be one, too
    return day


_Day = Annotated[date, BeforeValidator(_written_out)]

router = APIRouter(prefix="/v1/analytics", tags=["analytics"], route_class=ApiRoute)


@router.get("/summary", response_model=AnalyticsSummary)
async def get_analytics_summary(
    principal: OperatorKey,
    deps: Deps,
    first_day: Annotated[
        _Day | None, Query(description="UTC; 29 days before the last one by default.")
    ] = None,
    last_day: Annotated[_Day | None, Query(description="UTC, included; today by default.")] = None,
) -> Response:
    """Sum up the live conversations that ended on some days: in all, by channel, by status, by day."""
    try:
        days = Days.chosen(first_day, last_day, deps.clock.now())
    except ValueError as error:
        raise RequestValidationError(
            [{"type": "value_error", "loc": ("query", "first_day"), "msg": str(error)}]
        ) from None
    return json_response(analytics_summary(await deps.store.read(analyse, principal.organization_id, days)))
