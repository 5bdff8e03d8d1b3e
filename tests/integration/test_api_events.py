"""The events of a conversation over HTTP: in order, each once, over drops, restarts and processes."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.api.wakes import rung
from tests.integration.api import Api, gateway
from tests.integration.api_agents import Steering
from tests.integration.events import Event, events, message

HUMAN = "human please"


def place(api: Api, path: str) -> str:
    """The URL of a conversation."""
    return api.app.http_url + path


async def everything(api: Api, path: str) -> list[Event]:
    """All events of a conversation that has ended."""
    async with events(api.session, place(api, path), "app", "0") as stream:
        return await stream.rest()


async def test_all_that_happens_is_an_event_in_the_shape_of_its_own_route(any_api: Api) -> None:
    path = await any_api.conversation(assistant_id="demo")
    await any_api.turn(path, "Hi")
    await any_api.turn(path, HUMAN)
    human = path.replace("/v1/v2/", "/v1/") + "/human-turns"
    desk = any_api.as_("desk")
    await desk.post(human, {"content": "Hello, this is Jamie."})
    await desk.post(human, {"return_control": True})
    await any_api.post(f"{path}/close")

    seen = await everything(any_api, path)
    assert [event.id for event in seen] == [str(n) for n in range(1, len(seen) + 1)]
    polled = (await any_api.get(f"{path}/messages")).json["messages"]
    assert [event.data for event in seen if event.name == "message"] == polled
    changes = [event.data for event in seen if event.name == "status"]
    assert [(change["previous"], change["session_status"]) for change in changes] == [
        ("active", "waiting_for_human"),
        ("waiting_for_human", "active"),
        ("active", "closed"),
    ]
    assert all(change.keys() == {"session_status", "previous", "at"} for change in changes)
    (handoff,) = (await desk.get("/v1/hitl/handoffs")).json["items"]
    assert [event.data for event in seen if event.name == "handoff"][-1] == handoff
    assert seen[-1].name == "status"


async def test_an_approval_is_an_event(api: Api) -> None:
    path = await api.conversation()
    await api.turn(path, "pay")
    async with events(api.session, place(api, path), "app", "0") as stream:
        *_, asked = await stream.until(lambda event: event.name == "approval")
    assert asked.data == (await api.get("/v1/hitl/approvals")).json["items"][0]


async def test_a_reader_begins_now_and_is_told_at_once(any_api: Api) -> None:
    path = await any_api.conversation()
    await any_api.turn(path, "Before")
    async with events(any_api.session, place(any_api, path), "app") as stream:
        await any_api.turn(path, "After")
        found = await stream.until(message("Re: After."))
        assert [event.data["content"] for event in found] == ["After", "Re: After."]
        await any_api.post(f"{path}/close")
        assert [event.data["session_status"] for event in await stream.rest()] == ["closed"]
    async with events(any_api.session, place(any_api, path), "app") as stream:
        assert await stream.rest() == []


async def test_a_reader_goes_on_where_it_was_cut_off(any_api: Api) -> None:
    path = await any_api.conversation()
    for text in "abc":
        await any_api.turn(path, text)
    await any_api.post(f"{path}/close")
    whole = await everything(any_api, path)
    for cut in range(len(whole) + 1):
        last = whole[cut - 1].id if cut else "0"
        async with events(any_api.session, place(any_api, path), "app", last) as stream:
            assert await stream.rest() == whole[cut:]


async def test_a_long_timeline_comes_whole(api: Api) -> None:
    path = await api.conversation(assistant_id="demo")
    await api.turn(path, HUMAN)
    for n in range(120):
        await api.turn(path, str(n))
    await api.post(f"{path}/close")
    seen = await everything(api, path)
    texts = [event.data["content"] for event in seen if event.name == "message"]
    assert texts[-120:] == [str(n) for n in range(120)]
    assert [event.id for event in seen] == [str(n) for n in range(1, len(seen) + 1)]


async def test_what_is_wrong_is_a_status(api: Api) -> None:
    path = await api.conversation()
    for last in ("1", "-1", "x", "0.0", "9" * 19, ""):
        refused = await api.get(f"{path}/events", headers={"Last-Event-ID": last})
        assert refused.error == (400, "invalid_cursor"), last
    assert (await api.as_("other").get(f"{path}/events")).error == (404, "not_found")
    assert (await api.as_(None).get(f"{path}/events")).error == (401, "unauthorized")


async def test_a_restart_lets_readers_go_at_once_and_they_go_on_after_it(
    any_database_url: str | None, tmp_path: Path, steering: Steering, monkeypatch: pytest.MonkeyPatch
) -> None:
    held_open = asyncio.Event()

    async def patient(ring: asyncio.Event, _seconds: float) -> None:
        held_open.set()
        await rung(ring, 600.0)  # a poll does not end by itself

    monkeypatch.setattr("gateway.api.turns.rung", patient)
    async with aiohttp.ClientSession() as session:
        async with AsyncExitStack() as held:
            async with (
                asyncio.timeout(60),
                gateway(tmp_path, any_database_url, GATEWAY_DRAIN_SECONDS="600") as api,
            ):
                path = await api.conversation()
                await api.turn(path, "Before")
                stream = await held.enter_async_context(events(session, place(api, path), "app", "0"))
                await stream.until(message("Before"))
                poll = f"{place(api, path)}/messages?since_seq=9&wait=30"
                polling = asyncio.create_task(_get(session, poll))
                await held_open.wait()
            assert (await polling)["messages"] == []
            await stream.rest()
        async with gateway(tmp_path, any_database_url) as api:
            await api.turn(path, "After")
            await api.post(f"{path}/close")
            async with events(session, place(api, path), "app", stream.seen[-1].id) as later:
                await later.rest()
            seen = stream.seen + later.seen
            assert seen == await everything(api, path)
    texts = [event.data["content"] for event in seen if event.name == "message"]
    assert texts == ["Before", "Re: Before.", "After", "Re: After."]


async def _get(session: aiohttp.ClientSession, url: str) -> Any:
    async with session.get(url, headers={"x-api-key": "app"}) as response:
        return await response.json()
