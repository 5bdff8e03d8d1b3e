"""The scripted call, played at every kind of host against one distributed gateway."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
import pytest_asyncio

from channels.twilio.fake import CallStatus, FakeTwilio, Phone
from channels.voice.host.fake import FakeHost
from channels.voice.host.fake_people import Person
from channels.voice.jambonz.fake import FakeJambonz
from gateway.app import App, Plan, Role, running
from gateway.bench.private_server import free_ports
from gateway.domain.call_rules import CallTexts
from gateway.domain.clock import Clock
from gateway.domain.ports.dialogue import CallNews
from gateway.service.dialogues import Dialogues
from gateway.settings import load_settings
from tests.integration import relay_agents
from tests.integration.scripted_lines import (
    FIRST,
    SECOND,
    HostedLine,
    JambonzLine,
    RelayLine,
    WebhookLine,
)
from tests.integration.webhooks import ACCOUNT, TOKEN
from tests.scripted_call import (
    CALL,
    GREETING,
    INTERRUPTION,
    Hears,
    HearsBeginning,
    IsOver,
    Line,
    Part,
    Says,
    SpeaksOver,
    play,
)
from tests.services import Service, new_database
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

WEBHOOK, RELAY, HOST, JAMBONZ = "+15550100", "+15550101", "+15550102", "+15550103"
QUICK = "+15550104"
"""At the host, too; there a pause is filled at once, and who rings back goes on."""
BRIEF = "+15550105"
"""There, too; who says nothing is soon let go."""
ENDED = ("system_event", "Call ended: caller.")
V2 = "/v1/v2/conversations"
LOGIN = "jambonz:a-password"
ADDRESSES = "\n".join(
    f"""
[[addresses]]
channel = "voice"
address = "{number}"
voice_mode = "{mode}"
filler_after_seconds = 30
reminder_after_seconds = 300
reassurance_every_seconds = 600
"""
    for number, mode in ((WEBHOOK, "webhook"), (RELAY, "relay"), (HOST, "host"), (JAMBONZ, "jambonz"))
)
CONFIG = f"""
[organisation]
name = "Here"

{ADDRESSES}
[[addresses]]
channel = "voice"
address = "{QUICK}"
voice_mode = "host"
filler_after_seconds = 0.2
reminder_after_seconds = 300
ring_back = "60s"

