"""Webhooks out: endpoints kept, events fanned out once, attempts claimed, recorded, given up, told again."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from gateway.domain.conversation import SessionType
from gateway.domain.envelope import Envelope
from gateway.domain.errors import ErrorCode, GatewayError
from gateway.domain.ids import named_id, new_id
from gateway.domain.message import Role
from gateway.domain.ports.store import Store
from gateway.domain.turn import Path
from gateway.domain.webhook import (
    DisabledReason,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookError,
    WebhookOutcome,
    WebhookStatus,
)
from gateway.domain.wire import FactType
from gateway.service import webhook_endpoints as endpoints
from gateway.service.close import close
from gateway.service.expire import WEBHOOKS_KEPT, forget
from gateway.service.purge import purge
from gateway.service.requeue import CannotRequeue, requeue
from gateway.service.webhook_deliveries import Bounds, claim_attempts, fan_out, record_outcome
from gateway.service.webhook_endpoints import EndpointFields
from tests.contract import scene
from tests.contract.conftest import MovableStore
from tests.contract.scene import ORGANIZATION, PARTITIONS

LEASE = 30
BOUNDS = Bounds(room=64, per_endpoint=4, lease_seconds=LEASE)
HOUR = 3600
TAKEN, BROKEN, AWAY = WebhookOutcome(204), WebhookOutcome(500), WebhookOutcome(None, WebhookError.TIMEOUT)


def fact(
    kind: FactType = FactType.CONVERSATION_CLOSED, *, conversation_id: str | None = None, **data: Any
) -> Envelope:
    """An event that is told."""
    return Envelope(
        id=new_id(),
        type=kind.value,
        occurred_at="2026-01-01T00:00:00.000000Z",
        organization_id=ORGANIZATION,
        conversation_id=conversation_id,
        data=data,
    )


async def added(
    store: Store, *events: FactType, organization_id: str = ORGANIZATION, url: str = "https://example.com/in"
) -> WebhookEndpoint:
    """An endpoint for these events, or for all."""
    fields = EndpointFields(url=url, description="", events=events or None)
    made, _ = await store.write(endpoints.create_endpoint, organization_id, fields)
    return made


async def listed(store: Store, endpoint: WebhookEndpoint) -> list[WebhookDelivery]:
    """What an endpoint was told, newest first."""
    page = await store.read(endpoints.deliveries_page, endpoint.organization_id, endpoint.id, None, 200)
    return list(page.items)


async def one(store: Store, endpoint: WebhookEndpoint) -> WebhookDelivery:
    """The only one."""
    (only,) = await listed(store, endpoint)
    return only


async def claimed(store: Store, bounds: Bounds = BOUNDS) -> list[WebhookAttempt]:
    """Attempts that are due."""
    return await store.write(claim_attempts, bounds)


async def tried(store: Store, outcome: WebhookOutcome) -> WebhookStatus | None:
    """The only attempt that is due, made."""
    (attempt,) = await claimed(store)
    return await store.write(record_outcome, attempt, outcome)


async def test_an_event_is_fanned_out_once_to_those_who_want_it(store: Store) -> None:
    everything = await added(store)
    closed = await added(store, FactType.CONVERSATION_CLOSED, FactType.APPROVAL_REQUESTED)
    failed = await added(store, FactType.MESSAGE_FAILED)
    nothing = await added(store, *())
    await store.write(
        endpoints.change_endpoint,
        ORGANIZATION,
        nothing.id,
        EndpointFields(url=nothing.url, description="", events=None, disabled=True),
    )
    elsewhere = await added(store, organization_id=named_id("another"))
    event = fact(reason="done")
    told = await asyncio.gather(*(store.write(fan_out, event) for _ in range(3)))
    assert sorted(told) == [0, 0, 2]
    assert [d.event_id for d in await listed(store, everything)] == [event.id]
    assert [d.type for d in await listed(store, closed)] == ["conversation.closed"]
    for endpoint in (failed, nothing, elsewhere):
        assert await listed(store, endpoint) == []
    told_of = {"type": "conversation.closed", "timestamp": event.occurred_at, "data": {"reason": "done"}}
    assert [json.loads(attempt.body) for attempt in await claimed(store)] == [told_of] * 2


@pytest.mark.parametrize("session_type", list(SessionType))
async def test_only_live_sessions_are_told_of(store: Store, session_type: SessionType) -> None:
    endpoint = await added(store)
    conversation_id = await scene.api_conversation(store, session_type)
    await store.write(fan_out, fact(conversation_id=conversation_id))
    await store.write(fan_out, fact(conversation_id=new_id()))
    told = 2 if session_type is SessionType.LIVE else 1
    assert len(await listed(store, endpoint)) == told, "what is of a deleted conversation is told too"


async def test_an_attempt_is_committed_and_settled(store: MovableStore) -> None:
    endpoint = await added(store)
    event = fact()
    await store.write(fan_out, event)
    assert (await one(store, endpoint)).status is WebhookStatus.PENDING
    (attempt,) = await claimed(store)
    assert (attempt.event_id, attempt.attempt, attempt.url) == (event.id, 1, endpoint.url)
    sending = await one(store, endpoint)
    assert (sending.status, sending.attempt, sending.next_attempt_at) == (WebhookStatus.SENDING, 1, None)
    assert await claimed(store) == []
    assert await store.write(record_outcome, attempt, TAKEN) is WebhookStatus.DELIVERED
    assert await store.write(record_outcome, attempt, TAKEN) is None
    assert await store.write(record_outcome, attempt, BROKEN) is None
    done = await one(store, endpoint)
    assert (done.status, done.response_code, done.next_attempt_at) == (WebhookStatus.DELIVERED, 204, None)
    store.advance(48 * HOUR)
    assert await claimed(store) == []


async def test_who_died_while_sending_is_followed(store: MovableStore) -> None:
    endpoint = await added(store)
    await store.write(fan_out, fact())
    (first,) = await claimed(store)
    store.advance(LEASE - 1)
    assert await claimed(store) == []
    store.advance(2)
    (second,) = await claimed(store)
    assert (second.event_id, second.attempt) == (first.event_id, 2)
    assert await store.write(record_outcome, first, BROKEN) is None, "its failure is old news"
    assert await store.write(record_outcome, first, TAKEN) is WebhookStatus.DELIVERED, "its success is a fact"
    assert await store.write(record_outcome, second, BROKEN) is None
    assert (await one(store, endpoint)).status is WebhookStatus.DELIVERED


async def test_it_is_tried_for_a_day_and_then_a_dead_letter(store: MovableStore) -> None:
    endpoint = await added(store)
    event = fact()
    await store.write(fan_out, event)
    passed, waits = 0, []
    while await tried(store, AWAY if passed else BROKEN) is WebhookStatus.PENDING:
        at = await one(store, endpoint)
        assert at.next_attempt_at is not None
        assert at.attempted_at is not None
        wait = (at.next_attempt_at - at.attempted_at) / 1_000_000
        assert (at.response_code, at.error) == ((None, "timeout") if passed else (500, None))
        store.advance(wait - 1)
        assert await claimed(store) == []
        store.advance(1.1)
        waits.append(round(wait))
        passed += round(wait)
    assert waits[:6] == [5, 30, 120, 600, 3600, 3600]
    assert 23 * HOUR <= passed <= 24 * HOUR
    dead = await one(store, endpoint)
    assert (dead.status, dead.attempt, dead.next_attempt_at) == (WebhookStatus.DEAD, len(waits) + 1, None)
    (letter,) = await scene.rows(store, "test_dead_letters")
    assert (letter["queue"], letter["organization_id"]) == ("webhooks", ORGANIZATION)
    assert letter["reason"] == f"not taken after {len(waits) + 1} attempts: timeout"
    assert json.loads(letter["body"])["data"]["endpoint_id"] == endpoint.id
    await store.write(requeue, letter["id"], PARTITIONS)
    assert await tried(store, TAKEN) is WebhookStatus.DELIVERED


async def test_a_dead_letter_of_a_deleted_endpoint_cannot_be_requeued(store: MovableStore) -> None:
    endpoint = await added(store)
    await store.write(fan_out, fact())
    await tried(store, WebhookOutcome(410))
    (letter,) = await scene.rows(store, "test_dead_letters")
    await store.write(endpoints.delete_endpoint, ORGANIZATION, endpoint.id)
    with pytest.raises(CannotRequeue):
        await store.write(requeue, letter["id"], PARTITIONS)


async def test_gone_disables_the_endpoint_and_what_waits_is_kept(store: MovableStore) -> None:
    endpoint = await added(store)
    first, second = fact(), fact()
    await store.write(fan_out, first)
    await store.write(fan_out, second)
    one_attempt, other = await claimed(store)
    assert await store.write(record_outcome, one_attempt, WebhookOutcome(410)) is WebhookStatus.DEAD
    assert await store.write(record_outcome, other, BROKEN) is WebhookStatus.PENDING
    gone = await store.read(endpoints.endpoint, ORGANIZATION, endpoint.id)
    assert gone.disabled_reason is DisabledReason.GONE
    store.advance(60)
    assert await claimed(store) == []
    assert await store.write(fan_out, fact()) == 0
    fields = EndpointFields(url=endpoint.url, description="", events=None)
    back = await store.write(endpoints.change_endpoint, ORGANIZATION, endpoint.id, fields)
    assert back.disabled_reason is None
    assert [a.event_id for a in await claimed(store)] == [other.event_id]


async def test_attempts_at_one_endpoint_are_bounded_and_others_are_served(store: MovableStore) -> None:
    busy = await added(store, FactType.MESSAGE_FAILED)
    quiet = await added(store, FactType.MESSAGE_DELIVERED)
    for _ in range(10):
        await store.write(fan_out, fact(FactType.MESSAGE_FAILED))
    await store.write(fan_out, fact(FactType.MESSAGE_DELIVERED))
    rounds = await asyncio.gather(*(claimed(store) for _ in range(4)))
    attempts = [attempt for taken in rounds for attempt in taken]
    assert sorted(a.endpoint_id for a in attempts) == sorted([busy.id] * 4 + [quiet.id])
    assert len({a.event_id for a in attempts}) == 5
    first = next(a for a in attempts if a.endpoint_id == busy.id)
    await store.write(record_outcome, first, TAKEN)
    assert [a.endpoint_id for a in await claimed(store)] == [busy.id]
    store.advance(LEASE + 1)
    again = await claimed(store)
    assert sorted(a.endpoint_id for a in again) == sorted([busy.id] * 4 + [quiet.id]), "the dead do not count"


async def test_no_more_is_taken_than_there_is_room(store: MovableStore) -> None:
    for _ in range(3):
        await added(store)
    for _ in range(3):
        await store.write(fan_out, fact())
    bounds = Bounds(room=2, per_endpoint=4, lease_seconds=LEASE)
    taken = []
    for _ in range(6):
        taken.append(await claimed(store, bounds))
        store.advance(1)  # who was served last is told by the clock
    assert [len(attempts) for attempts in taken] == [2, 2, 2, 2, 1, 0]
    assert len({a.endpoint_id for attempts in taken[:3] for a in attempts}) == 3, "in turn"


async def test_both_secrets_sign_for_a_day(store: MovableStore) -> None:
    fields = EndpointFields(url="https://example.com", description="", events=None)
    endpoint, first = await store.write(endpoints.create_endpoint, ORGANIZATION, fields)
    rotated, second = await store.write(endpoints.rotate_secret, ORGANIZATION, endpoint.id)
    assert rotated.previous_until is not None
    await store.write(fan_out, fact())
    (attempt,) = await claimed(store)
    assert attempt.secrets == (second, first)
    await store.write(record_outcome, attempt, BROKEN)
    store.advance(24 * HOUR + 1)
    (attempt,) = await claimed(store)
    assert attempt.secrets == (second,)


async def test_what_was_told_is_told_again_and_what_waits_is_due(store: MovableStore) -> None:
    endpoint = await added(store)
    event = fact()
    await store.write(fan_out, event)

    async def again(event_id: str = event.id) -> WebhookDelivery:
        return await store.write(endpoints.redeliver, ORGANIZATION, endpoint.id, event_id)

    await tried(store, BROKEN)
    waiting = await again()
    assert (waiting.status, waiting.attempt) == (WebhookStatus.PENDING, 1)
    (attempt,) = await claimed(store)
    sending = await again()
    assert (sending.status, sending.attempt) == (WebhookStatus.SENDING, 2)
    assert await claimed(store) == []
    await store.write(record_outcome, attempt, TAKEN)
    store.advance(48 * HOUR)
    anew = await again()
    assert (anew.status, anew.attempt) == (WebhookStatus.PENDING, 0)
    assert await tried(store, BROKEN) is WebhookStatus.PENDING, "another day begins"
    for other in (new_id(), named_id("x")):
        with pytest.raises(GatewayError) as refused:
            await again(other)
        assert refused.value.code is ErrorCode.NOT_FOUND


async def test_another_organisation_sees_and_changes_nothing(store: Store) -> None:
    endpoint = await added(store)
    await store.write(fan_out, fact())
    other = named_id("another")
    fields = EndpointFields(url="https://evil.example", description="", events=None)
    with pytest.raises(GatewayError):
        await store.read(endpoints.endpoint, other, endpoint.id)
    with pytest.raises(GatewayError):
        await store.read(endpoints.deliveries_page, other, endpoint.id, None, 10)
    with pytest.raises(GatewayError):
        await store.write(endpoints.change_endpoint, other, endpoint.id, fields)
    with pytest.raises(GatewayError):
        await store.write(endpoints.rotate_secret, other, endpoint.id)
    with pytest.raises(GatewayError):
        await store.write(endpoints.delete_endpoint, other, endpoint.id)
    assert (await store.read(endpoints.endpoints_page, other, None, 10)).items == ()
    assert await store.read(endpoints.endpoint, ORGANIZATION, endpoint.id) == endpoint


async def test_endpoints_and_deliveries_are_paged(store: MovableStore) -> None:
    made = []
    for n in range(5):
        made.append((await added(store, url=f"https://example.com/{n}")).id)
        await store.write(fan_out, fact())
        store.advance(1)
    seen: list[str] = []
    after = None
    while True:
        page = await store.read(endpoints.endpoints_page, ORGANIZATION, after, 2)
        seen += [e.id for e in page.items]
        after = page.end
        if not page.has_more:
            break
    assert seen == made[::-1]
    first = await store.read(endpoints.deliveries_page, ORGANIZATION, made[0], None, 3)
    second = await store.read(endpoints.deliveries_page, ORGANIZATION, made[0], first.end, 3)
    assert (first.has_more, second.has_more) == (True, False)
    assert len({d.event_id for d in (*first.items, *second.items)}) == 5


async def test_there_is_an_end_to_endpoints(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "MAX_ENDPOINTS", 2)
    await added(store)
    await added(store)
    with pytest.raises(GatewayError) as refused:
        await added(store)
    assert refused.value.code is ErrorCode.FORBIDDEN


async def test_what_was_told_is_forgotten(store: MovableStore) -> None:
    endpoint = await added(store)
    conversation_id = await scene.api_conversation(store)
    await store.write(close, ORGANIZATION, conversation_id, None, PARTITIONS)
    told, waiting = fact(conversation_id=conversation_id), fact(conversation_id=conversation_id)
    await store.write(fan_out, told)
    await tried(store, TAKEN)
    await store.write(fan_out, waiting)
    await purge(store, ORGANIZATION, conversation_id)
    assert [d.event_id for d in await listed(store, endpoint)] == [waiting.id]
    store.advance(WEBHOOKS_KEPT / 1_000_000 + 1)
    await store.write(forget)
    assert await listed(store, endpoint) == []


@pytest.mark.parametrize(
    ("session_type", "state", "status"),
    [
        (SessionType.LIVE, "transferred", "transferred"),
        (SessionType.LIVE, "failed", "active"),
        (SessionType.TEST, "transferred", None),
    ],
)
async def test_how_a_transfer_ended_is_told(
    store: Store, session_type: SessionType, state: str, status: str | None
) -> None:
    spoken = await scene.arrive(store, scene.call("a person please", "CA1"))
    conversation_id = spoken.conversation_id
    await scene.become(store, conversation_id, session_type)
    await scene.answer(store, await scene.claimed(store, conversation_id), path=Path.HANDOFF)
    outcome = {"kind": "intent.outcome", "call_id": "CA1", "intent_id": "i-1", "state": state}
    event = replace(
        scene.call(f"Call {state}.", "CA1", role=Role.SYSTEM_EVENT), metadata={"voice_event": outcome}
    )
    await scene.arrive(store, event)
    told = await scene.posted(store, "voice.transfer_finished")
    handoffs = await scene.rows(store, "test_handoffs", id=conversation_id)
    assert [fact["data"] for fact in told] == [
        {
            "conversation_id": conversation_id,
            "handoff_id": handoffs[0]["id"],
            "call_id": "CA1",
            "intent_id": "i-1",
            "state": state,
            "reason": None,
            "method_used": None,
            "session_status": status,
        }
    ] * (status is not None)
