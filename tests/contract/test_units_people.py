"""People in the loop: take-overs that stop the agent, closing, and what time ends."""

import asyncio
import json

import pytest

from gateway.domain.conversation import Status
from gateway.domain.errors import ErrorCode, Fenced, GatewayError
from gateway.domain.ids import new_id
from gateway.domain.ports.store import Store, Tx
from gateway.domain.turn import NotNow, Path, TurnOutcome, TurnState
from gateway.service.close import close
from gateway.service.expire import expire_idle, forget
from gateway.service.outcomes import Progress, progress
from tests.contract import scene
from tests.contract.conftest import MovableStore
from tests.contract.scene import (
    ORGANIZATION,
    PARTITIONS,
    answer,
    arrive,
    claimed,
    conversation,
    operate,
    refused,
    rows,
    say,
    sms,
    texts_of,
)
from tests.contract.test_units_approvals import contents, decide, parked

HOUR = 3600


async def shut(store: Store, conversation_id: str) -> None:
    await store.write(close, ORGANIZATION, conversation_id, "done", PARTITIONS)


async def test_a_take_over_stops_the_running_turn(store: Store) -> None:
    accepted = await arrive(store, sms("one"))
    conversation_id = accepted.conversation_id
    claim = await claimed(store, conversation_id)
    await arrive(store, sms("two"))
    done = await operate(store, conversation_id, "I am here", take_over=True)
    assert done.session_status is Status.WAITING_FOR_HUMAN
    with pytest.raises(Fenced):
        await answer(store, claim, "too late")
    assert await refused(store, conversation_id) is NotNow.NO_TURNS
    (turn,) = await rows(store, "test_turns", id=conversation_id)
    assert turn["state"] == "superseded"
    await arrive(store, sms("three"))
    await scene.clear_outbox(store)
    back = await operate(store, conversation_id, return_control=True)
    assert back.session_status is Status.ACTIVE
    assert len(await scene.posted(store, "turn.due")) == 1
    again = await claimed(store, conversation_id)
    assert again.turn_id != claim.turn_id
    assert texts_of(again.request) == ["one", "two", "three"]
    assert not (await answer(store, again, "to all")).more
    assert await contents(store, conversation_id) == ["one", "two", "I am here", "three", "to all"]
    (handoff,) = await rows(store, "test_handoffs", id=conversation_id)
    assert (handoff["source"], handoff["status"], handoff["assignee"]) == ("operator", "resolved", "olga")
    await scene.consistent(store, conversation_id)


async def test_a_take_over_and_a_commit_at_once_leave_one_of_both(store: MovableStore) -> None:
    for n in range(10):
        accepted = await arrive(store, sms(sender=f"+141555501{n:02}"))
        claim = await claimed(store, accepted.conversation_id)
        committed, _ = await asyncio.gather(
            answer(store, claim, "mine"),
            operate(store, accepted.conversation_id, take_over=True),
            return_exceptions=True,
        )
        row = await conversation(store, accepted.conversation_id)
        assert row["status"] == "waiting_for_human"
        if isinstance(committed, BaseException):
            assert isinstance(committed, Fenced)
            assert (row["last_input"], row["answered"]) == (1, 0)
        else:
            assert (row["last_input"], row["answered"]) == (1, 1)
        await scene.consistent(store, accepted.conversation_id)
    assert store.retries == 0


async def test_a_superseded_api_turn_is_answered_after_the_return(store: Store) -> None:
    conversation_id = await scene.api_conversation(store)
    said = await say(store, conversation_id, "one")
    claim = await claimed(store, conversation_id)
    await operate(store, conversation_id, take_over=True)
    queued = await say(store, conversation_id, "two")
    assert queued.queued_seq == 1
    outcome = await store.read(progress, conversation_id, said.message_id)
    assert isinstance(outcome, TurnOutcome)
    assert outcome.path is Path.QUEUED
    await operate(store, conversation_id, return_control=True)
    again = await claimed(store, conversation_id)
    assert texts_of(again.request) == ["one", "two"]
    assert again.turn_id == queued.turn_id != claim.turn_id
    await answer(store, again, "to both")
    outcome = await store.read(progress, conversation_id, said.message_id)
    assert isinstance(outcome, TurnOutcome)
    assert outcome.text == "to both"
    await scene.consistent(store, conversation_id)


