"""Operators at work on handoffs: claimed once, relayed, given back, settled; and what of it is told."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest

from gateway.domain.conversation import SessionType
from gateway.domain.errors import ErrorCode, GatewayError
from gateway.domain.handoff import Handoff
from gateway.domain.ids import named_id
from gateway.domain.message import JsonObject, Role
from gateway.domain.ports.store import Store
from gateway.domain.turn import Path
from gateway.service.close import close
from gateway.service.desk import claim, give_back, relay, settle
from gateway.service.follow import look, written
from gateway.service.handoff import Operator
from tests.contract import scene
from tests.contract.scene import (
    ORGANIZATION,
    PARTITIONS,
    answer,
    arrive,
    claimed,
    conversation,
    operate,
    rows,
    say,
    sms,
    texts_of,
)

OLGA, OTTO = Operator(ORGANIZATION, "olga", admin=False), Operator(ORGANIZATION, "otto", admin=False)
ANNA = Operator(ORGANIZATION, "anna", admin=True)
TRANSFER: JsonObject = {"destination": "+15550111", "label": "billing"}


async def refused(act: Awaitable[object]) -> ErrorCode:
    """Why an act is not done."""
    with pytest.raises(GatewayError) as refusal:
        await act
    return refusal.value.code


async def handed(store: Store) -> tuple[str, str]:
    """A conversation that waits for a person, and the handoff."""
    accepted = await arrive(store, sms("a person, please"))
    turn = await claimed(store, accepted.conversation_id)
    await answer(store, turn, "one moment", path=Path.HANDOFF, handoff_reason="wants a person")
    (handoff,) = await rows(store, "test_handoffs", id=accepted.conversation_id)
    return accepted.conversation_id, handoff["id"]


async def told(store: Store, conversation_id: str) -> list[str]:
    """The timeline, in words."""
    found = await store.read(look, ORGANIZATION, conversation_id, 0)
    assert not found.more
    return [entry.kind.value for entry in found.entries]


async def test_a_handoff_is_claimed_once_and_again_by_the_same(store: Store) -> None:
    conversation_id, handoff_id = await handed(store)
    first = await store.write(claim, handoff_id, OLGA)
    assert (first.status, first.assignee) == ("assigned", "olga")
    before = await told(store, conversation_id)
    assert await store.write(claim, handoff_id, OLGA) == first
    assert await told(store, conversation_id) == before
    assert await refused(store.write(claim, handoff_id, OTTO)) is ErrorCode.CLAIMED_BY_OTHER
    taken = await store.write(claim, handoff_id, ANNA)
    assert (taken.status, taken.assignee) == ("assigned", "anna")
    elsewhere = Operator(named_id("another organisation"), "olga", admin=True)
    assert await refused(store.write(claim, handoff_id, elsewhere)) is ErrorCode.NOT_FOUND
    await scene.consistent(store, conversation_id)


async def test_one_of_ten_claims_wins(store: Store) -> None:
    _, handoff_id = await handed(store)
    operators = [Operator(ORGANIZATION, f"op{n}", admin=False) for n in range(10)]
    claims = await asyncio.gather(
        *(store.write(claim, handoff_id, operator) for operator in operators), return_exceptions=True
    )
    assert sum(isinstance(made, Handoff) for made in claims) == 1


async def test_an_operator_speaks_and_gives_back(store: Store) -> None:
    conversation_id, handoff_id = await handed(store)
    accepted = await store.write(relay, handoff_id, OLGA, "I am Olga", PARTITIONS)
    assert (accepted.status, accepted.assignee) == ("accepted", "olga")
    assert (await store.write(claim, handoff_id, OLGA)).status == "accepted"
    assert await refused(store.write(relay, handoff_id, OTTO, "x", PARTITIONS)) is ErrorCode.CLAIMED_BY_OTHER
    await arrive(store, sms("thanks"))
    back = await store.write(give_back, handoff_id, OLGA, PARTITIONS)
    assert back.status == "resolved"
    assert back.resolved_at is not None
    assert texts_of((await claimed(store, conversation_id)).request) == ["thanks"]
    deliveries = await rows(store, "test_deliveries", id=conversation_id)
    assert [d["text"] for d in deliveries] == ["one moment", "I am Olga"]
    late = store.write(relay, handoff_id, OLGA, "still there?", PARTITIONS)
    assert await refused(late) is ErrorCode.NOT_WAITING_FOR_HUMAN
    await scene.consistent(store, conversation_id)


async def test_a_settled_handoff_closes_its_conversation_and_is_told_first(store: Store) -> None:
    conversation_id, handoff_id = await handed(store)
    settled = await store.write(settle, handoff_id, OLGA, PARTITIONS)
    assert (settled.status, settled.assignee) == ("resolved", "olga")
    assert (await conversation(store, conversation_id))["status"] == "closed"
    assert (await told(store, conversation_id))[-2:] == ["handoff", "status"]
    again = store.write(settle, handoff_id, OLGA, PARTITIONS)
    assert await refused(again) is ErrorCode.NOT_WAITING_FOR_HUMAN
    await scene.consistent(store, conversation_id)


async def test_closing_cancels_what_was_waited_for_and_says_so(store: Store) -> None:
    conversation_id, handoff_id = await handed(store)
    await store.write(close, ORGANIZATION, conversation_id, "done", PARTITIONS)
    assert (await told(store, conversation_id))[-2:] == ["handoff", "status"]
    assert await refused(store.write(claim, handoff_id, OLGA)) is ErrorCode.NOT_WAITING_FOR_HUMAN
    await scene.consistent(store, conversation_id)


async def on_the_phone(store: Store, **reply: object) -> str:
    """A call whose turn hands it over."""
    started = {"kind": "call.started", "call_id": "CA1", "host_id": "h1", "transport": "sip"}
    event = scene.call("Call started.", "CA1", role=Role.SYSTEM_EVENT)
    event.metadata["voice_event"] = started
    accepted = await arrive(store, event)
    await arrive(store, scene.call("billing please", "CA1"))
    turn = await claimed(store, accepted.conversation_id)
    await answer(store, turn, "connecting you", path=Path.HANDOFF, handoff_reason="transfer", **reply)
    return accepted.conversation_id


async def test_nobody_acts_while_a_call_is_being_transferred(store: Store) -> None:
    intent: JsonObject = {"intent_id": named_id("i"), "kind": "transfer", "payload": TRANSFER}
    conversation_id = await on_the_phone(store, transfer=TRANSFER, intents=(intent,))
    (handoff,) = await rows(store, "test_handoffs", id=conversation_id)
    assert await refused(store.write(claim, handoff["id"], OLGA)) is ErrorCode.TRANSFER_IN_PROGRESS
    assert await refused(store.write(settle, handoff["id"], ANNA, PARTITIONS)) is (
        ErrorCode.TRANSFER_IN_PROGRESS
    )
    assert await refused(operate(store, conversation_id, "hello")) is ErrorCode.TRANSFER_IN_PROGRESS
    outcome = scene.call("Call transfer failed.", "CA1", role=Role.SYSTEM_EVENT)
    outcome.metadata["voice_event"] = {"kind": "intent.outcome", "call_id": "CA1", "state": "failed"}
    await arrive(store, outcome)
    assert (await conversation(store, conversation_id))["status"] == "active"
    timeline = await rows(store, "test_timeline", id=conversation_id)
    issued = [json.loads(entry["body"]) for entry in timeline if entry["kind"] == "intent"]
    assert issued == [{**intent, "state": "issued"}]
    await scene.consistent(store, conversation_id)


async def test_a_call_handed_to_a_person_without_a_transfer_is_theirs(store: Store) -> None:
    conversation_id = await on_the_phone(store)
    (handoff,) = await rows(store, "test_handoffs", id=conversation_id)
    assert (await store.write(claim, handoff["id"], OLGA)).status == "assigned"


@pytest.mark.parametrize("session_type", SessionType)
async def test_only_live_sessions_are_told_of(store: Store, session_type: SessionType) -> None:
    async def facts(make: Callable[[str], Awaitable[object]]) -> set[str]:
        conversation_id = await scene.api_conversation(store)
        await scene.become(store, conversation_id, session_type)
        await make(conversation_id)
        await store.write(close, ORGANIZATION, conversation_id, "done", PARTITIONS)
        return {key for exchange, key, _ in await scene.postings(store) if exchange == "events"}

    async def turn(conversation_id: str, path: Path, **more: object) -> None:
        if session_type is SessionType.SIMULATION:
            return
        await say(store, conversation_id)
        await answer(store, await claimed(store, conversation_id), path=path, **more)

    seen = await facts(lambda one: turn(one, Path.HANDOFF, handoff_reason="help"))
    seen |= await facts(lambda one: turn(one, Path.APPROVAL, approval=scene.APPROVAL))
    live = {"conversation.closed", "conversation.handoff_requested", "approval.requested"}
    assert seen == (live if session_type is SessionType.LIVE else set())


async def test_a_timeline_that_nobody_has(store: Store) -> None:
    conversation_id, _ = await handed(store)
    assert await store.read(written, named_id("another organisation"), conversation_id) is None
    assert (await store.read(look, named_id("another organisation"), conversation_id, 0)).over
