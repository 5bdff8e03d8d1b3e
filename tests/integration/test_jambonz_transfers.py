"""Transfers over jambonz: somebody is dialled, or the caller's side is told whom to call."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from gateway.app import App
from tests.integration.jambonz_house import V2, Line, caller
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", params=["streamed", "sentences"])
async def line(jambonz_gateway: App, request: pytest.FixtureRequest) -> AsyncIterator[Line]:
    """A caller who has been greeted."""
    async with caller(jambonz_gateway, streams=request.param == "streamed") as opened:
        yield opened


@pytest.mark.parametrize(("answers", "then"), [(True, "closed"), (False, "active")])
async def test_a_cold_transfer(line: Line, answers: bool, then: str) -> None:
    await line.call.say("billing")
    await until(lambda: line.call.callee is not None)
    callee = line.call.callee
    assert callee is not None
    assert callee.destination == "+15550111"
    assert [text.strip() for text in line.call.said[-2:]] == ["Connecting.", "Please hold the line."]
    assert line.call.listener is None  # what the caller says now would end the dial
    await line.becomes("waiting_for_human")
    if answers:
        await callee.answer()
        await line.becomes("transferred")
        callee.hang_up()
        await until(lambda: line.call.ended)
        await line.becomes(then)
        await line.notes("Call transferred.")
        return
    callee.refuse("busy", 486)
    await line.hears("I'm sorry, I wasn't able to connect you right now. I can keep helping you here.")
    await line.becomes(then)
    await line.notes("Call transfer failed: busy.")
    await until(lambda: line.call.listener is not None)
    await line.call.say("hello again")
    await line.hears("You said hello again.")


@pytest.mark.parametrize("line", ["streamed"], indirect=True)
async def test_a_connection_that_breaks_before_somebody_is_called_loses_no_transfer(line: Line) -> None:
    # streamed words are waited for before anybody is called: the connection breaks in that time
    await line.call.say("billing")
    await line.keeps()
    await line.breaks()
    callee = await line.dials()
    await line.breaks()
    await callee.answer()
    callee.hang_up()
    await until(lambda: line.call.ended)
    await line.becomes("closed")
    await line.notes("Call transferred.")
    assert len(line.call.callees) == 1


async def test_closing_the_conversation_ends_a_transfer(line: Line) -> None:
    await line.call.say("billing")
    callee = await line.dials()
    await line.becomes("waiting_for_human")
    await line.api("POST", f"{V2}/{(await line.conversation())['id']}/close", {})
    await until(lambda: line.call.ended and callee.over)
    await line.becomes("closed")


async def test_a_sip_uri_is_reached_by_refer(line: Line) -> None:
    await line.call.say("the desk")
    await until(lambda: line.call.refer is not None)
    assert line.call.refer is not None
    assert line.call.refer["referTo"] == "sip:desk@example.org"
    assert line.call.refer["headers"] == {"X-Transfer-Reason": "asked for the desk"}
    await line.call.refer_ended(202, 200)
    await until(lambda: line.call.ended)
    await line.becomes("closed")
    await line.notes("Call transferred.")


async def test_a_refer_whose_target_does_not_answer_gives_the_caller_back(line: Line) -> None:
    await line.call.say("the desk")
    await until(lambda: line.call.refer is not None)
    await line.call.refer_ended(202, 486)
    await line.hears("I'm sorry, I wasn't able to connect you right now. I can keep helping you here.")
    await line.becomes("active")
    await line.notes("Call transfer failed: refer_target_failed.")
    await until(lambda: line.call.listener is not None)
    await line.call.say("hello again")
    await line.hears("You said hello again.")


@pytest.mark.parametrize("lost", [True, False])
async def test_a_refer_that_is_refused_becomes_a_dial(line: Line, lost: bool) -> None:
    await line.call.say("the desk")
    await until(lambda: line.call.refer is not None)
    await (line.call.refer_lost() if lost else line.call.refer_ended(603))
    await until(lambda: line.call.callee is not None)
    assert line.call.callee is not None
    assert line.call.callee.destination == "sip:desk@example.org"
    await line.call.callee.answer()
    await line.becomes("transferred")
    said = "This call cannot do what was asked for: method is bridge."
    await line.notes(said)


async def test_a_caller_who_leaves_after_a_refer_has_followed_it(line: Line) -> None:
    await line.call.say("the desk")
    await until(lambda: line.call.refer is not None)
    await line.call.hang_up()
    await line.becomes("closed")
    await line.notes("Call transferred.")


async def test_a_caller_who_hangs_up_during_a_transfer(line: Line) -> None:
    await line.call.say("billing")
    await until(lambda: line.call.callee is not None)
    await line.call.hang_up()
    await line.becomes("closed")
    await line.notes("Call transfer failed: caller_abandoned.")
