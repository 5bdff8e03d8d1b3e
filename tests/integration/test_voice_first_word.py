"""A person takes a call over before its caller has said anything, where documents carry it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from channels.twilio.fake import FakeCall
from tests.integration.test_outgoing_calls import DOCUMENTS, TEXTS, THEIRS, House, open_house
from tests.integration.twilio_house import V2

pytestmark = pytest.mark.asyncio(loop_scope="module")
AGAIN = "This is Jamie again."


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """A gateway for all tests here, where who rings back goes on."""
    async with open_house(tmp_path_factory.mktemp("house"), 'ring_back = "30m"') as opened:
        yield opened


class Desk:
    """A call, and the operator who has its conversation."""

    def __init__(self, house: House, call: FakeCall, conversation_id: str) -> None:
        self.call = call
        self._house = house
        self._path = f"{V2}/{conversation_id}"

    async def writes(self, text: str | None, **more: Any) -> None:
        """The operator says something, takes the call or gives it back."""
        status, answer = await self._house.post({"content": text, **more}, path=f"{self._path}/human-turns")
        assert status == 200, answer

    async def hears(self, *texts: str) -> None:
        """What the caller hears when they say nothing."""
        told = len(self.call.said)
        await self.call.silence()
        assert self.call.said[told:] == list(texts)


@pytest_asyncio.fixture(loop_scope="module")
async def desk(house: House) -> AsyncIterator[Desk]:
    """A caller who has been greeted, and whose call a person takes over."""
    call = await house.fake.call(f"{THEIRS[:-3]}{len(house.fake.calls):03}", DOCUMENTS)
    assert call.said == [TEXTS.greeting]
    [conversation, *_] = (await house.get(f"{V2}?channel=voice&limit=100"))["items"]
    desk = Desk(house, call, conversation["id"])
    await desk.writes("This is Jamie.", take_over=True)
    yield desk
    await call.hang_up()


async def test_a_caller_who_says_nothing_hears_them(desk: Desk) -> None:
    await desk.hears("This is Jamie.")
    await desk.hears()
    await desk.writes(AGAIN)
    await desk.hears(AGAIN)
    await desk.writes("I hand you back.", return_control=True)
    await desk.hears("I hand you back.", TEXTS.reminder)
    await desk.call.say("hello")
    assert desk.call.said[-1] == "You said: hello"


async def test_a_caller_who_speaks_first_hears_them_all_the_same(desk: Desk) -> None:
    told = len(desk.call.said)
    await desk.call.say("are you there?")
    assert desk.call.said[told:] == [TEXTS.hold]
    await desk.hears("This is Jamie.")
    await desk.writes(AGAIN)
    await desk.call.say("fine")
    await desk.hears(AGAIN)
    assert desk.call.said.count("This is Jamie.") == 1


async def test_nothing_of_an_earlier_call_is_said_again(house: House, desk: Desk) -> None:
    await desk.hears("This is Jamie.")
    await desk.writes("Ring back later.", return_control=True)
    await desk.call.hang_up()
    again = await house.fake.call(desk.call.parties.from_, DOCUMENTS)
    assert again.said == [TEXTS.welcome_back]
    desk.call = again
    await desk.hears(TEXTS.reminder)
    await desk.writes(AGAIN, take_over=True)
    await desk.hears(AGAIN)
