"""The scripted call, played at every kind of host against one distributed gateway."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from channels.twilio.fake import CallStatus, FakeCall, FakeTwilio, Phone
from channels.voice.host.fake import FakeCall as HostCall
from channels.voice.host.fake import FakeHost, Person
from gateway.app import App, Plan, Role, running
from gateway.domain.call_rules import CallPace
from gateway.domain.clock import Clock
from gateway.domain.warm.words import CONFIRM_PROMPT
from gateway.settings import load_settings
from tests.integration import relay_agents
from tests.integration.webhooks import ACCOUNT, TOKEN
from tests.scripted_call import TRANSCRIPT, Hears, HearsBeginning, Line, Says, SpeaksOver, play

FIRST, SECOND = "+15550111", "+15550112"
RELAYED, HOSTED, THEIRS = "+15550100", "+15550101", "+14155550123"
PATIENCE = 60.0
V2 = "/v1/v2/conversations"
CONFIG = f"""
[organisation]
name = "Here"

[[addresses]]
channel = "voice"
address = "{RELAYED}"
voice_mode = "relay"
filler_after_seconds = 30
reminder_after_seconds = 300

[[addresses]]
channel = "voice"
address = "{HOSTED}"
voice_mode = "host"

[agents.caller]
kind = "python"
target = "tests.integration.relay_agents:answer"
"""


@dataclass(slots=True)
class House:
    """The gateway and the network around it."""

    app: App
    twilio: FakeTwilio
    host: FakeHost
    http: aiohttp.ClientSession

    async def relayed(self) -> Line:
        """A call over ConversationRelay."""
        return RelayedLine(await self.twilio.call(THEIRS, RELAYED), self.twilio)

    async def hosted(self, *capabilities: str) -> "HostedLine":
        """A call at a voice host."""
        people = (Person.NO_ANSWER, Person.DECLINES)
        more = {"capabilities": capabilities} if capabilities else {}
        return HostedLine(await self.host.call(THEIRS, HOSTED, people, **more))

    async def conversation(self) -> Any:
        """The only one there is, and what was said in it."""
        [found] = (await self._get(f"{V2}?channel=voice"))["items"]
        rows = (await self._get(f"{V2}/{found['id']}/turns?limit=100"))["turns"]
        return found, [(row["role"], row["content"].strip()) for row in rows]

    async def _get(self, path: str) -> Any:
        async with self.http.get(self.app.http_url + path, headers={"x-api-key": "root"}) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()


class RelayedLine:
    """A caller whose words travel over ConversationRelay."""

    def __init__(self, call: FakeCall, twilio: FakeTwilio) -> None:
        self._call = call
        self._twilio = twilio

    @property
    def said(self) -> Sequence[str]:
        """What they have heard."""
        return self._call.said

    @property
    def partial(self) -> str:
        """What is being said."""
        return self._call.relay.partial if self._call.relay is not None else ""

    @property
    def over(self) -> bool:
        """Whether the call has ended."""
        return self._call.ended

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something."""
        await self._call.wait_for(lambda _call: condition(), PATIENCE)

    async def say(self, text: str) -> None:
        """Speak, once there is a session to speak in."""
        await self.until(lambda: self._call.relay is not None and self._call.relay.open)
        assert self._call.relay is not None
        await self._call.relay.say(text)

    async def press(self, keys: str) -> None:
        """Press keys when the question has been heard out, as the gateway reckons; else they cut it off."""
        assert self._call.relay is not None
        await asyncio.sleep(len(self.said[-1]) / CallPace().characters_per_second)
        await self._call.relay.press(keys)

    async def speak_over(self, heard: str) -> None:
        """Speak over what is being said."""
        assert self._call.relay is not None
        await self._call.relay.interrupt(heard)

    async def nobody_takes_it(self) -> None:
        """The first phone is not answered; at the second somebody hears the briefing out, and declines."""
        async with asyncio.timeout(PATIENCE):
            while not (legs := [c for c in self._twilio.calls if c.parties.to == SECOND]):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            leg = legs[0]
        while CONFIRM_PROMPT not in leg.said:
            await leg.wait_for(lambda leg: "dtmf" in leg.listening, PATIENCE)
            await leg.silence()
        await leg.wait_for(lambda leg: "dtmf" in leg.listening, PATIENCE)
        await leg.press("2")


