"""A call's conversation from its beginning to its end, and a caller who rings back into it."""

import json
from dataclasses import replace
from typing import Any

from gateway.domain.call_rules import CallRules
from gateway.domain.message import Accepted, InboundMessage, Role, SenderAuth
from gateway.service.accept import accept
from gateway.service.call_over import close_ended_calls, end_of_call
from gateway.service.close import close
from tests.contract import scene
from tests.contract.conftest import MovableStore as Store
from tests.contract.scene import ORGANIZATION, PARTITIONS, ROUTE

WAITS = CallRules(ring_back_seconds=60)
STAYS = CallRules(closes=False)


def event(call_id: str, kind: str, **data: Any) -> InboundMessage:
    """Something that happens in a call."""
    said = scene.call(kind, call_id, role=Role.SYSTEM_EVENT)
    told = {"kind": kind, "call_id": call_id, **data}
    return replace(said, provider_message_id=f"{call_id}:{kind}", metadata={"voice_event": told})


async def begin(store: Store, call_id: str, **changed: Any) -> Accepted:
    """A call comes in."""
    started = event(call_id, "call.started", direction="inbound")
    return await store.write(accept, replace(started, **changed), ROUTE)


async def over(store: Store, call_id: str, rules: CallRules = WAITS, **changed: Any) -> Accepted:
    """It is over."""
    ended = event(call_id, "call.ended", reason="completed", **changed)
    accepted = await store.write(accept, ended, ROUTE)
    await store.write(end_of_call, ORGANIZATION, accepted.conversation_id, rules, PARTITIONS)
    return accepted


async def status(store: Store, conversation_id: str) -> str:
    """That of a conversation."""
    return str((await scene.conversation(store, conversation_id))["status"])


async def test_a_call_is_queued_rings_and_is_active(store: Store) -> None:
    begun = await begin(store, "CA1")
    await begin(store, "CA1")
    timeline = await scene.rows(store, "test_timeline", id=begun.conversation_id)
    statuses = [json.loads(e["body"]) for e in timeline if e["kind"] == "status"]
    assert [(s["previous"], s["session_status"]) for s in statuses] == [
        ("queued", "ringing"),
        ("ringing", "active"),
    ]
    said = await scene.arrive(store, scene.call("hello", "CA1"))
    assert (said.conversation_id, said.turn_expected) == (begun.conversation_id, True)
    await scene.consistent(store, begun.conversation_id)


async def test_unless_set_a_conversation_closes_with_its_call(store: Store) -> None:
    begun = await begin(store, "CA1")
    for _ in range(2):
        await over(store, "CA1", CallRules())
    assert await status(store, begun.conversation_id) == "closed"
    again = await begin(store, "CA2")
    assert again.conversation_id != begun.conversation_id


async def test_a_caller_who_rings_back_in_time_goes_on(store: Store) -> None:
    first = await begin(store, "CA1")
    await over(store, "CA1")
    assert await status(store, first.conversation_id) == "active"
    store.advance(59)
    second = await begin(store, "CA2")
    assert second.conversation_id == first.conversation_id
    assert (first.goes_on, second.goes_on) == (False, True)
    assert (await scene.arrive(store, scene.call("me again", "CA2"))).conversation_id == first.conversation_id
    store.advance(10)
    assert await store.write(close_ended_calls, PARTITIONS) == 0
    late = await store.write(accept, event("CA1", "intent.outcome", state="failed"), ROUTE)
    assert late.conversation_id == first.conversation_id  # what still comes of the first call
    await over(store, "CA2")
    store.advance(61)
    assert await store.write(close_ended_calls, PARTITIONS) == 2  # a row for each call
    assert await status(store, first.conversation_id) == "closed"
    third = await begin(store, "CA3")
    assert third.conversation_id != first.conversation_id
    await scene.consistent(store, first.conversation_id)


async def test_nobody_goes_on_with_anothers_conversation(store: Store) -> None:
    first = await begin(store, "CA1")
    await over(store, "CA1")
    others: tuple[dict[str, Any], ...] = (
        {"sender": "+14155550199"},
        {"sender": "anonymous:CA4", "sender_auth": SenderAuth.UNVERIFIED},
        {"sender_auth": SenderAuth.UNVERIFIED},
        {"recipient": "+15550199"},
    )
    for n, changed in enumerate(others):
        other = await begin(store, f"CB{n}", **changed)
        assert other.conversation_id != first.conversation_id, changed


async def test_nobody_goes_on_with_a_call_that_is_up_or_was_closed(store: Store) -> None:
    first = await begin(store, "CA1")
    beside = await begin(store, "CA2")
    assert beside.conversation_id != first.conversation_id
    for call_id in ("CA1", "CA2"):
        await over(store, call_id)
    for begun in (first, beside):
        await store.write(close, ORGANIZATION, begun.conversation_id, "done", PARTITIONS)
    again = await begin(store, "CA3")
    assert again.conversation_id not in (first.conversation_id, beside.conversation_id)


async def test_a_conversation_may_stay_open_for_every_later_call(store: Store) -> None:
    first = await begin(store, "CA1")
    await over(store, "CA1", STAYS)
    store.advance(1800)
    assert await store.write(close_ended_calls, PARTITIONS) == 0
    assert (await begin(store, "CA2")).conversation_id == first.conversation_id


async def test_who_rings_back_while_the_end_is_being_noted_is_not_cut_off(store: Store) -> None:
    first = await begin(store, "CA1")
    await store.write(accept, event("CA1", "call.ended", reason="completed"), ROUTE)
    assert (await begin(store, "CA2")).conversation_id == first.conversation_id
    await store.write(end_of_call, ORGANIZATION, first.conversation_id, CallRules(), PARTITIONS)
    assert await status(store, first.conversation_id) == "active"


async def test_where_no_call_was_ever_up_nobody_rings_back(store: Store) -> None:
    """Its conversation closes with the news that it is over, not when it has been idle for long."""
    said = await scene.arrive(store, scene.call("hello", "CA1"))
    await over(store, "CA1")
    assert await status(store, said.conversation_id) == "closed"


async def test_an_end_that_is_told_again_makes_nobody_wait_longer(store: Store) -> None:
    first = await begin(store, "CA1")
    await over(store, "CA1")
    store.advance(59)
    await over(store, "CA1")
    assert await status(store, first.conversation_id) == "active"
    store.advance(2)
    assert await store.write(close_ended_calls, PARTITIONS) == 1
    assert await status(store, first.conversation_id) == "closed"


async def test_a_host_says_where_its_recording_is(store: Store) -> None:
    begun = await begin(store, "CA1")
    await over(store, "CA1", CallRules(), recording_url="https://host.test/1.wav")
    row = await scene.conversation(store, begun.conversation_id)
    assert (bool(row["has_recording"]), row["recording_url"]) == (True, "https://host.test/1.wav")
