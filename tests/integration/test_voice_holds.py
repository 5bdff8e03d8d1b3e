"""Who is on hold, or listened to, while a person has the conversation: in TwiML mode, over real HTTP."""

from collections.abc import AsyncIterator

import pytest

from channels.voice.routes import MAX_HOLDS, REASSURE_EVERY
from gateway.domain.call_rules import CallTexts
from gateway.domain.conversation import Status
from gateway.domain.turn import Path
from tests.integration.voice_line import Line, open_line
from tests.turns import outcome, spoken

TEXTS = CallTexts()


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    """A line into the gateway."""
    async with open_line() as opened:
        yield opened


async def test_on_hold_the_answer_comes_when_there_is_one(line: Line) -> None:
    queued = outcome(path=Path.QUEUED, status=Status.WAITING_FOR_HUMAN)
    line.core.answers["Hello?"] = queued
    call = await line.call()
    await call.say("Hello?")
    assert call.said[-1] == TEXTS.hold
    told = len(call.said)
    for _ in range(2 * REASSURE_EVERY):
        await call.silence()
    assert call.said[told:] == [TEXTS.reassurance] * 2
    line.core.answers["Hello?"] = outcome("Here I am.", seqs=(1, 2))
    await call.silence()
    assert call.said[-1] == "Here I am."
    await call.say("Good")
    assert line.core.messages[f"{call.sid}:2"].text == "Good"


async def test_after_a_handoff_the_caller_is_heard_again(line: Line) -> None:
    line.core.answers["human"] = outcome("OK.", path=Path.HANDOFF, status=Status.WAITING_FOR_HUMAN)
    call = await line.call()
    await call.say("human")
    assert call.said[-2:] == ["OK.", TEXTS.hold]
    line.core.status = Status.WAITING_FOR_HUMAN
    await call.silence()
    line.core.status = Status.ACTIVE  # what is stored of the turn stays as it was
    await call.silence()
    assert call.said[-2:] == [TEXTS.hold, TEXTS.reminder]


@pytest.mark.parametrize("silent", [True, False])
async def test_who_is_listened_to_when_a_person_steps_in_hears_them(line: Line, silent: bool) -> None:
    """And nothing that was said before, whoever said it."""
    line.core.answers["Sure?"] = outcome(path=Path.QUEUED, status=Status.WAITING_FOR_HUMAN, seqs=(4,))
    call = await line.call()
    await call.say("one")
    told = len(call.said)
    line.core.status = Status.WAITING_FOR_HUMAN
    line.core.said = (spoken(0, "Before."), spoken(3, "This is Jamie."))
    if silent:
        await call.silence()
        assert call.said[told:] == ["This is Jamie."]
    else:
        await call.say("Sure?")
        await call.silence()
        assert call.said[told:] == [TEXTS.hold, "This is Jamie."]
    await call.silence()
    line.core.answers["Sure?"] = outcome("Sure.", seqs=(4, 6))
    line.core.said += (spoken(5, "Goodbye from me."),)
    line.core.status = Status.ACTIVE
    await call.silence()
    assert call.said[-2:] == ["Goodbye from me.", TEXTS.reminder if silent else "Sure."]
    told = len(call.said)
    await call.silence()
    assert call.said[told:] == [TEXTS.reminder]


async def test_a_person_who_steps_in_and_leaves_between_two_words_is_heard(line: Line) -> None:
    call = await line.call()
    await call.say("one")
    line.core.said = (spoken(3, "This is Jamie. Bye."),)
    await call.silence()
    assert call.said[-1] == "This is Jamie. Bye."
    await call.silence()
    assert call.said[-1] == TEXTS.reminder


async def test_who_is_listened_to_when_the_conversation_is_closed_hears_goodbye(line: Line) -> None:
    call = await line.call()
    await call.say("one")
    line.core.status = Status.CLOSED
    await call.silence()
    assert call.said[-1] == TEXTS.goodbye
    assert call.ended


async def test_on_hold_a_persons_last_words_come_before_the_agents(line: Line) -> None:
    line.core.answers["human"] = outcome("OK.", path=Path.HANDOFF, status=Status.WAITING_FOR_HUMAN)
    call = await line.call()
    await call.say("human")
    line.core.said = (spoken(2, "I hand you back."),)
    line.core.answers["Hello?"] = outcome("Hello.", seqs=(3, 4))
    await call.say("Hello?")
    assert call.said[-2:] == ["I hand you back.", "Hello."]


async def test_on_hold_what_a_person_writes_is_said_once(line: Line) -> None:
    """Between what the caller says as well, who is not told again to hold; the agent's turns are not news."""
    waiting = outcome("OK.", path=Path.HANDOFF, status=Status.WAITING_FOR_HUMAN)
    queued = outcome(path=Path.QUEUED, status=Status.WAITING_FOR_HUMAN, seqs=(4,))
    line.core.answers = {"human": waiting, "Who?": queued}
    line.core.status = Status.WAITING_FOR_HUMAN
    call = await line.call()
    await call.say("human")
    told = len(call.said)
    line.core.said = (spoken(1, "OK.", turn_id="t"), spoken(2, "This is Jamie."))
    await call.silence()
    await call.silence()
    line.core.said += (spoken(3, "I look into it."),)
    await call.say("Who?")
    line.core.said += (spoken(5, "Jamie, of the team."),)
    await call.silence()
    assert call.said[told:] == ["This is Jamie.", "I look into it.", "Jamie, of the team."]
    line.core.said += (spoken(6, "Goodbye from me."),)
    line.core.answers["Who?"] = outcome("I am the agent.", seqs=(4, 7))
    await call.silence()
    assert call.said[-2:] == ["Goodbye from me.", "I am the agent."]


async def test_who_is_on_hold_when_the_conversation_is_closed_hears_goodbye(line: Line) -> None:
    line.core.answers["human"] = outcome("OK.", path=Path.HANDOFF, status=Status.WAITING_FOR_HUMAN)
    call = await line.call()
    await call.say("human")
    line.core.status = Status.CLOSED
    await call.silence()
    assert call.said[-1] == TEXTS.goodbye
    assert call.ended


async def test_nobody_holds_for_ever(line: Line) -> None:
    line.core.answers["Hello?"] = outcome(path=Path.QUEUED, status=Status.WAITING_FOR_HUMAN)
    call = await line.call()
    await call.say("Hello?")
    for _ in range(MAX_HOLDS):
        await call.silence()
    assert call.ended
    assert call.said[-1] == TEXTS.goodbye
