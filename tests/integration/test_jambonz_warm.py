"""Warm transfers over jambonz: persons are called, briefed and asked, and only who accepts is joined."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from gateway.app import App
from gateway.domain.warm.words import CONFIRM_PROMPT
from tests.integration.jambonz_house import MUSIC, V2, WARM, Line, caller
from tests.integration.warm_agents import ANN, BOB, BRIEFING, DESK
from tests.integration.warm_agents import WARM as SETTINGS
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", params=["streamed", "sentences"])
async def line(jambonz_gateway: App, request: pytest.FixtureRequest) -> AsyncIterator[Line]:
    """A caller who has been greeted."""
    async with caller(jambonz_gateway, WARM, streams=request.param == "streamed") as opened:
        yield opened


async def test_who_accepts_is_joined_with_the_caller(line: Line) -> None:
    await line.call.say("person")
    ann = await line.dials()
    assert ann.destination == ANN
    assert line.call.said[-1] == f"I'll get somebody. {SETTINGS.hold_announcement_text}"
    assert line.call.listener is None
    await ann.answer()
    await until(lambda: ann.said == [BRIEFING])
    assert await line.status() == "waiting_for_human"
    ann.wait()
    await until(lambda: ann.said == [BRIEFING, CONFIRM_PROMPT])
    assert not ann.bridged
    ann.press("1")
    await until(lambda: ann.bridged)
    await line.becomes("transferred")
    ann.hang_up()
    await until(lambda: line.call.ended)
    await line.becomes("closed")
    events = await line.events()
    assert events.count("Call transferred.") == 1
    assert "This call cannot do what was asked for: reassurance_text is hold music." in events
    [dial] = [verb for verb in line.call.verbs if verb["verb"] == "dial"]
    assert dial["dialMusic"] == MUSIC


async def test_a_briefing_may_be_cut_short(line: Line) -> None:
    await line.call.say("person")
    ann = await line.dials()
    await ann.answer()
    await until(lambda: ann.asking is not None)
    ann.press("1")
    await until(lambda: ann.bridged)
    await line.becomes("transferred")
    assert ann.said == [BRIEFING]


async def test_the_first_does_not_answer_the_second_declines_and_the_agent_has_the_caller_back(
    line: Line,
) -> None:
    await line.call.say("person")
    (await line.dials()).refuse("no-answer", 487)
    bob = await line.dials(2)
    assert bob.destination == BOB
    assert SETTINGS.retry_announcement_text in line.call.said
    await bob.answer()
    await until(lambda: bob.said == [BRIEFING])
    bob.wait()
    await until(lambda: len(bob.said) == 2)
    bob.press("2")
    await line.hears(SETTINGS.failure_text)
    await line.becomes("active")
    assert not bob.bridged
    await line.notes("Call transfer failed: declined.")
    await until(lambda: line.call.listener is not None)
    await line.call.say("hello again")
    await line.hears("You said hello again.")


async def test_a_key_that_was_not_asked_for_accepts_nothing(line: Line) -> None:
    await line.call.say("person")
    ann = await line.dials()
    await ann.answer()
    await until(lambda: ann.asking is not None)
    ann.press("7")
    await until(lambda: len(ann.said) == 2)
    ann.press("7")
    assert (await line.dials(2)).destination == BOB
    assert not ann.bridged


async def test_who_never_answers_the_question_is_not_joined(line: Line) -> None:
    await line.call.say("person")
    ann = await line.dials()
    await ann.answer()
    await until(lambda: ann.asking is not None)
    ann.wait()
    await until(lambda: len(ann.said) == 2)
    ann.wait()
    await line.dials(2)
    assert not ann.bridged


async def test_a_machine_is_hung_up_on(line: Line) -> None:
    await line.call.say("person return_to_agent screened")
    ann = await line.dials()
    await ann.answer()
    await ann.screened("amd_machine_detected")
    bob = await line.dials(2)
    await bob.answer()
    await bob.screened("amd_human_detected")
    await until(lambda: bob.asking is not None)
    bob.press("1")
    await line.becomes("transferred")
    await bob.screened("amd_machine_detected")
    assert await line.status() == "transferred"
    assert not ann.bridged


async def test_a_caller_who_hangs_up_abandons_the_transfer(line: Line) -> None:
    await line.call.say("person")
    ann = await line.dials()
    await ann.answer()
    await until(lambda: ann.asking is not None)
    await line.call.hang_up()
    await line.becomes("closed")
    await line.notes("Call transfer failed: caller_abandoned.")
    assert not ann.bridged


async def test_where_nobody_accepts_the_call_may_be_passed_on_without_asking(line: Line) -> None:
    await line.call.say("person cold_transfer")
    (await line.dials()).refuse()
    (await line.dials(2)).refuse()
    desk = await line.dials(3)
    assert desk.destination == DESK
    await desk.answer()
    await until(lambda: desk.bridged)
    await line.becomes("transferred")


async def test_who_takes_a_call_up_knows_that_it_was_passed_on_at_last(line: Line) -> None:
    await line.call.say("person cold_transfer")
    (await line.dials()).refuse()
    (await line.dials(2)).refuse()
    desk = await line.dials(3)
    await line.breaks()
    await desk.answer()
    desk.hang_up()
    await until(lambda: line.call.ended)
    await line.becomes("closed")
    await line.notes("Call transferred.")
    assert len(line.call.callees) == 3


@pytest.mark.parametrize("during", ["ringing", "briefing"])
async def test_closing_the_conversation_lets_caller_and_person_go(line: Line, during: str) -> None:
    await line.call.say("person")
    ann = await line.dials()
    await line.becomes("waiting_for_human")
    if during == "briefing":
        await ann.answer()
        await until(lambda: ann.asking is not None)
    await line.api("POST", f"{V2}/{(await line.conversation())['id']}/close", {})
    await until(lambda: line.call.ended and ann.over)
    await line.becomes("closed")
    assert not ann.bridged
    assert len(line.call.callees) == 1


async def test_where_nobody_accepts_the_call_may_end(line: Line) -> None:
    await line.call.say("person hangup")
    (await line.dials()).refuse()
    (await line.dials(2)).refuse()
    await line.hears(SETTINGS.failure_text)
    await until(lambda: line.call.ended)


@pytest.mark.parametrize("during", ["ringing", "briefing"])
async def test_a_connection_that_breaks_loses_no_transfer(line: Line, during: str) -> None:
    await line.call.say("person")
    ann = await line.dials()
    if during == "briefing":
        await ann.answer()
        await until(lambda: ann.asking is not None)
    await line.breaks()
    if during == "ringing":
        await ann.answer()
    await until(lambda: ann.said == [BRIEFING] and ann.asking is not None)
    ann.wait()
    await until(lambda: ann.said == [BRIEFING, CONFIRM_PROMPT] and ann.asking is not None)
    await line.breaks()
    ann.press("1")
    await until(lambda: ann.bridged)
    await line.becomes("transferred")
    await line.breaks()
    ann.hang_up()
    await until(lambda: line.call.ended)
    await line.becomes("closed")
    assert (await line.events()).count("Call transferred.") == 1
    assert len(line.call.callees) == 1


async def test_who_takes_a_call_up_calls_the_next_person_and_gives_the_caller_back(line: Line) -> None:
    await line.call.say("person")
    ann = await line.dials()
    await line.breaks()
    ann.refuse("no-answer", 487)
    bob = await line.dials(2)
    await line.breaks()
    bob.refuse()
    await line.hears(SETTINGS.failure_text)
    await line.becomes("active")
    await line.notes("Call transfer failed: busy.")
    assert len([text for text in await line.events() if text.startswith("Call transfer")]) == 1
    await until(lambda: line.call.listener is not None)
    await line.breaks()
    await until(lambda: line.call.listener is not None)
    await line.call.say("hello again")
    await line.hears("You said hello again.")
    assert len(line.call.callees) == 2
