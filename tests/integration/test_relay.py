"""Calls over ConversationRelay: the whole gateway in this process, and the fake Twilio's callers."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from channels.twilio.fake import FakeCall
from channels.twilio.fake.relay import RelayLine
from channels.twilio.signature import sign
from gateway.domain.call_rules import CallTexts
from tests.integration import relay_agents
from tests.integration.twilio_house import V2, TwilioHouse, at_twilio
from tests.integration.webhooks import ACCOUNT, TOKEN
from tests.waiting import until

OURS, THEIRS = "+15550100", "+14155550123"
TEXTS = CallTexts()
CONFIG = f"""
[organisation]
name = "Here"

[[addresses]]
channel = "voice"
address = "{OURS}"
voice_mode = "relay"
filler_after_seconds = 30
reminder_after_seconds = 300

[agents.caller]
kind = "python"
target = "tests.integration.relay_agents:answer"
"""


class House(TwilioHouse):
    """Where people call."""

    async def call(self) -> FakeCall:
        """A person calls, and is greeted."""
        call = await self.fake.call(THEIRS, OURS)
        assert call.said == [TEXTS.greeting], call.error
        return call


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A gateway of one process."""
    relay_agents.held.clear()
    relay_agents.stopped.clear()
    relay_agents.thinks.clear()
    async with at_twilio(House, tmp_path, CONFIG) as opened:
        yield opened


def relay(call: FakeCall) -> RelayLine:
    """The call's session."""
    assert call.relay is not None, call.error
    return call.relay


async def hears(call: FakeCall, text: str) -> None:
    """Wait until the caller has been told this."""
    await until(lambda: text in call.said)


async def test_a_call_is_greeted_and_answered_in_pieces(house: House) -> None:
    call = await house.call()
    await relay(call).say("hello")
    await hears(call, "You said hello.")
    texts = [frame for frame in relay(call).frames if frame["type"] == "text"]
    assert [frame["token"] for frame in texts] == ["You ", "said hello.", ""]
    assert [frame["last"] for frame in texts] == [False, False, True]
    assert {frame["lang"] for frame in texts} == {"en-US"}
    assert await house.transcript() == [
        ("system_event", "Call started."),
        ("assistant", TEXTS.greeting),
        ("user", "hello"),
        ("assistant", "You said hello."),
    ]
    await call.hang_up()
    assert (await house.conversation())["status"] == "closed"


async def test_a_reply_that_is_spoken_over_is_kept_as_heard(house: House) -> None:
    call = await house.call()
    await relay(call).say("tell me everything")
    await until(lambda: bool(relay_agents.held) and relay(call).partial != "")
    await relay(call).interrupt("First")
    await relay(call).say("what did I hear?")
    await hears(call, "First")
    assert relay_agents.stopped == ["tell me everything"]
    lasts = [frame for frame in relay(call).frames if frame.get("last")]
    assert len(lasts) == 2
    assert ("assistant", "First") in await house.transcript()


async def test_the_end_of_a_reply_that_was_not_heard_is_cut_off(house: House) -> None:
    call = await house.call()
    await relay(call).say("a long story")
    await hears(call, "You said a long story.")
    await relay(call).interrupt("You said a", 700)
    await relay(call).say("what did I hear?")
    await hears(call, "You said a")
    assert ("assistant", "You said a") in await house.transcript()


async def test_digits_are_an_input_of_their_own(house: House) -> None:
    call = await house.call()
    await relay(call).say("a pin, please")
    await hears(call, "Your PIN?")
    await relay(call).press("1234#")
    await hears(call, "You said PIN 1234.")
    assert ("user", "PIN 1234") in await house.transcript()


@pytest.mark.parametrize(("status", "then"), [("completed", "closed"), ("busy", "active")])
async def test_a_cold_transfer(house: House, status: str, then: str) -> None:
    call = await house.call()
    await relay(call).say("billing")
    await until(lambda: call.dialing)
    assert call.dialed == ["+15550111"]
    assert call.said[-2:] == ["Connecting. ", "Please hold the line."]
    assert (await house.conversation())["status"] == "waiting_for_human"
    await call.dial_ended(status)
    assert (await house.conversation())["status"] == then
    if then == "active":
        await relay(call).say("hello again")
        await hears(call, "You said hello again.")
        assert ("system_event", "Call transfer failed: busy.") in await house.transcript()


async def test_an_operator_is_heard_and_gives_the_call_back(house: House) -> None:
    call = await house.call()
    await relay(call).say("a person")
    await hears(call, TEXTS.hold)
    conversation = await house.conversation()
    path = f"{V2}/{conversation['id']}/human-turns"
    await relay(call).say("are you there?")
    await house.api("POST", path, {"content": "This is Jamie."})
    await hears(call, "This is Jamie.")
    await house.api("POST", path, {"content": None, "return_control": True})
    await hears(call, "You said are you there?.")
    await relay(call).say("thanks")
    await hears(call, "You said thanks.")


async def test_the_agent_ends_the_call(house: House) -> None:
    call = await house.call()
    await relay(call).say("bye")
    await until(lambda: call.ended)
    assert call.said[-1] == "Goodbye then."
    assert (await house.conversation())["status"] == "closed"


async def test_a_broken_connection_is_taken_up_again(house: House) -> None:
    call = await house.call()
    await relay(call).say("one")
    await hears(call, "You said one.")
    first = relay(call)
    await first.drop()
    await hears(call, TEXTS.apology)
    await until(lambda: relay(call) is not first and relay(call).open)
    await relay(call).say("two")
    await hears(call, "You said two.")
    assert [text for role, text in await house.transcript() if role == "user"] == ["one", "two"]


async def test_a_connection_that_breaks_before_its_turn_ends_loses_no_transfer(house: House) -> None:
    call = await house.call()
    await relay(call).say("think about billing")
    await until(relay_agents.thinks.is_set)
    first = relay(call)
    await first.drop()
    await until(lambda: relay(call) is not first and relay(call).open)
    relay_agents.thought.set()
    await until(lambda: call.dialed == ["+15550111"])
    await call.dial_ended("completed")
    await until(lambda: call.ended)
    assert (await house.conversation())["status"] == "closed"


async def test_only_twilio_opens_a_session(house: House) -> None:
    url = f"{house.app.http_url}/webhooks/twilio/relay"
    for headers in ({}, {"X-Twilio-Signature": "bm9wZQ=="}):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await house.http.ws_connect(url, headers=headers)
        assert refused.value.status == 403


@pytest.mark.parametrize(
    ("account", "taken"),
    [({}, True), ({"accountSid": ACCOUNT}, True), ({"accountSid": "AC" + "1" * 32}, False)],
)
async def test_a_signed_session_names_no_other_account(
    house: House, account: dict[str, str], taken: bool
) -> None:
    url = f"{house.app.http_url}/webhooks/twilio/relay"
    signed = {"X-Twilio-Signature": sign(TOKEN, url.replace("http", "ws", 1), ())}
    async with house.http.ws_connect(url, headers=signed) as socket:
        setup = {"type": "setup", "sessionId": "VX1", "callSid": "CA1", "from": THEIRS, "to": OURS}
        await socket.send_json(setup | account)
        if taken:
            await socket.send_json({"type": "prompt", "voicePrompt": "one", "last": True})
        kinds = {(await socket.receive(timeout=30)).type}
    assert (aiohttp.WSMsgType.TEXT in kinds) is taken
