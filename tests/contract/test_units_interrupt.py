"""A caller speaks over a reply: its turn ends, what was heard is kept, and the next input is answered."""

import pytest

from gateway.domain.errors import Fenced
from gateway.domain.message import Role
from gateway.domain.ports.dialogue import CallNews
from gateway.domain.turn import NotNow, Path, TurnOutcome
from gateway.service import interrupt as unit
from gateway.service.interrupt import Reach, interrupt, news
from gateway.service.outcomes import progress
from tests.contract import scene
from tests.contract.conftest import MovableStore
from tests.contract.scene import ORGANIZATION, PARTITIONS, claimed, rows


async def over(store: MovableStore, provider_id: str, sent: str, heard: str) -> TurnOutcome | None:
    """The reply to a message was spoken over."""
    return await store.write(interrupt, ORGANIZATION, ("twilio", provider_id), Reach(sent, heard), PARTITIONS)


async def test_a_turn_that_runs_is_over_and_what_was_shown_is_its_reply(store: MovableStore) -> None:
    asked = scene.call("when do you open?", "CA1")
    accepted = await scene.arrive(store, asked)
    claim = await claimed(store, accepted.conversation_id)
    assert await over(store, asked.provider_message_id, "We open at nine. On", "We open") is None
    with pytest.raises(Fenced):
        await scene.answer(store, claim, "We open at nine. On Sundays at ten.")
    [question, reply] = await rows(store, "test_messages", id=accepted.conversation_id)
    assert (reply["role"], reply["content"], reply["turn_id"]) == (
        "assistant",
        "We open at nine. On",
        question["turn_id"],
    )
    assert await scene.refused(store, accepted.conversation_id) is NotNow.ANSWERED
    await scene.arrive(store, scene.call("and on Sundays?", "CA1"))
    again = await claimed(store, accepted.conversation_id)
    assert [m.content for m in again.request.messages] == ["when do you open?", "We open", "and on Sundays?"]
    assert again.request.input == [2]


async def test_what_waits_already_is_rung_for(store: MovableStore) -> None:
    asked = scene.call("one", "CA2")
    accepted = await scene.arrive(store, asked)
    await claimed(store, accepted.conversation_id)
    await scene.arrive(store, scene.call("two", "CA2"))
    before = len(await scene.posted(store, "turn.due"))
    await over(store, asked.provider_message_id, "", "")
    assert len(await scene.posted(store, "turn.due")) == before + 1
    again = await claimed(store, accepted.conversation_id)
    assert [m.content for m in again.request.messages] == ["one", "two", ""]


async def test_of_a_reply_that_is_stored_what_was_not_heard_is_marked(store: MovableStore) -> None:
    asked = scene.call("tell me all", "CA3")
    accepted = await scene.arrive(store, asked)
    await scene.answer(
        store, await claimed(store, accepted.conversation_id), "First.", "Second part.", "Third."
    )
    sent = "First.\n\nSecond part.\n\nThird."
    outcome = await over(store, asked.provider_message_id, sent, "First.\n\nSecond")
    assert outcome is not None
    assert outcome.path is Path.SINGLE
    said = await store.read(news, ORGANIZATION, accepted.conversation_id, -1)
    assert [message.content for message in said.said] == ["First.", "Second part.", "Third."]
    assert [message.heard for message in said.said] == ["First.", "Second", ""]
    assert "interrupted" not in said.said[0].metadata
    # a later and better report replaces an estimate
    await over(store, asked.provider_message_id, sent, "First.\n\nSecond part.\n\nTh")
    said = await store.read(news, ORGANIZATION, accepted.conversation_id, -1)
    assert said.said[2].heard == "Th"


async def test_whoever_waits_for_an_interrupted_turn_learns_of_it(store: MovableStore) -> None:
    asked = scene.call("hello", "CA4")
    accepted = await scene.arrive(store, asked)
    await claimed(store, accepted.conversation_id)
    await over(store, asked.provider_message_id, "Hi", "Hi")
    found = await store.read(progress, accepted.conversation_id, accepted.message_id)
    assert isinstance(found, TurnOutcome)
    assert found.state == "superseded"


async def test_what_nobody_knows_is_not_interrupted(store: MovableStore) -> None:
    assert await over(store, "CA-none:1", "x", "x") is None


async def test_news_are_what_was_said_to_the_caller(
    store: MovableStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of which one look sees only so much; what callers say and what happens does not count."""
    monkeypatch.setattr(unit, "MAX_SAID", 1)
    started = scene.call("Call started.", "CA5", role=Role.SYSTEM_EVENT)
    accepted = await scene.arrive(store, started)
    asked = await scene.arrive(store, scene.call("hello", "CA5"))
    assert (await store.read(news, ORGANIZATION, accepted.conversation_id, -1)).waits
    await scene.answer(store, await claimed(store, accepted.conversation_id), "Hi.", path=Path.HANDOFF)
    told = await store.read(news, ORGANIZATION, accepted.conversation_id, -1)
    assert isinstance(told, CallNews)
    assert (told.status, [m.content for m in told.said]) == ("waiting_for_human", ["Hi."])
    assert not told.waits
    later = await store.read(news, ORGANIZATION, asked.conversation_id, told.said[-1].seq)
    assert later.said == ()
