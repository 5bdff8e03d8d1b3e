"""The kill switch over HTTP and on the command line: who may, what is told meanwhile, and what follows."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from channels.twilio.fake import FakeTwilio
from gateway.cli import cli
from gateway.commands.brakes import BY
from gateway.service.backlog import backlog
from tests.integration.api import Api, gateway
from tests.integration.api_agents import Steering

ORGANISATION = "/v1/organisation/pause"
AGENT = "/v1/agents/steered/pause"
EVERY = pytest.mark.parametrize("switch", [ORGANISATION, AGENT], ids=["organisation", "agent"])


async def eventually(look: Any) -> Any:
    """What `look` answers once it is true."""
    async with asyncio.timeout(60):
        while not (found := await look()):  # noqa: ASYNC110 - over HTTP
            await asyncio.sleep(0.02)
    return found


async def texts(api: Api, path: str) -> list[str]:
    """What was said in a conversation."""
    found = (await api.get(f"{path}/messages")).json["messages"]
    return [message["content"] for message in found]


@EVERY
async def test_turns_wait_and_are_answered_in_one_turn(any_api: Api, switch: str) -> None:
    api, path = any_api, await any_api.conversation()
    assert (await api.call("PUT", switch, {"reason": "it raves"})).json["reason"] == "it raves"
    first = await api.turn(path, "one")
    assert first.status == 200
    assert (first.json["path"], first.json["decision_source"], first.json["text"]) == ("queued", "policy", "")
    (complete,) = (await api.stream(path, "two")).events
    assert (complete[0], complete[1]["path"]) == ("complete", "queued")
    assert complete[1]["turn_id"] == first.json["turn_id"]
    assert (await api.get(path)).json["status"] == "active"
    assert await texts(api, path) == ["one", "two"]
    assert (await api.call("DELETE", switch)).json["paused"] is False
    assert await eventually(lambda: _answered(api, path)) == ["one", "two", "Re: one\ntwo."]
    assert (await api.turn(path, "three")).json["text"] == "Re: three."


async def _answered(api: Api, path: str) -> list[str]:
    found = await texts(api, path)
    return found if len(found) > 2 else []


@EVERY
async def test_a_running_agent_is_stopped_and_asked_again(
    any_api: Api, steering: Steering, switch: str
) -> None:
    api, path = any_api, await any_api.conversation()
    running = asyncio.create_task(api.turn(path, "hold one"))
    await steering.begun.wait()
    behind = asyncio.create_task(api.turn(path, "two"))
    await api.call("PUT", switch)
    waits, also = await asyncio.wait_for(running, 60), await asyncio.wait_for(behind, 60)
    assert [a.json["path"] for a in (waits, also)] == ["queued", "queued"]
    assert [a.json["message_seqs"] for a in (waits, also)] == [[0], [1]]
    steering.go_on.set()
    await api.call("DELETE", switch)
    answered = await eventually(lambda: _replies(api, path, 2))
    assert answered == ["Re: hold one.", "Re: two."]
    assert [turn.turn_id for turn in steering.asked] == [
        waits.json["turn_id"],
        waits.json["turn_id"],
        also.json["turn_id"],
    ]


async def _replies(api: Api, path: str, count: int) -> list[str]:
    found = (await api.get(f"{path}/messages")).json["messages"]
    replies = [message["content"] for message in found if message["role"] == "assistant"]
    return replies if len(replies) == count else []


async def test_a_stream_that_was_shown_something_is_interrupted(api: Api, steering: Steering) -> None:
    path = await api.conversation()
    running = asyncio.create_task(api.stream(path, "hold"))
    await steering.begun.wait()
    await api.call("PUT", ORGANISATION)
    *_, (name, told) = (await asyncio.wait_for(running, 60)).events
    assert (name, told["error"]) == ("error", "turn_interrupted")


async def test_who_may_pause_and_where_it_shows(api: Api) -> None:
    desk, app, other = api.as_("desk"), api.as_("app"), api.as_("other")
    for switch in (ORGANISATION, AGENT):
        for method in ("PUT", "DELETE"):
            assert (await desk.call(method, switch)).error == (403, "forbidden")
        assert (await app.get(switch)).error == (403, "forbidden")
        assert (await desk.get(switch)).json == {"paused": False, "since": None, "by": None, "reason": None}
    assert (await api.call("PUT", "/v1/agents/nobody/pause")).error == (404, "agent_not_found")
    assert (await other.call("PUT", AGENT)).error == (404, "agent_not_found")
    assert (await other.call("PUT", ORGANISATION)).json["paused"]  # its own
    assert (await api.call("PUT", ORGANISATION, {"reason": "x" * 501})).status == 422
    assert await _since(app) == {"steered": None, "demo": None}

    set_now = (await api.call("PUT", AGENT, {"reason": "one"})).json
    again = (await api.call("PUT", AGENT)).json
    assert (set_now["by"], again) == ("Root", {**set_now, "reason": None})
    assert await _since(app) == {"steered": set_now["since"], "demo": None}
    whole = (await api.call("PUT", ORGANISATION)).json
    assert await _since(app) == {"steered": set_now["since"], "demo": whole["since"]}
    counted = (await api.as_(None).get("/metrics")).text
    assert 'gateway_paused{scope="organisation"} 1.0' in counted
    assert 'gateway_paused{scope="agent"} 1.0' in counted
    assert 'gateway_waiting{what="dead_letters"} 0.0' in counted
    for switch in (ORGANISATION, AGENT, AGENT):
        assert (await api.call("DELETE", switch)).json["paused"] is False
    assert await _since(app) == {"steered": None, "demo": None}


async def test_metrics_wait_for_no_database_that_hangs(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    store = type(api.app.store)
    real = store.read

    async def read(self: Any, unit: Any, *arguments: Any) -> Any:
        if unit is backlog:
            await asyncio.Event().wait()
        return await real(self, unit, *arguments)

    monkeypatch.setattr(store, "read", read)
    monkeypatch.setattr("gateway.api.health.LOOK_SECONDS", 0.1)
    async with asyncio.timeout(60):
        assert "gateway_turns_total" in (await api.as_(None).get("/metrics")).text


async def _since(api: Api) -> dict[str, str | None]:
    items = (await api.get("/v1/agents")).json["items"]
    return {agent["slug"]: agent["paused_since"] for agent in items}


async def test_nothing_is_sent_until_it_may(any_database_url: str | None, tmp_path: Path) -> None:
    fake = FakeTwilio("AC" + "0" * 32, "token")
    await fake.start()
    account = {
        "TWILIO_ACCOUNT_SID": fake.account_sid,
        "TWILIO_AUTH_TOKEN": "token",
        "TWILIO_API_URL": fake.url,
    }
    async with gateway(tmp_path, any_database_url, **account) as api:
        person = await api.person("+14155550123", "sms")
        await api.call("PUT", ORGANISATION)
        path = await api.conversation(end_user_id=person, channel="sms", first_message="Hello.")
        assert (await api.turn(path, "hi")).json["path"] == "queued"
        for said in ("Jamie here.", "Well?"):
            await api.post(f"{path}/human-turns", {"content": said, "take_over": True})
        await asyncio.sleep(0.3)  # what would be sent is sent within milliseconds
        assert fake.messages == []
        await api.call("DELETE", ORGANISATION)
        sent = await eventually(lambda: _sent(fake, 2))
        assert sent == ["Jamie here.", "Well?"]  # what the agent had said was taken back
    await fake.stop()


async def _sent(fake: FakeTwilio, count: int) -> list[str]:
    bodies = [message.body for message in fake.messages]
    return bodies if len(bodies) == count else []


async def test_the_command_line_and_a_restart(tmp_path: Path) -> None:
    async with gateway(tmp_path) as api:
        path = await api.conversation()
        assert (await command(tmp_path, "pause", "steered", "--reason", "it raves"))[0] == 0
        assert (await api.get(AGENT)).json["by"] == BY
        assert (await api.turn(path, "one")).json["path"] == "queued"
    async with gateway(tmp_path) as api:
        assert (await api.turn(path, "two")).json["path"] == "queued"
        code, told = await command(tmp_path, "doctor")
        assert code == 0
        assert "agent steered is paused since" in told
        code, told = await command(tmp_path, "pause", "nobody")
        assert code == 2
        assert "it has steered, demo" in told
        assert await command(tmp_path, "resume", "steered") == (0, "the agent steered goes on\n")
        code, told = await command(tmp_path, "resume")
        assert (code, told) == (1, "gateway: the organisation Here is not paused\n")
        assert await eventually(lambda: _answered(api, path)) == ["one", "two", "Re: one\ntwo."]


async def command(folder: Path, *arguments: str) -> tuple[int, str]:
    """A command beside the running gateway: its exit code, and what it printed."""
    words = [*arguments, "--config", str(folder / "gateway.toml"), "--data-dir", str(folder)]
    result = await asyncio.to_thread(CliRunner().invoke, cli, words)
    return result.exit_code, result.output
