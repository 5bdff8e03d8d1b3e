"""Health, metrics, and an end by SIGTERM that loses nothing."""

import asyncio
import signal
from uuid import uuid4

import aiohttp
import pytest

from tests.acceptance.conftest import CONVERSATIONS, Site, until
from tests.deployments import CLIENT, QUOTE_NUMBER, SLOW_NUMBER

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_health_readiness_and_metrics(site: Site) -> None:
    for url in site.deployment.urls:
        async with site.http.get(f"{url}/healthz") as response:
            assert response.status == 200
        async with site.http.get(f"{url}/readyz") as response:
            assert response.status == 200, await response.text()
        async with site.http.get(f"{url}/metrics") as response:
            assert response.status == 200
            assert "# TYPE" in await response.text()


@pytest.mark.parametrize("site", ["distributed"], indirect=True)  # one process serves HTTP anyway
async def test_processes_without_http_show_their_health_and_count_where_they_are_told_to(site: Site) -> None:
    async with site.http.get(f"http://{site.deployment.health}/readyz") as response:
        assert response.status == 200, await response.text()
        assert (await response.json())["checks"] == {"database": "ok", "bus": "ok"}
    number = site.number()
    await site.twilio.text(number, QUOTE_NUMBER, "counted")
    await site.texts_to(number, 1)
    async with site.http.get(f"http://{site.deployment.health}/metrics") as response:
        assert "gateway_turns_total" in await response.text()
    async with site.http.get(f"http://{site.deployment.health}/v1/agents") as response:
        assert response.status == 404


async def test_sigterm_with_a_turn_in_flight_answers_it_once(site: Site) -> None:
    """Each process that works is ended in turn, so that the one at work is among them."""
    number = site.number()
    for place, process in enumerate(site.deployment.named("worker")):
        await site.twilio.text(number, SLOW_NUMBER, f"wait 2 text{place}")
        await asyncio.sleep(0.5)
        assert await process.terminate() == 0
        await process.start()
        texts = await site.texts_to(number, place + 1)
        assert [text.body for text in texts][place] == f"Well: <wait 2 text{place}>"
        assert len(texts) == place + 1


async def test_sigterm_lets_a_waiting_request_have_its_answer(site: Site) -> None:
    conversation_id = await site.new_conversation(assistant_id="slow")
    serving = site.deployment.named("serve")[0]
    url = f"{site.deployment.urls[0]}{CONVERSATIONS}/{conversation_id}/turns"

    async def ask() -> tuple[int, str]:
        body = {"user_message": "wait 2"}
        async with site.http.post(url, json=body, headers={"x-api-key": CLIENT}) as response:
            return response.status, (await response.json())["text"]

    asking = asyncio.create_task(ask())

    async def begun() -> bool:
        return bool(await site.messages(conversation_id))

    await until(begun, "the turn to begin")
    serving.send(signal.SIGTERM)
    assert await asking == (200, "Well: <wait 2>")
    assert await serving.ended(30) == 0
    await serving.start()


async def test_a_worker_killed_in_the_middle_of_a_turn_is_stood_in_for(site: Site) -> None:
    number, text = site.number(), f"wait 1 {uuid4().hex[:6]}"
    await site.twilio.text(number, SLOW_NUMBER, text)
    await asyncio.sleep(0.5)
    for process in site.deployment.named("worker"):
        await process.kill()
    await site.deployment.start()
    await until(lambda: _answered(site, number), "the answer")
    assert [one.body for one in site.twilio.by_pair(number)] == [f"Well: <{text}>"]


@pytest.mark.parametrize("site", ["distributed"], indirect=True)  # one process dies with its listeners
async def test_what_was_shown_of_a_killed_attempt_is_never_followed_by_another(site: Site) -> None:
    """The stream ends with an error; a request that was shown nothing gets the second attempt's answer."""
    shown, waiting = [await site.new_conversation(assistant_id="slow") for _ in range(2)]
    killed = asyncio.Event()
    streaming = asyncio.create_task(_stream(site, shown, killed))
    asking = asyncio.create_task(
        site.call("POST", f"{CONVERSATIONS}/{waiting}/turns", {"user_message": "wait 3"}, patience=60)
    )
    await asyncio.wait_for(killed.wait(), 60)
    for process in site.deployment.named("worker"):
        await process.kill()
    await site.deployment.start()

    raw = await streaming
    assert raw.startswith('event: delta\ndata: {"text":"Well: "}\n\n')
    frames = [frame for frame in raw.split("\n\n") if frame and not frame.startswith(":")]
    assert len(frames) == 2, raw
    assert frames[1].startswith("event: error\n")
    assert '"turn_interrupted"' in frames[1]
    answer = await asking
    assert (answer.status, answer.body["text"]) == (200, "Well: <wait 3>")
    assert [m["content"] for m in await site.messages(waiting)] == ["wait 3", "Well: <wait 3>"]


async def _stream(site: Site, conversation_id: str, shown: asyncio.Event) -> str:
    """All of a stream; the event is set once something has been shown."""
    async with site.http.post(
        f"{site.deployment.urls[0]}{CONVERSATIONS}/{conversation_id}/turns/stream",
        json={"user_message": "wait 3"},
        headers={"x-api-key": CLIENT},
        timeout=aiohttp.ClientTimeout(total=60),
    ) as response:
        raw = ""
        async for piece in response.content.iter_any():
            raw += piece.decode()
            if "Well: " in raw:
                shown.set()
    return raw


async def _answered(site: Site, number: str) -> bool:
    return bool(site.twilio.by_pair(number))
