"""Calls over jambonz: the whole gateway in this process, and the callers of the fake jambonz."""

import asyncio
import logging
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import closing

import aiohttp
import pytest
import pytest_asyncio
from prometheus_client import REGISTRY

from channels.voice.jambonz import owed, routes
from channels.voice.jambonz.fake import FakeJambonz
from gateway.app import App
from gateway.store import group_commit
from tests.integration import relay_agents
from tests.integration.jambonz_house import (
    AUTHORIZED,
    BACK,
    LOGIN,
    OURS,
    TEXTS,
    V2,
    WS,
    Line,
    caller,
    statuses,
)
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", params=["streamed", "sentences"])
async def line(jambonz_gateway: App, request: pytest.FixtureRequest) -> AsyncIterator[Line]:
    """A caller who has been greeted."""
    async with caller(jambonz_gateway, streams=request.param == "streamed") as opened:
        yield opened


async def test_a_call_is_greeted_and_answered(line: Line) -> None:
    await line.call.say("hello")
    await line.hears("You said hello.")
    assert await line.transcript() == [
        ("system_event", "Call started."),
        ("assistant", TEXTS.greeting),
        ("user", "hello"),
        ("assistant", "You said hello."),
    ]
    await line.call.hang_up()
    await line.becomes("closed")
    assert (await line.transcript())[-1] == ("system_event", "Call ended.")


@pytest.mark.parametrize("line", ["streamed"], indirect=True)
async def test_words_are_streamed_as_they_come(line: Line) -> None:
    await line.call.say("tell me everything")
    await until(lambda: line.call.voice.partial == "First this. ")
    assert "First this. " not in line.call.said


async def test_a_reply_that_is_spoken_over_is_kept_as_heard(line: Line) -> None:
    await line.call.say("tell me everything")
    await until(
        lambda: bool(relay_agents.held) and "First this. " in (line.call.voice.partial, *line.call.said)
    )
    await line.call.interrupt("First")
    if line.call.voice.open:
        await line.call.say("what did I hear?", over=False)
        await line.hears("First")
    await line.call.say("go on", over=False)
    await line.hears("You said go on.")
    await until(lambda: "tell me everything" in relay_agents.stopped)
    heard = [text for role, text in await line.transcript() if role == "assistant"][1]
    assert "First this. ".startswith(heard)
    assert heard == "First" or not line.call.voice.open


@pytest.mark.parametrize("line", ["streamed"], indirect=True)
async def test_what_was_heard_may_be_told_before_the_interruption(line: Line) -> None:
    await line.call.say("tell me everything")
    await until(lambda: line.call.voice.partial == "First this. ")
    spoken = {"event_type": "tts_spoken", "text": "First", "bargein": True}
    await line.call.wire.report("tts:streaming-event", spoken)
    await line.call.interrupt()
    await line.call.say("what did I hear?", over=False)
    await line.hears("First")


async def test_digits_are_an_input_of_their_own(line: Line) -> None:
    await line.call.say("a pin, please")
    await line.hears("Your PIN?")
    await until(lambda: bool(line.call.listener and not line.call.listener.background))
    await line.call.press("1234")
    await line.hears("You said PIN 1234.")
    await until(lambda: bool(line.call.listener and line.call.listener.background))
    await line.call.press("#")
    await line.call.press("77#")
    await line.hears("You said 77.")
    assert [text for role, text in await line.transcript() if role == "user"][1:] == ["PIN 1234", "77"]


@pytest.mark.parametrize("line", ["sentences"], indirect=True)
async def test_keys_that_are_pressed_over_the_question_answer_it(line: Line) -> None:
    line.call.mute.clear()  # the question is being said
    await line.call.say("a pin, please")
    await until(lambda: any("/digits" in str(sent) for sent in line.call.wire.received))
    await line.call.press("12345")
    line.call.mute.set()
    await line.call.wait()
    await line.hears("You said 5.")
    typed = [text for role, text in await line.transcript() if role == "user"][1:]
    assert typed == ["PIN 1234", "5"]


async def test_digits_may_end_by_waiting(line: Line) -> None:
    await line.call.press("42")
    await line.call.wait()
    await line.hears("You said 42.")


async def test_speech_answers_where_digits_were_asked_for(line: Line) -> None:
    await line.call.say("a pin, please")
    await line.hears("Your PIN?")
    await until(lambda: bool(line.call.listener and not line.call.listener.background))
    await line.call.say("I forgot it")
    await line.hears("You said I forgot it.")
    await line.call.press("9#")
    await line.hears("You said 9.")


