"""The places that are told facts, as an organisation keeps them; and what each was told."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.domain.clock import SECOND
from gateway.domain.errors import ErrorCode, GatewayError
from gateway.domain.ids import new_id
from gateway.domain.ports.store import Row, Tx
from gateway.domain.webhook import (
    OVERLAP_SECONDS,
    DisabledReason,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookError,
    WebhookStatus,
    new_secret,
)
from gateway.domain.wire import FactType
from gateway.service.browse import NEWEST, Page, Position, newest_page, page_of
from gateway.store.records import pack, unpack

MAX_ENDPOINTS = 100
"""Of one organisation."""
_REMEMBERED = 10_000
"""Answers of a day about one endpoint that are forgotten with it, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointFields:
    """What an organisation says of an endpoint."""

    url: str
    description: str
    events: Sequence[FactType] | None
    """None: every event."""
    disabled: bool = False


async def create_endpoint(
    tx: Tx, organization_id: str, fields: EndpointFields
) -> tuple[WebhookEndpoint, str]:
    """A new endpoint and its secret, which cannot be read again.

    Raises GatewayError `forbidden` where the organisation has too many.
    """
    counted = await tx.one("webhook_endpoints_count", organization_id=organization_id)
    if counted is not None and counted["number"] >= MAX_ENDPOINTS:
        raise GatewayError(
            ErrorCode.FORBIDDEN, f"an organisation has at most {MAX_ENDPOINTS} webhook endpoints; delete one"
        )
    secret = new_secret()
    row = await tx.one(
        "webhook_endpoint_insert",
        id=new_id(),
        organization_id=organization_id,
        url=fields.url,
        description=fields.description,
        events=_packed(fields.events),
        secret=secret,
    )
    return _found(row), secret


async def endpoint(tx: Tx, organization_id: str, endpoint_id: str) -> WebhookEndpoint:
    """One endpoint. Raises GatewayError `not_found`, as all that name one do."""
    return _found(await tx.one("webhook_endpoint_by_id", organization_id=organization_id, id=endpoint_id))


async def endpoints_page(
    tx: Tx, organization_id: str, after: Position | None, limit: int
) -> Page[WebhookEndpoint]:
    """Newest first."""
    return await newest_page(
        tx, "webhook_endpoints_page", _endpoint, after, limit, organization_id=organization_id
    )


async def change_endpoint(
    tx: Tx, organization_id: str, endpoint_id: str, fields: EndpointFields
) -> WebhookEndpoint:
    """Replace what is said of it; one that was disabled is told what waits for it once it is enabled."""
    row = await tx.one(
        "webhook_endpoint_change",
        organization_id=organization_id,
        id=endpoint_id,
        url=fields.url,
        description=fields.description,
        events=_packed(fields.events),
        disabled_reason=DisabledReason.REQUESTED.value if fields.disabled else None,
    )
    return _found(row)


async def rotate_secret(tx: Tx, organization_id: str, endpoint_id: str) -> tuple[WebhookEndpoint, str]:
    """A new secret; the present one signs as well for another 24 hours, one before it no more."""
    secret = new_secret()
    row = await tx.one(
        "webhook_endpoint_rotate",
        organization_id=organization_id,
        id=endpoint_id,
        secret=secret,
        overlap=OVERLAP_SECONDS * SECOND,
    )
    return _found(row), secret


async def delete_endpoint(tx: Tx, organization_id: str, endpoint_id: str) -> None:
    """It is told nothing more; what it was told is forgotten with age, its remembered answers at once."""
    if not await tx.run("webhook_endpoint_delete", organization_id=organization_id, id=endpoint_id):
        raise _unknown()
    await tx.run("idempotency_purge", id=endpoint_id, limit=_REMEMBERED)


async def deliveries_page(
    tx: Tx, organization_id: str, endpoint_id: str, after: Position | None, limit: int
) -> Page[WebhookDelivery]:
    """What an endpoint was and is to be told, newest first."""
    await endpoint(tx, organization_id, endpoint_id)
    start = after or NEWEST
    rows = await tx.all(
        "webhook_deliveries_page",
        endpoint_id=endpoint_id,
        before_at=start.at,
        before_id=start.id,
        limit=limit + 1,
    )
    named = [{**row, "id": row["event_id"]} for row in rows]
    return page_of(named, after, limit, _delivery)


async def redeliver(tx: Tx, organization_id: str, endpoint_id: str, event_id: str) -> WebhookDelivery:
    """Tell an event again, however it ended; what waits is due at once. Raises GatewayError `not_found`."""
    await endpoint(tx, organization_id, endpoint_id)
    row = await tx.one("webhook_redeliver", endpoint_id=endpoint_id, event_id=event_id)
    if row is None:
        raise GatewayError(ErrorCode.NOT_FOUND, "this endpoint was not told such an event, or long ago")
    return _delivery(row)


def _packed(events: Sequence[FactType] | None) -> str | None:
    return None if events is None else pack([event.value for event in events])


def _found(row: Row | None) -> WebhookEndpoint:
    if row is None:
        raise _unknown()
    return _endpoint(row)


def _unknown() -> GatewayError:
    return GatewayError(ErrorCode.NOT_FOUND, "there is no such webhook endpoint")


def _endpoint(row: Row) -> WebhookEndpoint:
    events = unpack(row["events"], None)
    reason = row["disabled_reason"]
    return WebhookEndpoint(
        id=row["id"],
        organization_id=row["organization_id"],
        url=row["url"],
        description=row["description"],
        events=None if events is None else tuple(map(FactType, events)),
        previous_until=row["previous_until"],
        disabled_reason=None if reason is None else DisabledReason(reason),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def _delivery(row: Row) -> WebhookDelivery:
    status = WebhookStatus(row["status"])
    return WebhookDelivery(
        event_id=row["event_id"],
        type=row["type"],
        status=status,
        attempt=row["attempt"],
        response_code=row["response_code"],
        error=None if row["error"] is None else WebhookError(row["error"]),
        created_at=row["created_at"],
        attempted_at=row["attempted_at"],
        next_attempt_at=row["due_at"] if status is WebhookStatus.PENDING else None,
    )
