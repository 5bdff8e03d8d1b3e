"""HTTP agents over loopback: the scripted one, and one whose bytes the test decides."""

import asyncio
import gzip
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager

import pytest

from gateway.domain.agent import AgentEvent, AgentFailed, ApprovalDecision, Delta
from gateway.domain.clock import SECOND, Clock
from gateway.domain.signing import verify
from tests.turns import turn_of
from workers.agents.answer import MAX_LINE
from workers.agents.fake import AgentFault, AgentRequest, Answer, ScriptedHttpAgent
from workers.agents.http import HttpAgent, HttpAgents

NOW = 1_800_000_000
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
STREAM: Answer = [
    {"type": "delta", "text": "You said "},
    {"type": "delta", "text": "hello"},
    {"type": "end", "reason": "done"},
]
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
async def http() -> AsyncIterator[HttpAgents]:
    async with HttpAgents(SECRET, Clock(now=lambda: NOW * SECOND)) as agents:
        yield agents


@asynccontextmanager
async def scripted(*answers: Answer) -> AsyncIterator[ScriptedHttpAgent]:
    agent = ScriptedHttpAgent(answers, secret=SECRET, clock=lambda: NOW)
    await agent.start()
    try:
        yield agent
    finally:
        await agent.stop()


@asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[str]:
    """A server that reads one request whole, then does as the test says."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line.partition(b":")[2])
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"content-length:")
            )
            await reader.readexactly(length)
            await serve(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/turn"
    finally:
        server.close()
        await server.wait_closed()


def chunk(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(body), body)


def line(text: str) -> bytes:
    return json.dumps({"type": "delta", "text": text}).encode() + b"\n"


def start(http: HttpAgents, url: str) -> AsyncGenerator[AgentEvent, None]:
    stream = HttpAgent(url, http).answer(turn_of("hello"))
    assert isinstance(stream, AsyncGenerator)
    return stream


async def collect(http: HttpAgents, url: str) -> list[AgentEvent]:
    async with asyncio.timeout(60), aclosing(start(http, url)) as stream:
        return [event async for event in stream]


async def failure(http: HttpAgents, url: str) -> str:
    with pytest.raises(AgentFailed) as caught:
        await collect(http, url)
    assert "secret1234" not in str(caught.value)
    return caught.value.reason


async def answered(http: HttpAgents, response: bytes) -> str:
    """How the agent fails when this is the response."""

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(response)
        await writer.drain()

    async with serving(serve) as url:
        return await failure(http, url)


def response_of(content_type: str, body: bytes, status: str = "200 OK", more: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    return head.encode() + body


async def test_a_stream_of_events(http: HttpAgents) -> None:
    async with scripted(STREAM) as agent:
        events = await collect(http, agent.url)
    assert [event.type for event in events] == ["delta", "delta", "end"]


async def test_one_object(http: HttpAgents) -> None:
    async with scripted({"text": "Hello", "handoff": {"reason": "asked"}}) as agent:
        assert [event.type for event in await collect(http, agent.url)] == ["delta", "handoff"]


async def test_the_request_is_the_turn_signed(http: HttpAgents) -> None:
    async with scripted(STREAM) as agent:
        await collect(http, agent.url)
        [request] = agent.requests
    assert request.verified
    assert request.headers["Idempotency-Key"] == request.headers["webhook-id"] == "turn-1"
    assert request.headers["webhook-timestamp"] == str(NOW)
    assert request.headers["Content-Type"] == "application/json"
    turn = request.turn
    assert (turn["protocol"], turn["turn_id"], turn["input"], turn["approval"]) == (1, "turn-1", [2], None)
    assert turn["messages"][2]["content"] == "hello"
    assert turn["agent"] == {"id": "agent-1", "revision_id": "revision-1"}
    assert not verify("other", "turn-1", str(NOW), b"", request.headers["webhook-signature"], now=NOW)


async def test_a_decision_is_handed_on(http: HttpAgents) -> None:
    turn = turn_of("refund", decision="approve")
    async with scripted(STREAM) as agent:
        async for _ in HttpAgent(agent.url, http).answer(turn):
            pass
        [request] = agent.requests
    assert ApprovalDecision.model_validate(request.turn["approval"]) == turn.approval


async def test_without_a_secret_nothing_is_signed() -> None:
    agent = ScriptedHttpAgent([STREAM])
    await agent.start()
    async with HttpAgents(None, Clock()) as http:
        await collect(http, agent.url)
    await agent.stop()
    [request] = agent.requests
    assert "webhook-signature" not in request.headers
    assert isinstance(request, AgentRequest)


async def test_another_secret_is_refused_by_the_agent() -> None:
    async with HttpAgents("other", Clock(now=lambda: NOW * SECOND)) as http, scripted(STREAM) as agent:
        assert await failure(http, agent.url) == "the agent answered with status 401"


async def test_deltas_arrive_before_the_end(http: HttpAgents) -> None:
    go_on = asyncio.Event()

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + chunk(line("first")))
        await go_on.wait()
        writer.write(chunk(line("second")) + b"0\r\n\r\n")
        await writer.drain()

    async with serving(serve) as url, asyncio.timeout(60), aclosing(start(http, url)) as stream:
        assert await anext(stream) == Delta(text="first")
        go_on.set()
        assert await anext(stream) == Delta(text="second")
        assert await anext(stream, None) is None


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (AgentFault.SERVER_ERROR, "the agent answered with status 500"),
        (AgentFault.INVALID_EVENT, "an event that is not valid: type (union_tag_invalid)"),
        (AgentFault.BROKEN_STREAM, "the agent's answer broke off (ClientPayloadError)"),
    ],
)
async def test_faults(http: HttpAgents, fault: AgentFault, reason: str) -> None:
    async with scripted(STREAM) as agent:
        agent.fail_next(fault)
        assert await failure(http, agent.url) == reason
        assert len(await collect(http, agent.url)) == 3


async def test_what_came_before_a_break_was_streamed(http: HttpAgents) -> None:
    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + chunk(line("first")))
        await writer.drain()

    async with serving(serve) as url, asyncio.timeout(60), aclosing(start(http, url)) as stream:
        assert await anext(stream) == Delta(text="first")
        with pytest.raises(AgentFailed, match="broke off"):
            await anext(stream)


@pytest.mark.parametrize("streaming", [True, False])
async def test_closing_drops_the_connection(http: HttpAgents, streaming: bool) -> None:
    asked, dropped = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + chunk(line("first")) if streaming else b"")
        asked.set()
        assert await reader.read() == b""
        dropped.set()

    async with serving(serve) as url, asyncio.timeout(60):
        stream = start(http, url)
        if streaming:
            await anext(stream)
        else:
            waiting = asyncio.create_task(asyncio.wait_for(anext(stream), 60))
            await asked.wait()
            waiting.cancel()
            await asyncio.wait({waiting})
        await stream.aclose()
        await dropped.wait()


async def test_a_slow_agent_is_cut_off_by_who_waits_for_it(http: HttpAgents) -> None:
    async with scripted(STREAM) as agent:
        agent.fail_next(AgentFault.NO_ANSWER)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await collect(http, agent.url)


async def test_a_connection_is_used_again(http: HttpAgents) -> None:
    peers: set[object] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peers.add(writer.get_extra_info("peername"))
        body = b'{"text": "Hi"}'
        writer.write(response_of("application/json; charset=utf-8", body))
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"POST /turn ")
        writer.write(response_of("application/json", body))
        await reader.read()

    async with serving(serve) as url:
        assert await collect(http, url) == await collect(http, url) == [Delta(text="Hi")]
        assert len(peers) == 1
        await http.__aexit__(None, None, None)


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (
            HEAD + chunk(b"x" * (MAX_LINE // 2)) + chunk(b"x" * MAX_LINE),
            f"an event of more than {MAX_LINE} bytes",
        ),
        (
            response_of("text/html", b"secret1234"),
            "the agent answered neither application/json nor application/x-ndjson",
        ),
        (response_of("application/json", b"secret1234"), "the agent's answer is not JSON"),
        (response_of("text/plain", b"secret1234", "404 Not Found"), "the agent answered with status 404"),
        (
            response_of("text/plain", b"", "307 Temporary Redirect", "Location: /turn?secret1234\r\n"),
            "the agent answered with status 307",
        ),
        (
            response_of("application/json", gzip.compress(b"{}"), more="Content-Encoding: gzip\r\n"),
            "the agent answered compressed, which was not asked for",
        ),
        (b"secret1234\r\n\r\n", "the agent's answer broke off (ClientResponseError)"),
        (b"", "the agent's answer broke off (ServerDisconnectedError)"),
    ],
)
async def test_answers_that_are_none(http: HttpAgents, response: bytes, reason: str) -> None:
    assert await answered(http, response) == reason


async def test_an_agent_that_is_not_there(http: HttpAgents) -> None:
    async with scripted(STREAM) as agent:
        url = agent.url
    assert await failure(http, url) == "the agent could not be reached (ClientConnectorError)"


async def test_asking_while_nothing_is_open_is_a_fault_of_ours() -> None:
    with pytest.raises(RuntimeError, match="open"):
        await collect(HttpAgents(None, Clock()), "http://127.0.0.1:9/turn")
