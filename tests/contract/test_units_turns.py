"""Claim and commit turns: one owner at a time, fixed input, fenced commits, nothing left behind."""

import asyncio
import json
from dataclasses import replace

import pytest

from gateway.domain.conversation import Status
from gateway.domain.delivery import Answered
from gateway.domain.errors import ErrorCode, Fenced
from gateway.domain.message import Channel, SenderAuth, ToolCall
from gateway.domain.turn import Claim, NotNow, Path, ReplyMessage, TurnOutcome
from gateway.service.claim import claim_turn, next_turn, release
from gateway.service.due import due_turns
from gateway.service.outcomes import progress
from gateway.service.respond import finish_turn
from gateway.service.turn_failure import fail_turn, postpone_turn
from gateway.store.records import delivery_of
from tests.contract import scene
from tests.contract.conftest import MovableStore
from tests.contract.scene import (
    ORGANIZATION,
    PARTITIONS,
    answer,
    arrive,
    claimed,
    conversation,
    refused,
    reply,
    rows,
    sms,
    texts_of,
)


async def test_one_worker_of_many_gets_the_turn(store: MovableStore) -> None:
    accepted = await arrive(store)
    workers = [await scene.worker(store) for _ in range(10)]
    claims = await asyncio.gather(*(store.write(claim_turn, accepted.conversation_id, w) for w in workers))
    assert sum(isinstance(claim, Claim) for claim in claims) == 1
    assert {claim for claim in claims if not isinstance(claim, Claim)} == {NotNow.LEASED}


async def test_a_claim_holds_what_the_agent_needs(store: MovableStore) -> None:
    accepted = await arrive(store, sms("one"))
    await arrive(store, sms("two"))
    claim = await claimed(store, accepted.conversation_id)
    assert texts_of(claim.request) == ["one", "two"]
    assert claim.request.input == [0, 1]
    assert (claim.attempt, claim.shown) == (1, False)
    assert claim.conversation.end_user_id == accepted.end_user_id
    assert [m.role for m in claim.request.messages] == ["user", "user"]
    assert not claim.request.truncated


async def test_history_is_the_newest_fifty(store: MovableStore) -> None:
    accepted = await arrive(store, sms("n 0"))
    for n in range(1, 60):
        await arrive(store, sms(f"n {n}"))
    claim = await claimed(store, accepted.conversation_id)
    assert claim.request.truncated
    assert [m.content for m in claim.request.messages] == [f"n {n}" for n in range(10, 60)]


async def test_a_dead_workers_turn_starts_over_under_a_higher_number(store: MovableStore) -> None:
    accepted = await arrive(store, sms("one"))
    first = await claimed(store, accepted.conversation_id)
    await arrive(store, sms("two"))
    store.advance(scene.LIFETIME - 1)
    assert await refused(store, accepted.conversation_id) is NotNow.LEASED
    store.advance(2)
    again = await claimed(store, accepted.conversation_id)
    assert again.turn_id == first.turn_id
    assert again.inputs == first.inputs
    assert texts_of(again.request) == ["one"]
    assert again.lease.fence > first.lease.fence
    assert again.attempt == 2
    with pytest.raises(Fenced):
        await answer(store, first)
    with pytest.raises(Fenced):
        await store.write(postpone_turn, first, 5)
    with pytest.raises(Fenced):
        await store.write(fail_turn, first, ErrorCode.AGENT_FAILED, "no", PARTITIONS)
    await store.write(release, first.lease)
    assert await refused(store, accepted.conversation_id) is NotNow.LEASED
    finished = await answer(store, again, "to one")
    assert finished.more
    later = await store.write(next_turn, again.lease)
    assert isinstance(later, Claim)
    assert texts_of(later.request) == ["two"]
    await answer(store, later, "to two")
    contents = [m["content"] for m in await rows(store, "test_messages", id=accepted.conversation_id)]
    assert contents == ["one", "two", "to one", "to two"]
    await scene.consistent(store, accepted.conversation_id)


async def test_a_worker_that_forgot_its_claim_takes_it_again(store: MovableStore) -> None:
    accepted = await arrive(store)
    first = await claimed(store, accepted.conversation_id)
    again = await claimed(store, accepted.conversation_id, first.lease.worker_id)
    assert again.turn_id == first.turn_id
    with pytest.raises(Fenced):
        await answer(store, first)


async def test_a_released_turn_is_anybodys(store: MovableStore) -> None:
    accepted = await arrive(store)
    first = await claimed(store, accepted.conversation_id)
    await store.write(release, first.lease)
    again = await claimed(store, accepted.conversation_id)
    assert (again.turn_id, again.attempt) == (first.turn_id, 2)