[[addresses]]
channel = "voice"
address = "{BRIEF}"
voice_mode = "host"
filler_after_seconds = 30
reminder_after_seconds = 2
max_reminders = 1

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
    jambonz: FakeJambonz
    http: aiohttp.ClientSession
    seen: set[str] = field(default_factory=set)
    """The conversations of earlier tests."""
    _numbers: "count[int]" = field(default_factory=lambda: count(14155550100))

    async def call(self, ours: str, *capabilities: str) -> Line:
        """Somebody calls one of our numbers."""
        self.seen = {found["id"] for found in await self._conversations()}
        theirs = next(self._numbers)
        if ours in (HOST, QUICK, BRIEF):
            people = (Person.NO_ANSWER, Person.DECLINES)
            more = {"capabilities": capabilities} if capabilities else {}
            return HostedLine(await self.host.call(f"+{theirs}", ours, people, **more))
        if ours == JAMBONZ:
            return JambonzLine(await self.jambonz.call(str(theirs), ours.removeprefix("+")))
        call = await self.twilio.call(f"+{theirs}", ours)
        return (WebhookLine if ours == WEBHOOK else RelayLine)(call, self.twilio)

    async def call_back(self, line: HostedLine) -> HostedLine:
        """Whoever had this call calls the same number again, when the gateway knows that it is over."""
        async with asyncio.timeout(PATIENCE):
            while (await self.conversation())[1][-1] != ENDED:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        return HostedLine(await self.host.call(line.call.theirs, line.call.ours))

    async def conversation(self) -> tuple[Any, list[tuple[str, str]]]:
        """That of the newest call, and what was said in it."""
        [found] = [one for one in await self._conversations() if one["id"] not in self.seen]
        rows = (await self._get(f"{V2}/{found['id']}/turns?limit=100"))["turns"]
        return found, [(row["role"], row["content"].strip()) for row in rows]

    async def _conversations(self) -> Any:
        return (await self._get(f"{V2}?channel=voice&limit=100"))["items"]

    async def _get(self, path: str) -> Any:
        async with self.http.get(self.app.http_url + path, headers={"x-api-key": "root"}) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(
    rabbit_url: str,
    postgres_server: Service,
    postgres_template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[House]:
    """A gateway of one process over RabbitMQ and PostgreSQL, for all tests here."""
    folder, database = tmp_path_factory.mktemp("house"), f"scripted{uuid4().hex[:8]}"
    prefix = f"{database}."
    (folder / "gateway.toml").write_text(CONFIG, "utf-8")
    (port,) = free_ports(1)
    database_url = await new_database(postgres_server.url, database, postgres_template)
    twilio = FakeTwilio(ACCOUNT, TOKEN)
    twilio.pauses(0.01)
    twilio.phone(FIRST, Phone(ends=CallStatus.NO_ANSWER))
    twilio.phone(SECOND, Phone())
    environ = {
        "TWILIO_ACCOUNT_SID": ACCOUNT,
        "TWILIO_AUTH_TOKEN": TOKEN,
        "TWILIO_API_URL": await twilio.start(),
        "JAMBONZ_WEBHOOK_LOGIN": LOGIN,
        "GATEWAY_API_KEYS": "root:admin::Root",
        "GATEWAY_AMQP_URL": rabbit_url,
        "GATEWAY_AMQP_PREFIX": prefix,
        "GATEWAY_DATABASE_URL": database_url,
        "GATEWAY_PARTITIONS": "2",
        "GATEWAY_DRAIN_SECONDS": "2",
    }
    settings = load_settings(
        environ, config_path=folder / "gateway.toml", data_dir=folder, host="127.0.0.1", port=port
    )
    plan = Plan(roles=frozenset(Role) - {Role.SMTP, Role.WEBHOOKS}, migrate=True)
    host = FakeHost((rabbit_url, prefix), "fake-1", folder, Clock())
    async with AsyncExitStack() as stack:
        stack.push_async_callback(twilio.stop)
        app = await stack.enter_async_context(running(settings, plan))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        await host.start()
        stack.push_async_callback(host.stop)
        twilio.webhook_url = app.http_url
        jambonz = FakeJambonz(app.http_url, LOGIN)
        stack.push_async_callback(jambonz.stop)
        yield House(app, twilio, host, jambonz, http)


@pytest.mark.parametrize(
    ("ours", "parts"),
    [
        (RELAY, CALL),
        (HOST, CALL),
        (JAMBONZ, CALL),
        # without a stream there is nothing to speak over, and the greeting is only in the document
        (WEBHOOK, [part for part in CALL if part is not INTERRUPTION]),
    ],
    ids=["relay", "host", "jambonz", "webhook"],
)
async def test_the_scripted_call(house: House, ours: str, parts: Sequence[Part]) -> None:
    await play(await house.call(ours), *(act for part in parts for act in part.acts))
    conversation, transcript = await _closed(house)
    told = [part for part in parts if ours != WEBHOOK or part is not GREETING]
    said = [one for one in transcript if one[0] in ("user", "assistant")]
    assert said == [one for part in told for one in part.transcript]
    events = [text for role, text in transcript if role == "system_event"]
    assert events[0] == "Call started."
    assert any(text.startswith("Call transfer failed: ") for text in events)
    assert conversation["status"] == "closed"


async def test_who_speaks_right_after_a_reply_has_heard_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it takes a while to learn whether a person has said something before it."""
    news = Dialogues.news

    async def slow(dialogues: Dialogues, conversation_id: str, since: int) -> CallNews:
        await asyncio.sleep(0.3)
        return await news(dialogues, conversation_id, since)

    monkeypatch.setattr(Dialogues, "news", slow)
    line = await house.call(RELAY)
    acts = (*GREETING.acts, Says("tell me everything"), HearsBeginning("First this."), SpeaksOver("First"))
    told = "You said hello again."
    await play(line, *acts, Says("hello again"), Hears(told), Says("bye"), Hears("Goodbye then."), IsOver())
    _, transcript = await _closed(house)
    assert ("assistant", told) in transcript


async def _closed(house: House) -> tuple[Any, list[tuple[str, str]]]:
    """The conversation, once its end is known."""
    async with asyncio.timeout(PATIENCE):
        while (found := await house.conversation())[0]["status"] != "closed":  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return found


async def test_a_host_that_speaks_whole_texts_is_given_sentences(house: House) -> None:
    line = await house.call(HOST, "dtmf_collected")
    assert isinstance(line, HostedLine)
    await play(line, Says("three sentences"), Hears("This is one. This is Dr. Two. And this is three."))
    assert line.call.pieces[-4:] == ["This is one. ", "This is Dr. Two. ", "And this is three.", ""]


async def test_a_caller_who_speaks_over_a_reply_has_its_agent_stopped(house: House) -> None:
    relay_agents.stopped.clear()
    line = await house.call(HOST)
    acts = (Says("tell me everything"), HearsBeginning("First this."), SpeaksOver("First"), Says("hello"))
    await play(line, *acts, Hears("You said hello."))
    await until(lambda: relay_agents.stopped == ["tell me everything"])
    assert "First this." not in " ".join(line.said)


@pytest.mark.parametrize("asked", ["fail", "break off"])
async def test_a_caller_whose_agent_fails_is_told_and_heard_again(house: House, asked: str) -> None:
    line, apology = await house.call(HOST), CallTexts().apology
    begun = ["First this."] if asked == "break off" else []
    again = (Says("hello"), Hears("You said hello."))
    await play(line, Says(asked), *(Hears(text) for text in begun), Hears(apology), *again)
    _, transcript = await house.conversation()
    assert [one for one in transcript if one[0] in ("user", "assistant")] == [
        ("assistant", CallTexts().greeting),
        ("user", asked),
        *(("assistant", text) for text in (*begun, apology)),
        ("user", "hello"),
        ("assistant", "You said hello."),
    ]


async def test_a_caller_who_waits_is_told_so_and_then_answered(house: House) -> None:
    line = await house.call(QUICK)
    await play(line, Says("think first"), Hears(CallTexts().filler))
    relay_agents.thought.set()
    await play(line, Hears("Thought of it."))
    assert CallTexts().filler not in [text for _, text in (await house.conversation())[1]]


async def test_who_says_nothing_at_a_host_is_reminded_and_let_go(house: House) -> None:
    line = await house.call(BRIEF)
    texts = CallTexts()
    await play(line, Hears(texts.greeting), Hears(texts.reminder), Hears(texts.goodbye), IsOver())
    conversation, transcript = await _closed(house)
    assert conversation["status"] == "closed"
    assert [text for _, text in transcript] == ["Call started.", texts.greeting, "Call ended: agent."]


async def test_who_rings_back_at_a_host_goes_on(house: House) -> None:
    line = await house.call(QUICK)
    await play(line, Says("hello"), Hears("You said hello."))
    assert isinstance(line, HostedLine)
    line.call.hang_up()
    again = await house.call_back(line)
    await play(
        again,
        Hears(CallTexts().welcome_back),
        Says("what did I hear?"),
        Hears(f"You said hello. | {CallTexts().welcome_back}"),
        Says("bye"),
        IsOver(),
    )
    ended = ("system_event", "Call ended: agent.")
    async with asyncio.timeout(PATIENCE):
        while (transcript := (await house.conversation())[1])[-1] != ended:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    events = [text for role, text in transcript if role == "system_event"]
    assert events == ["Call started.", "Call ended: caller.", "Call started.", "Call ended: agent."]
    assert (await house.conversation())[0]["status"] == "closed"
