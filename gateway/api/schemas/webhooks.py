"""Webhook endpoints and what they were told, as administrators see them."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import ConfigDict, Field, StrictBool, StringConstraints

from gateway.api.cursors import page_fields
from gateway.api.schemas import examples
from gateway.api.schemas.common import Cursor, HasMore, Request, Shape, Time, Uuid, example, time_of
from gateway.domain.clock import rfc3339
from gateway.domain.webhook import (
    DisabledReason,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookError,
    WebhookStatus,
)
from gateway.domain.wire import FactType
from gateway.service.browse import Page

_HOST = r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?)"
_PORT = r"(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?"  # 65535
_REST = r"""([/?][!-"$-~]*)?"""
Url = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=2000, pattern=f"^https?://{_HOST}{_PORT}{_REST}$"),
    Field(
        description="Where events are posted: http or https, any port, no user name. An address that is not "
        "public is refused when it is connected to, and redirects are not followed.",
        examples=["https://example.org/webhooks"],
    ),
]
Description = Annotated[str, Field(max_length=500, description="For people.")]
Events = Annotated[
    list[FactType] | None,
    Field(max_length=50, description="Which events it is told; null: every one, also those to come."),
]
_SECRET = "whsec_7x8Zc1dG3Jq0m5n2b4v6c8x0z9l7k5j3h1g2f4d6s8a="  # noqa: S105 - an example
_ENDPOINT: dict[str, Any] = {
    "id": "018f7e9c-5a3b-7c1d-9e2f-4a5b6c7d8e9f",
    "organization_id": "3c90c3cc-0d44-5b50-8888-8dd25736052a",
    "url": "https://example.org/webhooks",
    "description": "order desk",
    "events": ["conversation.closed", "message.failed"],
    "disabled": False,
    "disabled_reason": None,
    "previous_secret_until": None,
    "created_at": "2024-05-14T12:00:00.000000Z",
    "updated_at": "2024-05-14T12:00:00.000000Z",
}
_DELIVERY: dict[str, Any] = {
    "event_id": "018f7ea0-1b2c-7d3e-8f40-5a6b7c8d9e0f",
    "type": "conversation.closed",
    "status": "pending",
    "attempt": 2,
    "response_code": 503,
    "error": None,
    "created_at": "2024-05-14T12:00:00.000000Z",
    "last_attempt_at": "2024-05-14T12:00:05.000000Z",
    "next_attempt_at": "2024-05-14T12:00:35.000000Z",
}


class CreateEndpointBody(Request):
    """A place that is to be told events."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "url": "https://example.org/webhooks",
                "events": ["conversation.closed", "message.failed"],
                "description": "order desk",
            }
        }
    )

    url: Url
    events: Events = None
    description: Description = ""


class ChangeEndpointBody(Request):
    """What is to be changed; a field that is not sent stays as it is."""

    model_config = ConfigDict(json_schema_extra={"example": {"disabled": True}})

    # made rather than given: a default that the document shows would be read as what happens
    url: Url = Field(default_factory=str)
    events: Events = Field(default_factory=lambda: None)
    description: Description = Field(default_factory=str)
    disabled: StrictBool = Field(
        default_factory=bool, description="Tell it nothing; what waits already is kept."
    )


class RedeliverBody(Request):
    """Which event is to be told again."""

    model_config = ConfigDict(json_schema_extra={"example": {"event_id": _DELIVERY["event_id"]}})

    event_id: UUID = Field(description="The `webhook-id` it was sent with.")


class EndpointShape(Shape):
    """A place that is told events, without its secret."""

    model_config = ConfigDict(json_schema_extra={"example": _ENDPOINT})

    id: Uuid
    organization_id: Uuid
    url: str
    description: str
    events: list[FactType] | None = Field(description="null: every one.")
    disabled: bool
    disabled_reason: DisabledReason | None = Field(description="`gone`: it answered 410.")
    previous_secret_until: Time | None = Field(description="Until then the secret before signs as well.")
    created_at: Time
    updated_at: Time


class EndpointWithSecret(EndpointShape):
    """The same with its new secret."""

    model_config = ConfigDict(json_schema_extra={"example": {**_ENDPOINT, "secret": _SECRET}})

    secret: str = Field(description="Verifies signatures (Standard Webhooks). Shown this once.")


class EndpointList(Shape):
    """Endpoints, newest first."""

    model_config = example(examples.page(_ENDPOINT))

    items: list[EndpointShape]
    has_more: HasMore
    next_cursor: Cursor


class DeliveryShape(Shape):
    """How one event stands at one endpoint."""

    model_config = ConfigDict(json_schema_extra={"example": _DELIVERY})

    event_id: Uuid
    type: str
    status: WebhookStatus
    attempt: int = Field(description="Attempts so far.")
    response_code: int | None = Field(description="The status of the last answer.")
    error: WebhookError | None = Field(description="Why there was none.")
    created_at: Time
    last_attempt_at: Time | None
    next_attempt_at: Time | None


class DeliveryList(Shape):
    """What an endpoint was and is to be told, newest first; kept for 30 days."""

    model_config = example(examples.page(_DELIVERY))

    items: list[DeliveryShape]
    has_more: HasMore
    next_cursor: Cursor


def endpoint_shape(endpoint: WebhookEndpoint) -> EndpointShape:
    """An endpoint."""
    return EndpointShape.model_construct(**_fields(endpoint))


def endpoint_with_secret(endpoint: WebhookEndpoint, secret: str) -> EndpointWithSecret:
    """An endpoint whose secret is new."""
    return EndpointWithSecret.model_construct(**_fields(endpoint), secret=secret)


def _fields(endpoint: WebhookEndpoint) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "organization_id": endpoint.organization_id,
        "url": endpoint.url,
        "description": endpoint.description,
        "events": None if endpoint.events is None else list(endpoint.events),
        "disabled": endpoint.disabled_reason is not None,
        "disabled_reason": endpoint.disabled_reason,
        "previous_secret_until": time_of(endpoint.previous_until),
        "created_at": rfc3339(endpoint.created_at),
        "updated_at": rfc3339(endpoint.updated_at),
    }


def endpoint_list(page: Page[WebhookEndpoint]) -> EndpointList:
    """A page of endpoints."""
    return EndpointList.model_construct(**page_fields(page, endpoint_shape))


def delivery_shape(delivery: WebhookDelivery) -> DeliveryShape:
    """How an event stands."""
    return DeliveryShape.model_construct(
        event_id=delivery.event_id,
        type=delivery.type,
        status=delivery.status,
        attempt=delivery.attempt,
        response_code=delivery.response_code,
        error=delivery.error,
        created_at=rfc3339(delivery.created_at),
        last_attempt_at=time_of(delivery.attempted_at),
        next_attempt_at=time_of(delivery.next_attempt_at),
    )


def delivery_list(page: Page[WebhookDelivery]) -> DeliveryList:
    """A page of what was told."""
    return DeliveryList.model_construct(**page_fields(page, delivery_shape))
