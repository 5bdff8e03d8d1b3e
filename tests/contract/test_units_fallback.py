"""When nobody answers: the agent failed for good, or no person came in time."""

import asyncio

import pytest

from gateway.domain.clock import SECOND
from gateway.domain.conversation import Conversation
from gateway.domain.errors import ErrorCode
from gateway.domain.fallback import Fallbacks, HandoffTimeoutAction
from gateway.domain.ports.store import Store
from gateway.domain.turn import Path
from gateway.domain.turn_rules import TurnRules
from gateway.service.expire import overdue_handoffs
from gateway.service.respond import finish_turn
from gateway.service.turn_failure import fail_turn
from tests.contract import scene
from tests.contract.conftest import MovableStore
from tests.contract.scene import (
    PARTITIONS,
    arrive,
    claimed,
    conversation,
    operate,
    reply,
    rows,
    say,
    sms,
    texts_of,
)

BACK = Fallbacks(
    failure_text="We will come back to you.",
    handoff_timeout=60 * SECOND,
    handoff_timeout_text="Nobody is free just now.",
)
SHUT = Fallbacks(handoff_timeout=60 * SECOND, handoff_timeout_action=HandoffTimeoutAction.CLOSE)


async def handed_over(store: Store, fallbacks: Fallbacks) -> str:
    accepted = await arrive(store)
    claim = await claimed(store, accepted.conversation_id)
    asked = reply("A person will come.", path=Path.HANDOFF)
    await store.write(finish_turn, claim, asked, PARTITIONS, TurnRules(fallbacks=fallbacks))
    return accepted.conversation_id


async def looked(store: Store, fallbacks: Fallbacks) -> int:
    def configured(_: Conversation) -> Fallbacks:
        return fallbacks

    return await store.write(overdue_handoffs, configured, PARTITIONS)


async def delivered(store: Store, conversation_id: str) -> list[str]:
    return [d["text"] for d in await rows(store, "test_deliveries", id=conversation_id)]


async def test_a_turn_that_was_given_up_is_told_once(store: MovableStore) -> None:
    accepted = await arrive(store)
    claim = await claimed(store, accepted.conversation_id)
    failed = ErrorCode.AGENT_FAILED
    outcomes = await asyncio.gather(
        *(store.write(fail_turn, claim, failed, "no", PARTITIONS, BACK) for _ in range(2)),
        return_exceptions=True,
    )
    assert sum(isinstance(o, BaseException) for o in outcomes) == 1
    assert await delivered(store, accepted.conversation_id) == ["We will come back to you."]
    messages = await rows(store, "test_messages", id=accepted.conversation_id)
    assert [(m["role"], m["authored_by"]) for m in messages] == [
        ("user", "end_user"),
        ("assistant", "system"),
    ]
    assert len(await rows(store, "test_dead_letters")) == 1
    await scene.consistent(store, accepted.conversation_id)


async def test_a_failed_api_turn_is_told_to_who_asked(store: MovableStore) -> None:
    conversation_id = await scene.api_conversation(store)
    await say(store, conversation_id)
    claim = await claimed(store, conversation_id)
    await store.write(fail_turn, claim, ErrorCode.AGENT_FAILED, "no", PARTITIONS, BACK)
    assert len(await rows(store, "test_messages", id=conversation_id)) == 1


async def test_a_handoff_that_nobody_takes_goes_back_to_the_agent(store: MovableStore) -> None:
    conversation_id = await handed_over(store, BACK)
    await arrive(store, sms("hello?"))
    store.advance(59)
    assert await looked(store, BACK) == 0
    store.advance(2)
    await scene.clear_outbox(store)
    assert sum(await asyncio.gather(*(looked(store, BACK) for _ in range(2)))) == 1
    assert (await conversation(store, conversation_id))["status"] == "active"
    (handoff,) = await rows(store, "test_handoffs", id=conversation_id)
    assert handoff["status"] == "cancelled"
    assert await delivered(store, conversation_id) == ["A person will come.", "Nobody is free just now."]
    assert len(await scene.posted(store, "turn.due")) == 1
    assert texts_of((await claimed(store, conversation_id)).request) == ["hello?"]
    await scene.consistent(store, conversation_id)


async def test_a_handoff_that_nobody_takes_may_close(store: MovableStore) -> None:
    conversation_id = await handed_over(store, SHUT)
    store.advance(61)
    assert await looked(store, SHUT) == 1
    assert await looked(store, SHUT) == 0
    row = await conversation(store, conversation_id)
    assert (row["status"], row["message_count"]) == ("closed", 3)
    (fact,) = await scene.posted(store, "conversation.closed")
    assert fact["data"]["reason"] == "nobody took the handoff in time"
    assert len(await rows(store, "test_closings")) == 1
    await scene.consistent(store, conversation_id)


@pytest.mark.parametrize("fallbacks", [BACK, Fallbacks()])
async def test_a_handoff_that_was_taken_or_may_wait_does_not_time_out(
    store: MovableStore, fallbacks: Fallbacks
) -> None:
    conversation_id = await handed_over(store, fallbacks)
    if fallbacks.handoff_timeout is not None:
        await operate(store, conversation_id, "I am here")
    store.advance(3000)
    assert await looked(store, fallbacks) == 0
    assert (await conversation(store, conversation_id))["status"] == "waiting_for_human"
