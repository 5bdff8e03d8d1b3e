"""Loops and floods of texts: what is beyond the bounds is stored and not answered."""

import json
from dataclasses import replace

from gateway.domain.message import Accepted
from gateway.domain.pace import Pace
from gateway.domain.ports.store import Store
from gateway.service.accept import accept
from tests.contract.conftest import MovableStore
from tests.contract.scene import ROUTE, answer, claimed, rows, sms, to

FEW = replace(ROUTE, pace=Pace(messages_per_hour=3, answers_per_hour=0))
CALM = replace(ROUTE, pace=Pace(messages_per_hour=0, answers_per_hour=2))


async def unanswered(store: Store, accepted: Accepted) -> str | None:
    """Why the agent is not asked about the newest message."""
    stored = (await rows(store, "test_messages", id=accepted.conversation_id))[-1]
    metadata = json.loads(stored["metadata"] or "{}")
    assert accepted.turn_expected == ("unanswered" not in metadata)
    reason: str | None = metadata.get("unanswered")
    return reason


async def test_a_sender_is_answered_so_often_an_hour_over_all_our_numbers(store: MovableStore) -> None:
    for number in ("+15550100", "+15550101", "+15550102"):
        accepted = await store.write(accept, to(sms(f"to {number}"), number), FEW)
        assert await unanswered(store, accepted) is None
    beyond = await store.write(accept, to(sms("one more"), "+15550103"), FEW)
    assert await unanswered(store, beyond) == "flood"
    other = await store.write(accept, sms("hello", sender="+14155550199"), FEW)
    assert await unanswered(store, other) is None
    store.advance(3601)
    later = await store.write(accept, sms("hello again"), FEW)
    assert await unanswered(store, later) is None


async def test_an_agent_answers_so_often_an_hour_in_one_conversation(store: MovableStore) -> None:
    for text in ("one", "two"):
        accepted = await store.write(accept, sms(text), CALM)
        assert await unanswered(store, accepted) is None
        await answer(store, await claimed(store, accepted.conversation_id))
    beyond = await store.write(accept, sms("three"), CALM)
    assert await unanswered(store, beyond) == "loop"
    elsewhere = await store.write(accept, to(sms("four"), "+15550101"), CALM)
    assert await unanswered(store, elsewhere) is None
    store.advance(3601)
    assert await unanswered(store, await store.write(accept, sms("five"), CALM)) is None


async def test_the_same_words_over_and_over_are_a_machines(store: MovableStore) -> None:
    reasons = []
    for _ in range(7):
        reasons.append(await unanswered(store, await store.write(accept, sms("I am away."), ROUTE)))
    assert reasons == [None] * 5 + ["loop"] * 2
    assert await unanswered(store, await store.write(accept, sms("A person again"), ROUTE)) is None
    store.advance(601)
    assert await unanswered(store, await store.write(accept, sms("I am away."), ROUTE)) is None


async def test_a_stop_is_heard_whatever_the_pace(store: MovableStore) -> None:
    for _ in range(4):
        await store.write(accept, sms("hello"), FEW)
    accepted = await store.write(accept, sms("STOP"), FEW)
    assert await unanswered(store, accepted) == "keyword"
