"""A connection of jambonz breaks while a turn runs that ends in a transfer: the next one passes it on."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from gateway.app import App
from tests.integration import relay_agents
from tests.integration.jambonz_house import Line, caller, gateway
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def jambonz(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[App]:
    """A gateway for all tests here."""
    async with gateway(tmp_path_factory.mktemp("house")) as app:
        yield app


@pytest_asyncio.fixture(loop_scope="module", params=["streamed", "sentences"])
async def line(jambonz: App, request: pytest.FixtureRequest) -> AsyncIterator[Line]:
    """A caller whose turn is being made."""
    async with caller(jambonz, streams=request.param == "streamed") as opened:
        relay_agents.thinks.clear()
        await opened.call.say("think about billing")
        await until(relay_agents.thinks.is_set)
        yield opened


async def test_over_jambonz_somebody_is_called_all_the_same(line: Line) -> None:
    await line.breaks()
    relay_agents.thought.set()
    callee = await line.dials()
    assert callee.destination == "+15550111"
    assert "Please hold the line." in " ".join(line.call.said)
    await line.breaks()
    await callee.answer()
    await line.becomes("transferred")
    callee.hang_up()
    await until(lambda: line.call.ended)
    await line.becomes("closed")
    await line.notes("Call transferred.")
    assert len(line.call.callees) == 1


async def test_a_turn_may_end_while_no_connection_is_there(line: Line) -> None:
    await line.call.drop()
    relay_agents.thought.set()
    callee = await line.dials()
    callee.refuse("busy", 486)
    await line.hears("I'm sorry, I wasn't able to connect you right now. I can keep helping you here.")
    await line.becomes("active")
    await line.notes("Call transfer failed: busy.")
    assert len(line.call.callees) == 1


async def test_what_the_caller_says_meanwhile_waits_for_the_transfer(line: Line) -> None:
    await line.breaks()
    await until(lambda: line.call.listener is not None)
    await line.call.say("are you there?")
    relay_agents.thought.set()
    await line.dials()
    assert len(line.call.callees) == 1
