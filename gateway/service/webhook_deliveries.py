"""Telling facts to webhook endpoints: fanned out once, claimed by expiry, sent by a worker, recorded."""

from dataclasses import dataclass

from pydantic_core import to_json

from gateway.domain.clock import SECOND, rfc3339
from gateway.domain.envelope import Envelope
from gateway.domain.ports.store import Row, Tx
from gateway.domain.webhook import WebhookAttempt, WebhookOutcome, WebhookStatus, retry_delay
from gateway.service.dead import bury
from gateway.store.engine import single_statement

QUEUE = "webhooks"
DEAD_TYPE = "webhook.dead"
"""Of the dead letter of an event that one endpoint did not take."""
_ENDPOINTS_AT_ONCE = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much is taken at once."""

    room: int
    """Attempts the caller can make now."""
    per_endpoint: int
    """Attempts that may be under way at one endpoint, whoever makes them."""
    lease_seconds: int
    """After that an attempt's maker is believed dead."""


@single_statement
async def fan_out(tx: Tx, event: Envelope) -> int:
    """A row for every endpoint that is subscribed now; how many are new.

    None for sessions that are not live, and for an event that was fanned out before.
    """
    body = to_json({"type": event.type, "timestamp": event.occurred_at, "data": event.data})
    return await tx.run(
        "webhook_fan_out",
        organization_id=event.organization_id,
        event_id=event.id,
        conversation_id=event.conversation_id,
        type=event.type,
        body=body.decode(),
    )


async def claim_attempts(tx: Tx, bounds: Bounds) -> list[WebhookAttempt]:
    """Commit attempts that are due, fairly over endpoints and within the bounds."""
    endpoints = await tx.all(
        "webhook_endpoints_due", bound=bounds.per_endpoint, limit=min(bounds.room, _ENDPOINTS_AT_ONCE)
    )
    attempts: list[WebhookAttempt] = []
    for endpoint in endpoints:
        rows = await tx.all(
            "webhook_claim",
            endpoint_id=endpoint["id"],
            room=bounds.room - len(attempts),
            bound=bounds.per_endpoint,
            lease=bounds.lease_seconds * SECOND,
        )
        if rows:
            await tx.run("webhook_endpoint_served", id=endpoint["id"])
        attempts += [_attempt(endpoint, row) for row in rows]
    return attempts


def _attempt(endpoint: Row, row: Row) -> WebhookAttempt:
    return WebhookAttempt(
        endpoint_id=endpoint["id"],
        url=endpoint["url"],
        secrets=tuple(filter(None, (endpoint["secret"], endpoint["previous_secret"]))),
        event_id=row["event_id"],
        type=row["type"],
        body=row["body"],
        attempt=row["attempt"],
    )


async def record_outcome(tx: Tx, attempt: WebhookAttempt, outcome: WebhookOutcome) -> WebhookStatus | None:
    """Record what became of an attempt; None where it was taken over, redelivered or deleted meanwhile.

    410 disables the endpoint; what is not taken within 24 hours becomes a dead letter.
    """
    place = {"endpoint_id": attempt.endpoint_id, "event_id": attempt.event_id}
    if outcome.delivered:
        done = await tx.run("webhook_delivered", **place, response_code=outcome.response_code)
        return WebhookStatus.DELIVERED if done else None
    row = await tx.one("webhook_attempted", **place, attempt=attempt.attempt)
    if row is None:
        return None
    if outcome.gone:
        await tx.run("webhook_endpoint_gone", id=attempt.endpoint_id)
    delay = None if outcome.gone else retry_delay(attempt.attempt, row["tried_for"])
    status = WebhookStatus.DEAD if delay is None else WebhookStatus.PENDING
    if status is WebhookStatus.DEAD:
        await _bury(tx, attempt, outcome, row)
    await tx.run(
        "webhook_failed",
        **place,
        attempt=attempt.attempt,
        status=status.value,
        response_code=outcome.response_code,
        error=outcome.error and outcome.error.value,
        delay=delay,
    )
    return status


async def _bury(tx: Tx, attempt: WebhookAttempt, outcome: WebhookOutcome, row: Row) -> None:
    reason = f"status {outcome.response_code}" if outcome.response_code else (outcome.error or "no answer")
    body = Envelope.model_construct(
        v=1,
        id=attempt.event_id,
        type=DEAD_TYPE,
        occurred_at=rfc3339(row["created_at"]),
        organization_id=row["organization_id"],
        conversation_id=row["conversation_id"],
        data={
            "endpoint_id": attempt.endpoint_id,
            "event_id": attempt.event_id,
            "event_type": attempt.type,
            "attempts": attempt.attempt,
        },
    )
    await bury(
        tx,
        QUEUE,
        f"not taken after {attempt.attempt} attempts: {reason}",
        body.model_dump_json(),
        envelope=body,
    )
