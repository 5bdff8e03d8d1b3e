"""A gateway of one process on a real server, and a client of its API."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from gateway.app import App
from tests.integration.in_process import in_process

CONFIG = """
[organisation]
name = "Here"
default_agent = "steered"

[[addresses]]
channel = "sms"
address = "+15550100"
agent = "demo"

[[addresses]]
channel = "email"
address = "support@localhost"

[agents.steered]
kind = "python"
target = "tests.integration.api_agents:steered"

[agents.demo]
kind = "demo"
"""

KEYS = "root:admin::Root,desk:operator::Jamie,second:operator::Kim,app:client::App,other:admin:There:Them"

V2 = "/v1/v2/conversations"


@dataclass(frozen=True)
class Reply:
    """An HTTP answer, read whole."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        """The body's value."""
        return json.loads(self.text)

    @property
    def error(self) -> tuple[int, str]:
        """Status and code of an error, whose shape is checked."""
        body = self.json
        assert self.status >= 400
        assert self.headers["Content-Type"] == "application/json"
        assert isinstance(body["message"], str)
        assert body["message"]
        return self.status, body["error"]

    @property
    def events(self) -> list[tuple[str, Any]]:
        """The events of a stream, read as the seed's reader does."""
        assert "\r" not in self.text
        frames = [f for f in self.text.split("\n\n") if f and not f.startswith(":")]
        pairs = [frame.split("\n") for frame in frames]
        assert all(len(lines) == 2 for lines in pairs)
        return [
            (name.removeprefix("event: "), json.loads(line.removeprefix("data: "))) for name, line in pairs
        ]


class Api:
    """A client with a key."""

    def __init__(self, app: App, session: aiohttp.ClientSession, key: str | None) -> None:
        self.app = app
        self.session = session
        self.key = key

    def as_(self, key: str | None) -> "Api":
        """The same with another key."""
        return Api(self.app, self.session, key)

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> Reply:
        """One request."""
        sent = {**({"x-api-key": self.key} if self.key else {}), **(headers or {})}
        if body is not None:
            more["json"] = body
        async with self.session.request(method, self.app.http_url + path, headers=sent, **more) as answer:
            return Reply(answer.status, answer.headers, await answer.text())

    async def get(self, path: str, **more: Any) -> Reply:
        """GET."""
        return await self.call("GET", path, **more)

    async def post(self, path: str, body: Any = None, **more: Any) -> Reply:
        """POST."""
        return await self.call("POST", path, body, **more)

    async def person(self, identifier: str = "user-1", channel: str = "api") -> str:
        """The end user of an address."""
        answer = await self.post("/v1/identity/resolve", {"channel": channel, "identifier": identifier})
        assert answer.status == 200
        return str(answer.json["end_user_id"])

    async def conversation(self, **fields: Any) -> str:
        """The path of a new conversation."""
        body = {"end_user_id": await self.person(), "channel": "api", **fields}
        answer = await self.post(V2, body)
        assert answer.status == 201, answer.text
        return f"{V2}/{answer.json['id']}"

    async def turn(self, conversation: str, text: str, **more: Any) -> Reply:
        """One turn."""
        return await self.post(f"{conversation}/turns", {"user_message": text}, **more)

    async def stream(self, conversation: str, text: str, **more: Any) -> Reply:
        """One streamed turn."""
        return await self.post(f"{conversation}/turns/stream", {"user_message": text}, **more)


@asynccontextmanager
async def gateway(
    folder: Path,
    database_url: str | None = None,
    *,
    organisation: str = "",
    more: str = "",
    config: str = CONFIG,
    **environment: str,
) -> AsyncIterator[Api]:
    """A running gateway and an admin's client of it; the texts are added to its configuration."""
    text = config.replace("[organisation]\n", f"[organisation]\n{organisation}\n")
    environ = {
        "GATEWAY_API_KEYS": KEYS,
        "GATEWAY_DRAIN_SECONDS": "2",
        "GATEWAY_TURN_TIMEOUT_SECONDS": "180",  # a busy machine takes a minute to load a provider's libraries
        **environment,
    }
    if database_url is not None:
        environ["GATEWAY_DATABASE_URL"] = database_url
    running = in_process(folder, text + more, environ, port=0)
    async with running as app, aiohttp.ClientSession() as session:
        yield Api(app, session, "root")