async def test_a_handoff_by_the_agent_belongs_to_the_first_who_writes(store: Store) -> None:
    accepted = await arrive(store)
    await answer(
        store,
        await claimed(store, accepted.conversation_id),
        "a person will come",
        path=Path.HANDOFF,
        handoff_reason="wants a person",
        handoff_text="hold on",
    )
    conversation_id = accepted.conversation_id
    assert (await conversation(store, conversation_id))["status"] == "waiting_for_human"
    (handoff,) = await rows(store, "test_handoffs", id=conversation_id)
    assert (handoff["status"], handoff["source"], handoff["reason"]) == (
        "requested",
        "router",
        "wants a person",
    )
    assert json.loads(handoff["packet"])["transcript_ptr"]["up_to_seq"] == 2
    assert (await operate(store, conversation_id, "hello")).message is not None
    with pytest.raises(GatewayError) as other:
        await operate(store, conversation_id, "me too", operator="otto")
    assert other.value.code is ErrorCode.CLAIMED_BY_OTHER
    await operate(store, conversation_id, "admins may", operator="anna", admin=True)
    with pytest.raises(GatewayError) as first:
        await operate(store, conversation_id, "still mine?")
    assert first.value.code is ErrorCode.CLAIMED_BY_OTHER
    deliveries = await rows(store, "test_deliveries", id=conversation_id)
    assert [d["text"] for d in deliveries] == ["a person will come", "hello", "admins may"]
    await scene.consistent(store, conversation_id)


async def test_operators_speak_only_where_a_person_is_awaited(store: Store) -> None:
    accepted = await arrive(store)
    with pytest.raises(GatewayError) as early:
        await operate(store, accepted.conversation_id, "hello")
    assert early.value.code is ErrorCode.NOT_WAITING_FOR_HUMAN
    with pytest.raises(GatewayError) as nowhere:
        await operate(store, new_id(), "hello")
    assert nowhere.value.code is ErrorCode.NOT_FOUND


async def test_one_of_ten_take_overs_wins(store: Store) -> None:
    accepted = await arrive(store)
    done = await asyncio.gather(
        *(
            operate(store, accepted.conversation_id, "mine", operator=f"op{n}", take_over=True)
            for n in range(10)
        ),
        return_exceptions=True,
    )
    assert sum(not isinstance(d, BaseException) for d in done) == 1
    assert len(await rows(store, "test_handoffs", id=accepted.conversation_id)) == 1


async def test_closing_is_final_and_the_same_twice(store: Store) -> None:
    accepted = await arrive(store)
    await answer(store, await claimed(store, accepted.conversation_id))
    closed = [
        await store.write(close, ORGANIZATION, accepted.conversation_id, "done", PARTITIONS) for _ in range(2)
    ]
    assert closed[0] == closed[1]
    assert closed[0].status is Status.CLOSED
    assert len(await scene.posted(store, "conversation.closed")) == 1
    (delivery,) = await rows(store, "test_deliveries", id=accepted.conversation_id)
    assert delivery["state"] == "canceled"
    await scene.consistent(store, accepted.conversation_id)


async def test_closing_while_a_turn_runs_discards_it_and_answers_elsewhere(store: Store) -> None:
    accepted = await arrive(store, sms("one"))
    claim = await claimed(store, accepted.conversation_id)
    await arrive(store, sms("two"))
    await shut(store, accepted.conversation_id)
    with pytest.raises(Fenced):
        await answer(store, claim, "too late")
    (turn,) = await rows(store, "test_turns", id=accepted.conversation_id)
    assert (turn["state"], turn["session_status"]) == ("superseded", "closed")
    _, successor = await rows(store, "test_conversations")
    assert (await arrive(store, sms("three"))).conversation_id == successor["id"]
    again = await claimed(store, successor["id"])
    assert texts_of(again.request) == ["one", "two", "three"]
    await scene.consistent(store, accepted.conversation_id)
    await scene.consistent(store, successor["id"])


async def test_closing_an_api_conversation_leaves_its_waiters_nothing(store: Store) -> None:
    conversation_id = await scene.api_conversation(store)
    running, waiting = [await say(store, conversation_id, text) for text in ("one", "two")]
    await claimed(store, conversation_id)
    await shut(store, conversation_id)
    assert await store.read(progress, conversation_id, waiting.message_id) is Progress.GONE
    outcome = await store.read(progress, conversation_id, running.message_id)
    assert isinstance(outcome, TurnOutcome)
    assert (outcome.state, outcome.session_status) == (TurnState.SUPERSEDED, Status.CLOSED)
    assert len(await rows(store, "test_conversations")) == 1
    with pytest.raises(GatewayError) as late:
        await say(store, conversation_id, "three")
    assert late.value.code is ErrorCode.CONVERSATION_CLOSED


