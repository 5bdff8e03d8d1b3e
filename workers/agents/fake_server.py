"""What the scripted fakes of agents and models share: a server that follows a script and fails on request."""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

from aiohttp import web

MAX_REQUEST_BYTES: Final = 16 * 1024 * 1024

Asked = TypeVar("Asked")
Said = TypeVar("Said")
Fault = TypeVar("Fault")


class ScriptedServer(ABC, Generic[Asked, Said, Fault]):
    """Serves one path.

    The script is a function of what is asked, or a list of answers given one after another, the last one from
    then on.
    """

    def __init__(self, path: str, script: Callable[[Asked], Said] | Sequence[Said]) -> None:
        """A list of no answers is a ValueError."""
        if not callable(script) and not script:
            raise ValueError("the script is empty")
        self._path = path
        self._script = script
        self._asked = 0
        self._faults: deque[Fault] = deque()
        self._stopping = asyncio.Event()
        self._runner: web.AppRunner | None = None

    async def listen(self, host: str, port: int) -> str:
        """Listen, and return `http://host:port`. Raises OSError where the port is taken."""
        app = web.Application(client_max_size=MAX_REQUEST_BYTES)
        self.add_routes(app.router)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        return f"http://{host}:{self._runner.addresses[0][1]}"

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """What is served."""
        router.add_post(self._path, self.take)

    async def stop(self) -> None:
        """Stop listening; requests that are held without an answer are dropped."""
        self._stopping.set()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def fail_next(self, fault: Fault, times: int = 1) -> None:
        """Do this wrong at the next `times` requests, after what was asked for before."""
        self._faults.extend([fault] * times)

    @abstractmethod
    async def take(self, request: web.Request) -> web.StreamResponse:
        """Answer a request."""

    def next_fault(self) -> Fault | None:
        """What to do wrong with this request."""
        return self._faults.popleft() if self._faults else None

    def next_answer(self, asked: Asked) -> Said:
        """What the script says."""
        if callable(self._script):
            return self._script(asked)
        answer = self._script[min(self._asked, len(self._script) - 1)]
        self._asked += 1
        return answer

    async def hold(self, request: web.Request) -> web.StreamResponse:
        """Give no answer, until the server stops."""
        await self._stopping.wait()
        if request.transport is not None:
            request.transport.abort()
        return web.Response()


def break_off(request: web.Request) -> None:
    """End the connection: what was written is sent, but not the end of a chunked body."""
    assert request.transport is not None
    request.transport.close()
