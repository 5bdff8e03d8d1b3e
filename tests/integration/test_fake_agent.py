"""The scripted HTTP agent, over real connections."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

import aiohttp
import pytest

from gateway.domain.signing import sign
from workers.agents.fake import AgentFault, Answer, ScriptedHttpAgent

TURN = {"protocol": 1, "turn_id": "t1", "messages": [{"seq": 1, "content": "grüß dich"}]}
EVENTS: Sequence[Answer] = [[{"type": "delta", "text": "héllo "}, {"type": "delta", "text": "there"}]]
SECRET = "whsec_c2VjcmV0IG9mIHRoZSBhZ2VudA=="
NOW = 1_790_000_000

Starter = Callable[..., Awaitable[ScriptedHttpAgent]]


@pytest.fixture
async def started() -> AsyncIterator[Starter]:
    agents: list[ScriptedHttpAgent] = []

    async def start(
        script: Callable[[Mapping[str, Any]], Answer] | Sequence[Answer] = EVENTS, secret: str | None = None
    ) -> ScriptedHttpAgent:
        agent = ScriptedHttpAgent(script, secret=secret, clock=lambda: NOW)
        await agent.start()
        agents.append(agent)
        return agent

    yield start
    for agent in agents:
        await agent.stop()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        yield session


async def ask(
    session: aiohttp.ClientSession, agent: ScriptedHttpAgent, headers: dict[str, str] | None = None
) -> tuple[int, str, str]:
    """Status, content type and body of one turn's answer."""
    async with session.post(agent.url, data=json.dumps(TURN), headers=headers) as response:
        return response.status, response.content_type, await response.text()


async def collect(response: aiohttp.ClientResponse, received: bytearray) -> None:
    async for piece in response.content.iter_any():
        received += piece


async def test_a_stream_of_events(started: Starter, session: aiohttp.ClientSession) -> None:
    agent = await started()
    status, kind, body = await ask(session, agent, {"Idempotency-Key": "t1"})
    assert (status, kind) == (200, "application/x-ndjson")
    assert [json.loads(line) for line in body.splitlines()] == EVENTS[0]
    (request,) = await agent.wait_for(1, timeout=60)
    assert (request.turn, request.headers["idempotency-key"]) == (TURN, "t1")
    assert request.verified is None


async def test_one_json_object_by_a_function(started: Starter, session: aiohttp.ClientSession) -> None:
    agent = await started(lambda turn: {"text": turn["messages"][0]["content"].upper()})
    status, kind, body = await ask(session, agent)
    assert (status, kind, json.loads(body)) == (200, "application/json", {"text": "GRÜSS DICH"})


async def test_answers_come_in_order_and_the_last_stays(
    started: Starter, session: aiohttp.ClientSession
) -> None:
    agent = await started([{"text": "one"}, {"text": "two"}])
    assert [json.loads((await ask(session, agent))[2])["text"] for _ in range(3)] == ["one", "two", "two"]
    with pytest.raises(ValueError, match="empty"):
        ScriptedHttpAgent([])


async def test_a_server_error_and_then_an_answer(started: Starter, session: aiohttp.ClientSession) -> None:
    agent = await started()
    agent.fail_next(AgentFault.SERVER_ERROR, 2)
    assert [(await ask(session, agent))[0] for _ in range(3)] == [500, 500, 200]


@pytest.mark.parametrize("answer", [EVENTS[0], {"text": "héllo there"}])
async def test_a_stream_that_breaks_in_mid_line(
    started: Starter, session: aiohttp.ClientSession, answer: Answer
) -> None:
    agent = await started([answer])
    agent.fail_next(AgentFault.BROKEN_STREAM)
    async with session.post(agent.url, json=TURN) as response:
        received = bytearray()
        with pytest.raises(aiohttp.ClientPayloadError):
            await collect(response, received)
    assert received
    with pytest.raises(json.JSONDecodeError):
        json.loads(received.splitlines()[-1])


async def test_an_event_that_is_not_one(started: Starter, session: aiohttp.ClientSession) -> None:
    agent = await started()
    agent.fail_next(AgentFault.INVALID_EVENT)
    _, _, body = await ask(session, agent)
    assert [json.loads(line)["type"] for line in body.splitlines()] == ["delta", "delta", "no_such_event"]


async def test_no_answer_until_it_stops(started: Starter, session: aiohttp.ClientSession) -> None:
    agent = await started()
    agent.fail_next(AgentFault.NO_ANSWER)
    asking = asyncio.create_task(ask(session, agent))
    await agent.wait_for(1, timeout=60)
    done, _ = await asyncio.wait([asking], timeout=0.1)
    assert not done
    await agent.stop()
    with pytest.raises(aiohttp.ClientConnectionError):
        await asking


async def test_delay_and_pace(started: Starter, session: aiohttp.ClientSession) -> None:
    agent = await started()
    agent.delay_seconds, agent.pace_seconds = 0.1, 0.2
    loop = asyncio.get_running_loop()
    began = loop.time()
    arrivals = []
    async with session.post(agent.url, json=TURN) as response:
        async for _ in response.content:
            arrivals.append(loop.time() - began)
    assert len(arrivals) == 2
    assert arrivals[0] >= 0.1
    assert arrivals[1] >= 0.3


@pytest.mark.parametrize(
    ("secret", "moment", "verified"),
    [(SECRET, NOW, True), ("other", NOW, False), (SECRET, NOW - 3600, False)],
)
async def test_signatures_are_checked(
    started: Starter, session: aiohttp.ClientSession, secret: str, moment: int, verified: bool
) -> None:
    agent = await started(secret=SECRET)
    assert agent.verified is False
    headers = {
        "webhook-id": "t1",
        "webhook-timestamp": str(moment),
        "webhook-signature": sign(secret, "t1", moment, json.dumps(TURN).encode()),
    }
    status, _, _ = await ask(session, agent, headers)
    assert (status, agent.verified) == (200 if verified else 401, verified)
    assert (await ask(session, agent))[0] == 401
    assert agent.verified is False


async def test_what_is_not_json_is_refused(started: Starter, session: aiohttp.ClientSession) -> None:
    agent = await started()
    async with session.post(agent.url, data=b"{") as response:
        assert response.status == 400
    assert not agent.requests