async def test_an_operator_is_heard_and_gives_the_call_back(line: Line) -> None:
    await line.call.say("a person")
    await line.hears(TEXTS.hold)
    path = f"{V2}/{(await line.conversation())['id']}/human-turns"
    await line.call.say("are you there?")
    async with asyncio.timeout(PATIENCE):
        while ("user", "are you there?") not in await line.transcript():  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.02)
    await line.api("POST", path, {"content": "This is Jamie."})
    await line.hears("This is Jamie.")
    await line.api("POST", path, {"content": None, "return_control": True})
    await line.hears("You said are you there?.")
    await line.call.say("thanks")
    await line.hears("You said thanks.")


async def test_an_operator_takes_a_call_over_in_which_nothing_was_said(line: Line) -> None:
    """What is looked for then is not the greeting, which was heard."""
    path = f"{V2}/{(await line.conversation())['id']}/human-turns"
    await line.api("POST", path, {"content": "This is Jamie.", "take_over": True})
    await line.hears("This is Jamie.")
    assert line.call.said.count(TEXTS.greeting) == 1


async def test_the_agent_ends_the_call(line: Line) -> None:
    await line.call.say("bye")
    await until(lambda: line.call.ended)
    assert line.call.said[-1] == "Goodbye then."
    await line.becomes("closed")


async def test_a_broken_connection_is_taken_up_again(line: Line) -> None:
    await line.call.say("one")
    await line.hears("You said one.")
    await line.call.drop()
    await line.hears(TEXTS.apology)
    await until(lambda: line.call.listener is not None)
    await line.call.say("two")
    await line.hears("You said two.")
    assert [text for role, text in await line.transcript() if role == "user"] == ["one", "two"]


