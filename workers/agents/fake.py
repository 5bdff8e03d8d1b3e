"""A scripted agent over HTTP: answers turns as it was told to, keeps what it was asked, fails on request.

It speaks the agent protocol of the running contract (`POST` with the turn as JSON; an answer as one JSON
object or as a stream of events, one a line). It stands in for a customer's agent in `make demo` and in tests.
"""

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from aiohttp import web
from multidict import CIMultiDictProxy

from gateway.domain.signing import verify
from workers.agents.fake_server import ScriptedServer, break_off

PATH: Final = "/turn"

Event = Mapping[str, Any]
Answer = Event | Sequence[Event]
"""A mapping is answered as one JSON object, a sequence as a stream of events."""


class AgentFault(StrEnum):
    """What an agent may do wrong."""

    SERVER_ERROR = "server_error"
    """Answers 500."""
    BROKEN_STREAM = "broken_stream"
    """Streams its events, but the connection ends in the middle of the last line."""
    INVALID_EVENT = "invalid_event"
    """Streams its events, then a line that is no event."""
    NO_ANSWER = "no_answer"
    """Takes the request and never answers."""


@dataclass(frozen=True, slots=True)
class AgentRequest:
    """One request, as it came."""

    headers: CIMultiDictProxy[str]
    turn: Mapping[str, Any]
    verified: bool | None
    """Whether its signature was good; None where the agent knows no secret."""


class ScriptedHttpAgent(ScriptedServer[Mapping[str, Any], Answer, AgentFault]):
    """Serves `PATH` on a loopback port.

    The script is a function of the turn, or a list of answers (`ScriptedServer`). `delay_seconds` is waited
    before each answer, `pace_seconds` between the events of a stream; both may be changed at any time. With a
    secret, unsigned and wrongly signed requests are answered 401.
    """

    def __init__(
        self,
        script: Callable[[Mapping[str, Any]], Answer] | Sequence[Answer],
        *,
        secret: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`clock` gives seconds since the epoch; a list of no answers is a ValueError."""
        super().__init__(PATH, script)
        self.delay_seconds = 0.0
        self.pace_seconds = 0.0
        self.url = ""
        """Where turns are to be posted."""
        self.requests: list[AgentRequest] = []
        self._secret = secret
        self._clock = clock
        self._changed = asyncio.Condition()

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Listen, and return the URL of the agent. Raises OSError where the port is taken."""
        self.url = await self.listen(host, port) + PATH
        return self.url

    @property
    def verified(self) -> bool:
        """Whether there were requests and each of them was well signed."""
        return bool(self.requests) and all(request.verified for request in self.requests)

    async def wait_for(self, count: int, timeout: float) -> Sequence[AgentRequest]:
        """Wait until there were `count` requests and return all; TimeoutError after `timeout` seconds."""
        async with asyncio.timeout(timeout), self._changed:
            await self._changed.wait_for(lambda: len(self.requests) >= count)
        return tuple(self.requests)

    async def take(self, request: web.Request) -> web.StreamResponse:
        """Keep a turn, and answer it."""
        body = await request.read()
        try:
            turn = json.loads(body)
        except ValueError as error:
            raise web.HTTPBadRequest(text="not JSON") from error
        taken = AgentRequest(request.headers, turn, self._verify(request.headers, body))
        async with self._changed:
            self.requests.append(taken)
            self._changed.notify_all()
        if taken.verified is False:
            raise web.HTTPUnauthorized(text="bad signature")
        return await self._answer(request, turn)

    async def _answer(self, request: web.Request, turn: Mapping[str, Any]) -> web.StreamResponse:
        fault = self.next_fault()
        await asyncio.sleep(self.delay_seconds)
        if fault is AgentFault.SERVER_ERROR:
            raise web.HTTPInternalServerError(text="the agent failed")
        if fault is AgentFault.NO_ANSWER:
            return await self.hold(request)
        answer = self.next_answer(turn)
        if isinstance(answer, Mapping):
            if fault is None:
                return web.json_response(answer)
            answer = [{"type": "delta", **answer}]
        return await self._stream(request, answer, fault)

    async def _stream(
        self, request: web.Request, events: Sequence[Event], fault: AgentFault | None
    ) -> web.StreamResponse:
        lines = [json.dumps(event, ensure_ascii=False).encode() + b"\n" for event in events]
        if fault is AgentFault.INVALID_EVENT:
            lines.append(b'{"type": "no_such_event"}\n')
        if fault is AgentFault.BROKEN_STREAM and lines:
            lines[-1] = lines[-1][: len(lines[-1]) // 2]
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        for index, line in enumerate(lines):
            if index:
                await asyncio.sleep(self.pace_seconds)
            await response.write(line)
        if fault is AgentFault.BROKEN_STREAM:
            break_off(request)
        else:
            await response.write_eof()
        return response

    def _verify(self, headers: CIMultiDictProxy[str], body: bytes) -> bool | None:
        if self._secret is None:
            return None
        return verify(
            self._secret,
            headers.get("webhook-id", ""),
            headers.get("webhook-timestamp", ""),
            body,
            headers.get("webhook-signature", ""),
            now=int(self._clock()),
        )