class HostedLine:
    """A caller at a voice host."""

    def __init__(self, call: HostCall) -> None:
        self.call = call

    @property
    def said(self) -> Sequence[str]:
        """What they have heard."""
        return self.call.said

    @property
    def partial(self) -> str:
        """What is being said."""
        return self.call.partial

    @property
    def over(self) -> bool:
        """Whether the call has ended."""
        return bool(self.call.ended)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something."""
        await self.call.until(condition, PATIENCE)

    async def say(self, text: str) -> None:
        """Speak."""
        self.call.say(text)

    async def press(self, keys: str) -> None:
        """Press keys, each reported by itself."""
        self.call.press(keys)

    async def speak_over(self, heard: str) -> None:
        """Speak over what is being said."""
        self.call.interrupt(heard)

    async def nobody_takes_it(self) -> None:
        """The fake has called both."""
        await self.until(lambda: len(self.call.called) == 2)


@pytest.fixture
async def house(rabbit_url: str, amqp_prefix: str, postgres_url: str, tmp_path: Path) -> AsyncIterator[House]:
    """A gateway of one process over RabbitMQ and PostgreSQL."""
    relay_agents.held.clear()
    relay_agents.stopped.clear()
    (tmp_path / "gateway.toml").write_text(CONFIG, "utf-8")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    twilio = FakeTwilio(ACCOUNT, TOKEN)
    twilio.pauses(0.01)
    twilio.phone(FIRST, Phone(ends=CallStatus.NO_ANSWER))
    twilio.phone(SECOND, Phone())
    environ = {
        "TWILIO_ACCOUNT_SID": ACCOUNT,
        "TWILIO_AUTH_TOKEN": TOKEN,
        "TWILIO_API_URL": await twilio.start(),
        "GATEWAY_API_KEYS": "root:admin::Root",
        "GATEWAY_AMQP_URL": rabbit_url,
        "GATEWAY_AMQP_PREFIX": amqp_prefix,
        "GATEWAY_DATABASE_URL": postgres_url,
        "GATEWAY_PARTITIONS": "2",
        "GATEWAY_DRAIN_SECONDS": "2",
    }
    settings = load_settings(
        environ, config_path=tmp_path / "gateway.toml", data_dir=tmp_path, host="127.0.0.1", port=port
    )
    plan = Plan(roles=frozenset(Role) - {Role.SMTP, Role.WEBHOOKS}, migrate=True)
    host = FakeHost((rabbit_url, amqp_prefix), "fake-1", tmp_path, Clock())
    async with AsyncExitStack() as stack:
        stack.push_async_callback(twilio.stop)
        app = await stack.enter_async_context(running(settings, plan))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        await host.start()
        stack.push_async_callback(host.stop)
        twilio.webhook_url = app.http_url
        yield House(app, twilio, host, http)


@pytest.mark.parametrize("kind", ["relayed", "hosted"])
async def test_the_scripted_call(house: House, kind: str) -> None:
    await play(await getattr(house, kind)())
    conversation, transcript = await _closed(house)
    assert [said for said in transcript if said[0] in ("user", "assistant")] == TRANSCRIPT
    events = [text for role, text in transcript if role == "system_event"]
    assert events[0] == "Call started."
    assert any(text.startswith("Call transfer failed: ") for text in events)
    assert conversation["status"] == "closed"


async def _closed(house: House) -> Any:
    """The conversation, once its end is known."""
    async with asyncio.timeout(PATIENCE):
        while (found := await house.conversation())[0]["status"] != "closed":  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return found


async def test_a_host_that_speaks_whole_texts_is_given_sentences(house: House) -> None:
    line = await house.hosted("dtmf_collected")
    pieces: list[str] = []
    speak = line.call.act

    def act(intent: Any) -> None:
        pieces.append(str(intent.payload.get("text")))
        speak(intent)

    line.call.act = act  # type: ignore[method-assign]
    await play(line, (Says("three sentences"), Hears("This is one. This is Dr. Two. And this is three.")))
    assert pieces[-4:] == ["This is one. ", "This is Dr. Two. ", "And this is three.", ""]


async def test_a_caller_who_speaks_over_a_reply_has_its_agent_stopped(house: House) -> None:
    line = await house.hosted()
    acts = (Says("tell me everything"), HearsBeginning("First this."), SpeaksOver("First"), Says("hello"))
    await play(line, (*acts, Hears("You said hello.")))
    assert relay_agents.stopped == ["tell me everything"]
    assert "First this." not in " ".join(line.said)