async def test_a_connection_that_is_back_waits_for_the_database(
    line: Line, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """jambonz makes five of a call at most, and hangs up where it is sent away."""
    monkeypatch.setattr(group_commit, "BUSY_SECONDS", 0.05)
    monkeypatch.setattr(routes, "BEGIN_SECONDS", PATIENCE)
    path = line.app.settings.sqlite_path
    assert path is not None
    with closing(sqlite3.connect(path, isolation_level=None)) as away:
        away.execute("BEGIN IMMEDIATE")
        await line.call.drop()
        await until(lambda: "voice jambonz waits" in caplog.messages)
        away.execute("ROLLBACK")
    await line.hears(TEXTS.apology)
    assert "a jambonz call was declined" not in caplog.messages


@pytest.mark.parametrize("during", ["hello", "billing"])
async def test_the_end_of_a_call_is_stored_when_the_database_is_back(
    line: Line, during: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(group_commit, "BUSY_SECONDS", 0.05)
    monkeypatch.setattr(owed, "AT_ONCE_SECONDS", 0.1)
    monkeypatch.setattr(owed, "AGAIN_SECONDS", 0.05)
    await line.call.say(during)
    if during == "hello":
        await line.hears("You said hello.")
    else:
        await line.dials()
        await line.becomes("waiting_for_human")
    path = line.app.settings.sqlite_path
    assert path is not None
    away = sqlite3.connect(path, isolation_level=None)
    try:
        away.execute("BEGIN IMMEDIATE")
        with caplog.at_level(logging.WARNING, logger=owed.__name__):
            await line.call.hang_up()
            await until(lambda: "voice end waits" in caplog.messages)
        away.execute("ROLLBACK")
    finally:
        away.close()
    await line.becomes("closed")
    events = await line.events()
    assert events.count("Call ended.") == 1
    assert events.count("Call transfer failed: caller_abandoned.") == (during == "billing")


async def test_a_number_that_is_not_ours_is_declined(jambonz_gateway: App) -> None:
    fake = FakeJambonz(jambonz_gateway.http_url, LOGIN)
    call = await fake.call("14155550000", "15559999")
    await until(lambda: call.declined is not None)
    assert call.declined == 404
    await until(lambda: call.ended)
    await fake.stop()


async def test_a_fake_that_is_stopped_has_closed_what_is_ending(jambonz_gateway: App) -> None:
    fake = FakeJambonz(jambonz_gateway.http_url, LOGIN)
    call = await fake.call("14155550000", OURS)
    ending = asyncio.create_task(call.hang_up())
    await until(lambda: call.ended)
    await fake.stop()
    assert call.wire.closed
    await ending


async def test_only_who_has_the_login_opens_a_call(jambonz_gateway: App) -> None:
    for login in ("jambonz:wrong", "other:a-password"):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await FakeJambonz(jambonz_gateway.http_url, login).call("14155550000", "15550100")
        assert refused.value.status == 403
    async with aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect(jambonz_gateway.http_url + WS, protocols=("ws.jambonz.org",))
        assert refused.value.status == 403
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect(jambonz_gateway.http_url + WS, headers=AUTHORIZED)
        assert refused.value.status == 403


def refusals() -> float:
    """How many of jambonz's requests were refused, for whatever reason."""
    labels = [{"provider": "jambonz", "reason": reason} for reason in ("login", "no_login")]
    return sum(REGISTRY.get_sample_value("gateway_webhooks_refused_total", one) or 0 for one in labels)


async def test_the_end_of_a_call_may_come_by_webhook(line: Line) -> None:
    url = f"{line.app.http_url}{WS}/status"
    told = {"call_sid": line.call.call_sid, "call_status": "completed", "direction": "inbound"}
    told |= {"from": line.theirs, "to": OURS}
    counted = refusals()
    async with line.http.post(url, json=told) as refused:
        assert refused.status == 403
    assert refusals() == counted + 1
    async with line.http.post(url, json=["no status"], headers=AUTHORIZED) as refused:
        assert refused.status == 400
    async with line.http.post(url, json=told | {"parent_call_sid": "another"}, headers=AUTHORIZED) as answer:
        assert answer.status == 200
    assert await line.status() == "active"
    async with line.http.post(url, json=told, headers=AUTHORIZED) as answer:
        assert answer.status == 200
    assert await line.status() == "closed"


async def test_a_caller_who_leaves_before_they_are_answered_leaves_no_open_call(jambonz_gateway: App) -> None:
    call = {"call_sid": "left-at-once", "direction": "inbound", "from": "14155550001", "to": OURS}
    async with aiohttp.ClientSession() as http:
        before = await statuses(jambonz_gateway, http)
        socket = await http.ws_connect(
            jambonz_gateway.http_url + WS, protocols=("ws.jambonz.org",), headers=AUTHORIZED
        )
        for kind, data in (("session:new", call), ("call:status", call | {"call_status": "no-answer"})):
            await socket.send_json({"type": kind, "msgid": "a1", "call_sid": "left-at-once", "data": data})
        await socket.close()
        async with asyncio.timeout(PATIENCE):
            while True:
                now = await statuses(jambonz_gateway, http)
                if [now[name] for name in now.keys() - before] == ["closed"]:
                    break
                await asyncio.sleep(0.02)


async def test_a_telephone_in_the_terminal(jambonz_gateway: App) -> None:
    command = [
        "-m",
        "channels.voice.jambonz.fake",
        "--url",
        jambonz_gateway.http_url,
        "--login",
        LOGIN,
        "--to",
        OURS,
    ]
    telephone = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert telephone.stdin is not None
    assert telephone.stdout is not None
    async with asyncio.timeout(PATIENCE):
        for typed, told in (("", TEXTS.greeting), ("hello\n", "You said hello."), ("42\n", "You said 42.")):
            telephone.stdin.write(typed.encode())
            assert (await telephone.stdout.readline()).decode().strip() == told
        telephone.stdin.write(b"bye\n")
        rest = (await telephone.stdout.read()).decode()
        assert await telephone.wait() == 0
    assert rest.split("\n") == ["  Goodbye then.", "The call has ended.", ""]


async def test_a_caller_who_rings_back_goes_on(jambonz_gateway: App) -> None:
    async with caller(jambonz_gateway, BACK) as line:
        await line.call.say("hello")
        await line.hears("You said hello.")
        await line.call.hang_up()
        async with asyncio.timeout(PATIENCE):
            while "Call ended." not in await line.events():  # noqa: ASYNC110 - it is asked of the API
                await asyncio.sleep(0.02)
        fake = FakeJambonz(jambonz_gateway.http_url, LOGIN)
        again = await fake.call(line.theirs, BACK)
        await until(lambda: again.said == [TEXTS.welcome_back])
        await until(lambda: again.listener is not None)
        await again.say("me again")
        await until(lambda: "You said me again." in again.said)
        assert [text for role, text in await line.transcript() if role == "user"] == ["hello", "me again"]
        await fake.stop()