async def test_nothing_pending_is_answered(store: MovableStore) -> None:
    assert await refused(store, ORGANIZATION) is NotNow.ANSWERED
    accepted = await arrive(store)
    finished = await answer(store, await claimed(store, accepted.conversation_id))
    assert not finished.more
    assert await refused(store, accepted.conversation_id) is NotNow.ANSWERED


async def test_a_commit_stores_messages_deliveries_and_bells_together(store: MovableStore) -> None:
    accepted = await arrive(store, sms("one"))
    claim = await claimed(store, accepted.conversation_id)
    finished = await answer(store, claim, "first", "second", input_tokens=3, output_tokens=7)
    assert finished.session_status is Status.ACTIVE
    assert finished.message_seqs == (0, 1, 2)
    assert not finished.more
    messages = await rows(store, "test_messages", id=accepted.conversation_id)
    assert [(m["role"], m["content"], m["delivery_status"]) for m in messages] == [
        ("user", "one", None),
        ("assistant", "first", "pending"),
        ("assistant", "second", "pending"),
    ]
    assert [m["output_tokens"] for m in messages] == [None, None, 7]
    assert {m["turn_id"] for m in messages} == {claim.turn_id}
    deliveries = await rows(store, "test_deliveries", id=accepted.conversation_id)
    assert [(d["number"], d["text"], d["recipient"]) for d in deliveries] == [
        (1, "first", scene.THEIRS),
        (2, "second", scene.THEIRS),
    ]
    bells = await scene.posted(store, "message.outbound")
    assert {b["data"]["delivery_id"] for b in bells} == {d["id"] for d in deliveries}
    assert len(bells) == 2
    assert {b["data"]["lane"] for b in bells} == {deliveries[0]["lane"]}
    outcome = await store.read(progress, accepted.conversation_id, accepted.message_id)
    assert isinstance(outcome, TurnOutcome)
    assert (outcome.path, outcome.text, outcome.message_seqs) == (Path.SINGLE, "first\n\nsecond", (0, 1, 2))
    await scene.consistent(store, accepted.conversation_id)


async def test_a_refused_commit_leaves_nothing(store: MovableStore) -> None:
    accepted = await arrive(store)
    claim = await claimed(store, accepted.conversation_id)
    await store.write(release, claim.lease)
    await claimed(store, accepted.conversation_id)
    await scene.clear_outbox(store)
    with pytest.raises(Fenced):
        await answer(store, claim, "late")
    assert len(await rows(store, "test_messages", id=accepted.conversation_id)) == 1
    assert await rows(store, "test_deliveries", id=accepted.conversation_id) == []
    assert await scene.postings(store) == []
    assert len(await rows(store, "test_inputs", id=accepted.conversation_id)) == 1


async def test_each_message_of_a_reply_keeps_its_own_tool_calls(store: MovableStore) -> None:
    accepted = await arrive(store)
    claim = await claimed(store, accepted.conversation_id)
    calls = [ToolCall(id=f"call-{n}", name="find", arguments={"n": n}, output=n) for n in range(2)]
    spoken = (
        ReplyMessage(text="same", tool_calls=(calls[0],)),
        ReplyMessage(text="same", tool_calls=(calls[1],)),
    )
    await store.write(finish_turn, claim, scene.with_messages(reply(), spoken), PARTITIONS)
    messages = await rows(store, "test_messages", id=accepted.conversation_id)
    assert [[c["id"] for c in json.loads(m["tool_calls"] or "[]")] for m in messages] == [
        [],
        ["call-0"],
        ["call-1"],
    ]


async def test_a_message_without_text_is_stored_and_not_delivered(store: MovableStore) -> None:
    accepted = await arrive(store)
    claim = await claimed(store, accepted.conversation_id)
    call = ToolCall(id="call-1", name="find", arguments={})
    silent = (ReplyMessage(text="", tool_calls=(call,)),)
    await store.write(finish_turn, claim, scene.with_messages(reply(), silent), PARTITIONS)
    assert len(await rows(store, "test_messages", id=accepted.conversation_id)) == 2
    assert await rows(store, "test_deliveries", id=accepted.conversation_id) == []


async def test_a_postponed_turn_is_not_due_and_then_anybodys(store: MovableStore) -> None:
    accepted = await arrive(store)
    claim = await claimed(store, accepted.conversation_id)
    await store.write(postpone_turn, claim, 5)
    await arrive(store, sms("meanwhile"))
    assert await refused(store, accepted.conversation_id) is NotNow.NOT_DUE
    assert await store.write(due_turns, 0, PARTITIONS) == 0
    store.advance(5)
    await scene.clear_outbox(store)
    assert await store.write(due_turns, 0, PARTITIONS) == 1
    (bell,) = await scene.posted(store, "turn.due")
    assert bell["conversation_id"] == accepted.conversation_id
    again = await claimed(store, accepted.conversation_id)
    assert (again.turn_id, again.attempt, texts_of(again.request)) == (claim.turn_id, 2, ["hello"])
    assert (await answer(store, again)).more