async def test_closing_cancels_handoff_and_approval(store: Store) -> None:
    claim, approval_id = await parked(store)
    await shut(store, claim.conversation.id)
    (approval,) = await rows(store, "test_approvals", id=claim.conversation.id)
    assert approval["status"] == "cancelled"
    with pytest.raises(GatewayError) as late:
        await decide(store, approval_id)
    assert late.value.code is ErrorCode.ALREADY_RESOLVED
    _, successor = await rows(store, "test_conversations")
    await operate(store, successor["id"], take_over=True)
    await shut(store, successor["id"])
    (handoff,) = await rows(store, "test_handoffs", id=successor["id"])
    assert handoff["status"] == "cancelled"


async def test_closing_and_committing_at_once(store: MovableStore) -> None:
    for n in range(10):
        accepted = await arrive(store, sms(sender=f"+141555503{n:02}"))
        claim = await claimed(store, accepted.conversation_id)
        committed, closed, _ = await asyncio.gather(
            answer(store, claim, "mine"),
            shut(store, accepted.conversation_id),
            arrive(store, sms("later", sender=f"+141555503{n:02}")),
            return_exceptions=True,
        )
        assert closed is None
        assert not isinstance(committed, BaseException) or isinstance(committed, Fenced)
        row = await conversation(store, accepted.conversation_id)
        assert (row["status"], row["answered"]) == ("closed", row["last_input"])
        await scene.consistent(store, accepted.conversation_id)
    assert store.retries == 0


async def test_silence_expires_what_nobody_waits_for(store: MovableStore) -> None:
    answered = await arrive(store, sms(sender="+14155550101"))
    await answer(store, await claimed(store, answered.conversation_id))
    owed = await arrive(store, sms(sender="+14155550102"))
    with_person = await arrive(store, sms("hello?", sender="+14155550103"))
    await operate(store, with_person.conversation_id, take_over=True)
    claim, _ = await parked(store)
    store.advance(HOUR - 1)
    assert await store.write(expire_idle, PARTITIONS) == 0
    store.advance(2)
    await scene.clear_outbox(store)
    assert await store.write(expire_idle, PARTITIONS) == 2
    assert await store.write(expire_idle, PARTITIONS) == 0
    row = await conversation(store, answered.conversation_id)
    assert (row["status"], row["closed_at"]) == ("expired", None)
    assert row["ended_at"] is not None
    assert row["retention_expires_at"] is not None
    assert (await conversation(store, owed.conversation_id))["status"] == "active"
    assert (await conversation(store, claim.conversation.id))["status"] == "awaiting_approval"
    assert (await conversation(store, with_person.conversation_id))["status"] == "expired"
    (handoff,) = await rows(store, "test_handoffs", id=with_person.conversation_id)
    assert handoff["status"] == "cancelled"
    facts = await scene.posted(store, "conversation.closed")
    assert {f["conversation_id"] for f in facts} == {answered.conversation_id, with_person.conversation_id}
    assert {f["data"]["reason"] for f in facts} == {"idle"}
    successor = await arrive(store, sms("again", sender="+14155550103"))
    assert texts_of((await claimed(store, successor.conversation_id)).request) == ["hello?", "again"]


async def test_old_rows_are_forgotten_a_few_at_a_time(store: MovableStore) -> None:
    async def keep_key(tx: Tx, key: str, lifetime: int) -> None:
        await tx.run("test_idempotency_insert", organization_id=ORGANIZATION, key=key, lifetime=lifetime)

    first = sms()
    await arrive(store, first)
    await scene.worker(store)
    for n in range(250):
        await store.write(keep_key, f"old {n}", 60_000_000)
    await store.write(keep_key, "new", 40 * 24 * HOUR * 1_000_000)
    assert await store.write(forget) == 0
    store.advance(29 * 24 * HOUR)
    kept = sms()
    await arrive(store, kept)
    assert await store.write(forget) == 200 + 1
    assert await store.write(forget) == 50
    assert [r["key"] for r in await rows(store, "test_idempotency_keys")] == ["new"]
    assert await rows(store, "test_workers") == []
    store.advance(25 * HOUR)
    assert await store.write(forget) == 1
    (receipt,) = await rows(store, "test_receipts")
    assert receipt["provider_message_id"] == kept.provider_message_id
