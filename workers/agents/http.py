"""Agents over HTTP: a turn is posted, its answer is streamed as it arrives.

Protocol: contract/runtime.md, "Agent protocol over HTTP". Nothing of an answer's body gets into a failure.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import TracebackType
from typing import Self

import aiohttp

from gateway.domain.agent import AgentEvent, AgentFailed, TurnRequest
from gateway.domain.clock import SECOND, Clock
from gateway.domain.signing import sign, signing_key
from workers.agents.answer import OBJECT_TYPE, STREAM_TYPE, Answer, answer_of

CONNECT_SECONDS = 5.0

KEEP_ALIVE_SECONDS = 4.0
"""Less than the 5 s after which the usual servers drop an idle connection: a POST must not meet that end."""


class HttpAgents:
    """The connections to all agents over HTTP; entered by the composition root, open while turns run."""

    def __init__(self, secret: str | None, clock: Clock) -> None:
        """`secret` signs every request (`GATEWAY_AGENT_SECRET`); ValueError if it is not usable."""
        if secret is not None:
            signing_key(secret)
        self._secret = secret
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None
        self._kept = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            # The turn worker's time-out bounds an answer, and its concurrency the connections.
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS),
            timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._kept.aclose()
        if self._session is not None:
            await self._session.close()
            self._session = None

    @property
    def clock(self) -> Clock:
        """What time is read from."""
        return self._clock

    async def keep(self, connections: AbstractAsyncContextManager[object]) -> None:
        """Open connections of another kind, and close them with these."""
        await self._kept.enter_async_context(connections)

    @property
    def session(self) -> aiohttp.ClientSession:
        """For requests of other kinds; RuntimeError while the connections are not open."""
        if self._session is None:
            raise RuntimeError("agents can be asked only while their connections are open")
        return self._session

    def post(self, url: str, turn: TurnRequest) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """The request that asks for one turn."""
        body = turn.model_dump_json().encode()
        return self.session.post(url, data=body, headers=self._headers(turn, body), allow_redirects=False)

    def _headers(self, turn: TurnRequest, body: bytes) -> dict[str, str]:
        timestamp = self._clock.now() // SECOND
        headers = {
            "Content-Type": OBJECT_TYPE,
            "Accept": f"{STREAM_TYPE}, {OBJECT_TYPE}",
            "Accept-Encoding": "identity",
            "Idempotency-Key": turn.turn_id,
            "webhook-id": turn.turn_id,
            "webhook-timestamp": str(timestamp),
        }
        if self._secret is not None:
            headers["webhook-signature"] = sign(self._secret, turn.turn_id, timestamp, body)
        return headers


class HttpAgent:
    """One agent behind a URL."""

    def __init__(self, url: str, agents: HttpAgents) -> None:
        self._url = url
        self._agents = agents

    async def answer(self, turn: TurnRequest) -> AsyncIterator[AgentEvent]:
        """Ask, and stream the answer; closing the iterator drops the connection."""
        try:
            async with self._agents.post(self._url, turn) as response:
                answer = _answer_of(response)
                async for piece in response.content.iter_any():
                    for event in answer.feed(piece):
                        yield event
                for event in answer.end():
                    yield event
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise AgentFailed(f"the agent could not be reached ({type(error).__name__})") from None
        except (aiohttp.ClientError, OSError) as error:
            raise AgentFailed(f"the agent's answer broke off ({type(error).__name__})") from None


def _answer_of(response: aiohttp.ClientResponse) -> Answer:
    if not 200 <= response.status < 300:
        raise AgentFailed(f"the agent answered with status {response.status}")
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise AgentFailed("the agent answered compressed, which was not asked for")
    return answer_of(response.content_type)