async def test_bells_are_rung_again_when_they_are_old_and_nobody_works(store: MovableStore) -> None:
    accepted = await arrive(store)
    every = 15_000_000
    assert await store.write(due_turns, every, PARTITIONS) == 0
    store.advance(16)
    claim = await claimed(store, accepted.conversation_id)
    assert await store.write(due_turns, every, PARTITIONS) == 0
    store.advance(scene.LIFETIME + 1)
    assert await store.write(due_turns, every, PARTITIONS) == 1
    assert await store.write(due_turns, every, PARTITIONS) == 0
    await answer(store, await claimed(store, accepted.conversation_id))
    store.advance(16)
    assert await store.write(due_turns, every, PARTITIONS) == 0
    assert claim.attempt == 1


async def test_a_turn_given_up_is_a_dead_letter(store: MovableStore) -> None:
    accepted = await arrive(store)
    claim = await claimed(store, accepted.conversation_id)
    finished = await store.write(fail_turn, claim, ErrorCode.AGENT_FAILED, "given up", PARTITIONS)
    assert not finished.more
    (letter,) = await rows(store, "test_dead_letters")
    assert (letter["queue"], letter["reason"], letter["conversation_id"]) == (
        "turns",
        "given up",
        accepted.conversation_id,
    )
    assert accepted.message_id in letter["body"]
    assert await refused(store, accepted.conversation_id) is NotNow.ANSWERED


async def test_an_agent_that_ends_the_conversation(store: MovableStore) -> None:
    accepted = await arrive(store)
    finished = await answer(
        store, await claimed(store, accepted.conversation_id), "bye", path=Path.CLOSED_BY_AGENT
    )
    assert finished.session_status is Status.CLOSED
    row = await conversation(store, accepted.conversation_id)
    assert (row["status"], row["ended_at"], row["lease_owner"]) == ("closed", row["closed_at"], None)
    (delivery,) = await rows(store, "test_deliveries", id=accepted.conversation_id)
    assert delivery["state"] == "pending"
    (fact,) = await scene.posted(store, "conversation.closed")
    assert fact["conversation_id"] == accepted.conversation_id
    await scene.consistent(store, accepted.conversation_id)


async def test_a_mail_is_answered_below_it(store: MovableStore) -> None:
    first = scene.mail()
    accepted = await arrive(store, first)
    second = scene.mail("and this", answers=(first.provider_message_id,))
    await arrive(store, second)
    claim = await claimed(store, accepted.conversation_id)
    assert claim.conversation.channel is Channel.EMAIL
    assert claim.thread.in_reply_to == second.provider_message_id
    await answer(store, claim)
    (bell,) = await scene.posted(store, "message.outbound")
    assert bell["data"]["thread"]["in_reply_to"] == second.provider_message_id
    (delivery,) = await rows(store, "test_deliveries", id=accepted.conversation_id)
    assert json.loads(delivery["thread"])["references"] == [second.provider_message_id]


async def test_a_persons_mail_says_that_it_is_one(store: MovableStore) -> None:
    accepted = await arrive(store, scene.mail())
    await answer(store, await claimed(store, accepted.conversation_id))
    await scene.operate(store, accepted.conversation_id, "Let me.", take_over=True)
    deliveries = [
        delivery_of(row) for row in await rows(store, "test_deliveries", id=accepted.conversation_id)
    ]
    assert {d.text: d.thread.by_person for d in deliveries} == {"fine": False, "Let me.": True}


@pytest.mark.parametrize(("auth", "quoted"), [(SenderAuth.VERIFIED, True), (SenderAuth.UNVERIFIED, False)])
async def test_only_what_its_recipient_has_written_is_quoted(
    store: MovableStore, auth: SenderAuth, quoted: bool
) -> None:
    written = scene.mail("Where is it? " * 1000, auth=auth)
    written = replace(written, metadata={**written.metadata, "auth": auth.value})
    accepted = await arrive(store, written)
    await answer(store, await claimed(store, accepted.conversation_id))
    (row,) = await rows(store, "test_deliveries", id=accepted.conversation_id)
    thread = delivery_of(row).thread
    message = (await rows(store, "test_messages", id=accepted.conversation_id))[0]
    assert thread.answered == (Answered(written.text[:4000], message["created_at"]) if quoted else None)
    (told,) = await scene.posted(store, "message.outbound")
    assert set(told["data"]["thread"]) == {"subject", "in_reply_to", "references"}
