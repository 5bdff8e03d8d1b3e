"""What was used today, and how much of it may be used."""

from fastapi import APIRouter
from starlette.responses import Response

from gateway.api.answers import json_response
from gateway.api.auth import OperatorKey
from gateway.api.deps import Deps
from gateway.api.route import ApiRoute
from gateway.api.schemas.usage import UsageShape, usage_shape
from gateway.domain.usage import Caps
from gateway.service.usage import today

router = APIRouter(prefix="/v1", tags=["organisation"], route_class=ApiRoute)


@router.get("/organisation/usage", response_model=UsageShape)
async def get_organisation_usage(principal: OperatorKey, deps: Deps) -> Response:
    """What was used today (UTC), and the caps on it (`[organisation]` of gateway.toml).

    Nothing is counted where there is no cap. At the cap on messages nothing more is sent, and at the one on
    spend no agent answers either, until `resets_at`: what comes in is taken and waits, as under a pause.
    """
    organization_id = principal.organization_id
    own = deps.config().caps
    caps = own if own.organization_id == organization_id else Caps(organization_id=organization_id)
    return json_response(usage_shape(await deps.store.read(today, organization_id), caps))
