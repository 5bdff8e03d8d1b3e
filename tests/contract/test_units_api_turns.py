"""Turns asked for by API: alone, in the order of asking, over when they fail, and withdrawn whole."""

import pytest

from gateway.domain.errors import ErrorCode, GatewayError
from gateway.domain.turn import Claim, InputKind, NotNow, TurnOutcome
from gateway.service.claim import next_turn
from gateway.service.outcomes import Progress, progress
from gateway.service.submit import withdraw
from gateway.service.turn_failure import fail_turn
from tests.contract import scene
from tests.contract.conftest import MovableStore
from tests.contract.scene import (
    PARTITIONS,
    answer,
    arrive,
    claimed,
    conversation,
    rows,
    say,
    sms,
    texts_of,
)


async def test_an_api_input_is_a_turn_alone_and_stands_next_to_its_answer(store: MovableStore) -> None:
    conversation_id = await scene.api_conversation(store)
    said = [await say(store, conversation_id, text) for text in ("one", "two")]
    assert (await conversation(store, conversation_id))["message_count"] == 0
    first = await claimed(store, conversation_id)
    assert (texts_of(first.request), first.turn_id) == (["one"], said[0].turn_id)
    assert first.tells_caller
    assert [i.message_id for i in first.listeners] == [said[0].message_id]
    assert (await answer(store, first, "to one")).more
    second = await store.write(next_turn, first.lease)
    assert isinstance(second, Claim)
    assert texts_of(second.request) == ["two"]
    assert not (await answer(store, second, "to two")).more
    messages = await rows(store, "test_messages", id=conversation_id)
    assert [m["content"] for m in messages] == ["one", "to one", "two", "to two"]
    assert [m["turn_id"] for m in messages] == [said[0].turn_id] * 2 + [said[1].turn_id] * 2
    await scene.consistent(store, conversation_id)


async def test_an_api_input_waits_behind_what_came_first(store: MovableStore) -> None:
    accepted = await arrive(store, sms("one"))
    said = await say(store, accepted.conversation_id, "by api")
    await arrive(store, sms("two"))
    first = await claimed(store, accepted.conversation_id)
    assert texts_of(first.request) == ["one", "two"]
    await answer(store, first)
    second = await claimed(store, accepted.conversation_id, first.lease.worker_id)
    assert texts_of(second.request) == ["by api"]
    assert second.turn_id == said.turn_id
    await answer(store, second)
    await scene.consistent(store, accepted.conversation_id)


async def test_an_api_turn_whose_worker_died_keeps_its_seq(store: MovableStore) -> None:
    conversation_id = await scene.api_conversation(store)
    await say(store, conversation_id, "one")
    first = await claimed(store, conversation_id)
    store.advance(scene.LIFETIME + 1)
    again = await claimed(store, conversation_id)
    assert (again.turn_id, again.request.input) == (first.turn_id, first.request.input)
    assert again.inputs[0].kind is InputKind.API
    await answer(store, again, "to one")
    await scene.consistent(store, conversation_id)


async def test_for_update_is_refused_while_a_turn_runs_or_waits(store: MovableStore) -> None:
    conversation_id = await scene.api_conversation(store)
    await say(store, conversation_id, "one", for_update=True)
    with pytest.raises(GatewayError, match="turn runs") as refusal:
        await say(store, conversation_id, "two", for_update=True)
    assert refusal.value.code is ErrorCode.TURN_IN_PROGRESS
    await answer(store, await claimed(store, conversation_id))
    await say(store, conversation_id, "two", for_update=True)


async def test_a_failed_api_turn_is_over_and_the_next_may_run(store: MovableStore) -> None:
    conversation_id = await scene.api_conversation(store)
    said = await say(store, conversation_id, "one")
    await say(store, conversation_id, "two")
    claim = await claimed(store, conversation_id)
    finished = await store.write(fail_turn, claim, ErrorCode.TURN_TIMEOUT, "too slow", PARTITIONS)
    assert finished.more
    outcome = await store.read(progress, conversation_id, said.message_id)
    assert isinstance(outcome, TurnOutcome)
    assert (outcome.state.value, outcome.error) == ("failed", ErrorCode.TURN_TIMEOUT)
    assert await rows(store, "test_dead_letters") == []
    later = await store.write(next_turn, claim.lease)
    assert isinstance(later, Claim)
    assert texts_of(later.request) == ["two"]
    assert [m["content"] for m in await rows(store, "test_messages", id=conversation_id)] == ["one", "two"]
    await scene.consistent(store, conversation_id)


async def test_a_withdrawn_input_is_gone_and_the_others_keep_their_order(store: MovableStore) -> None:
    conversation_id = await scene.api_conversation(store)
    one, two, three = [await say(store, conversation_id, text) for text in ("one", "two", "three")]
    assert await store.write(withdraw, one.message_id)
    assert await store.write(withdraw, two.message_id)
    assert not await store.write(withdraw, two.message_id)
    assert await store.read(progress, conversation_id, two.message_id) is Progress.GONE
    await say(store, conversation_id, "four")
    await scene.consistent(store, conversation_id)
    claim = await claimed(store, conversation_id)
    assert texts_of(claim.request) == ["three"]
    assert not await store.write(withdraw, three.message_id)
    assert (await answer(store, claim)).more
    later = await store.write(next_turn, claim.lease)
    assert isinstance(later, Claim)
    assert texts_of(later.request) == ["four"]
    assert not (await answer(store, later)).more


async def test_a_withdrawal_between_two_turns_frees_the_lease(store: MovableStore) -> None:
    conversation_id = await scene.api_conversation(store)
    await say(store, conversation_id, "one")
    two = await say(store, conversation_id, "two")
    claim = await claimed(store, conversation_id)
    assert (await answer(store, claim)).more
    assert await store.write(withdraw, two.message_id)
    assert await store.write(next_turn, claim.lease) is NotNow.ANSWERED
    await say(store, conversation_id, "three")
    assert texts_of((await claimed(store, conversation_id)).request) == ["three"]
