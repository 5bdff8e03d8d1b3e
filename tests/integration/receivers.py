"""A receiver of webhooks on a real server, which verifies what it gets and misbehaves when told to."""

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from gateway.domain.signing import verify
from tests.loopback import served
from tests.waiting import until

Behaviour = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Got:
    """One request."""

    event_id: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def event(self) -> Any:
        """What is told."""
        return json.loads(self.body)

    def signed_with(self, secret: str) -> bool:
        """Whether one of its signatures was made with this secret."""
        return verify(
            secret,
            self.headers["webhook-id"],
            self.headers["webhook-timestamp"],
            self.body,
            self.headers["webhook-signature"],
            now=int(time.time()),
        )


def status(code: int, **headers: str) -> Behaviour:
    """Answers with a status."""

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=code, headers=headers, text="noted")

    return answer


async def cut(request: web.Request) -> web.Response:
    """Ends the connection without an answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


@dataclass
class Receiver:
    """What came, and what is answered: `script` first, then 204."""

    url: str = ""
    got: list[Got] = field(default_factory=list)
    script: list[Behaviour] = field(default_factory=list)
    under_way: int = 0
    most: int = 0
    """Requests at once, at most."""

    async def take(self, request: web.Request) -> web.StreamResponse:
        """One request."""
        body = await request.read()
        self.got.append(Got(request.headers["webhook-id"], dict(request.headers.items()), body))
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            return await (self.script.pop(0) if self.script else status(204))(request)
        finally:
            self.under_way -= 1

    async def wait_for(self, number: int) -> list[Got]:
        """The requests so far, once there are so many."""
        await until(lambda: len(self.got) >= number)
        return self.got


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A running receiver."""
    receiver = Receiver()
    application = web.Application()
    application.router.add_route("*", "/{any:.*}", receiver.take)
    async with served(application, shutdown_timeout=0.1) as url:
        receiver.url = f"{url}/in"
        yield receiver
