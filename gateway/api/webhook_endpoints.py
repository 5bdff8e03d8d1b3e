"""Where an organisation is told events: its webhook endpoints, their secrets, and what each was told."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path
from starlette.responses import Response

from gateway.api.answers import IdempotencyKey, answer_of, answered, json_response
from gateway.api.auth import Admin
from gateway.api.cursors import read_position
from gateway.api.deps import Deps
from gateway.api.reading import CursorText, Limit
from gateway.api.route import ApiRoute
from gateway.api.schemas.webhooks import (
    ChangeEndpointBody,
    CreateEndpointBody,
    DeliveryList,
    DeliveryShape,
    EndpointList,
    EndpointShape,
    EndpointWithSecret,
    RedeliverBody,
    delivery_list,
    delivery_shape,
    endpoint_list,
    endpoint_shape,
    endpoint_with_secret,
)
from gateway.domain.ports.store import Tx
from gateway.domain.webhook import WebhookEndpoint
from gateway.service import webhook_endpoints as endpoints
from gateway.service.idempotency import Answer, once

router = APIRouter(prefix="/v1/webhook-endpoints", tags=["webhooks"], route_class=ApiRoute)

EndpointId = Annotated[UUID, Path(description="The endpoint.")]


@router.post("", status_code=201, response_model=EndpointWithSecret)
async def create_webhook_endpoint(
    body: CreateEndpointBody, principal: Admin, deps: Deps, key: IdempotencyKey
) -> Response:
    """Have events posted to a URL, signed by Standard Webhooks with the secret of the answer."""
    fields = endpoints.EndpointFields(url=body.url, description=body.description, events=body.events)

    async def unit(tx: Tx) -> Answer:
        made, secret = await endpoints.create_endpoint(tx, principal.organization_id, fields)
        return answer_of(endpoint_with_secret(made, secret), 201, conversation_id=made.id)

    return answered(await deps.store.write(once, key, unit))


@router.get("", response_model=EndpointList)
async def list_webhook_endpoints(
    principal: Admin, deps: Deps, limit: Limit = 50, cursor: CursorText = None
) -> Response:
    """List webhook endpoints, newest first."""
    after = read_position(cursor)
    page = await deps.store.read(endpoints.endpoints_page, principal.organization_id, after, limit)
    return json_response(endpoint_list(page))


@router.get("/{endpoint_id}", response_model=EndpointShape)
async def get_webhook_endpoint(endpoint_id: EndpointId, principal: Admin, deps: Deps) -> Response:
    """Read a webhook endpoint."""
    found = await deps.store.read(endpoints.endpoint, principal.organization_id, str(endpoint_id))
    return json_response(endpoint_shape(found))


@router.patch("/{endpoint_id}", response_model=EndpointShape)
async def change_webhook_endpoint(
    endpoint_id: EndpointId, body: ChangeEndpointBody, principal: Admin, deps: Deps
) -> Response:
    """Change a webhook endpoint, disable it, or enable it again."""

    async def unit(tx: Tx) -> WebhookEndpoint:
        found = await endpoints.endpoint(tx, principal.organization_id, str(endpoint_id))
        sent = body.model_fields_set
        fields = endpoints.EndpointFields(
            url=body.url if "url" in sent else found.url,
            description=body.description if "description" in sent else found.description,
            events=body.events if "events" in sent else found.events,
            disabled=body.disabled if "disabled" in sent else found.disabled_reason is not None,
        )
        return await endpoints.change_endpoint(tx, principal.organization_id, found.id, fields)

    return json_response(endpoint_shape(await deps.store.write(unit)))


@router.delete("/{endpoint_id}", status_code=204, response_class=Response)
async def delete_webhook_endpoint(endpoint_id: EndpointId, principal: Admin, deps: Deps) -> Response:
    """Delete a webhook endpoint; it is told nothing more, also of what waits."""
    await deps.store.write(endpoints.delete_endpoint, principal.organization_id, str(endpoint_id))
    return Response(status_code=204)


@router.post("/{endpoint_id}/rotate-secret", response_model=EndpointWithSecret)
async def rotate_webhook_secret(
    endpoint_id: EndpointId, principal: Admin, deps: Deps, key: IdempotencyKey
) -> Response:
    """Get a new secret. For 24 hours requests carry a signature by each of the two."""

    async def unit(tx: Tx) -> Answer:
        rotated, secret = await endpoints.rotate_secret(tx, principal.organization_id, str(endpoint_id))
        return answer_of(endpoint_with_secret(rotated, secret), conversation_id=rotated.id)

    return answered(await deps.store.write(once, key, unit))


@router.get("/{endpoint_id}/deliveries", response_model=DeliveryList)
async def list_webhook_deliveries(
    endpoint_id: EndpointId, principal: Admin, deps: Deps, limit: Limit = 50, cursor: CursorText = None
) -> Response:
    """List what a webhook endpoint was and is to be told, newest first."""
    after = read_position(cursor)
    page = await deps.store.read(
        endpoints.deliveries_page, principal.organization_id, str(endpoint_id), after, limit
    )
    return json_response(delivery_list(page))


@router.post("/{endpoint_id}/redeliver", response_model=DeliveryShape)
async def redeliver_webhook(
    endpoint_id: EndpointId, body: RedeliverBody, principal: Admin, deps: Deps, key: IdempotencyKey
) -> Response:
    """Have an event told again, whether it was taken or given up; one that waits is sent at once."""

    async def unit(tx: Tx) -> Answer:
        told = await endpoints.redeliver(tx, principal.organization_id, str(endpoint_id), str(body.event_id))
        return answer_of(delivery_shape(told), conversation_id=str(endpoint_id))

    return answered(await deps.store.write(once, key, unit))
