"""A gateway in this process for calls over jambonz, and callers of the fake jambonz."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp

from channels.voice.jambonz.fake import FakeJambonz, FakeJambonzCall
from channels.voice.jambonz.fake.callee import Callee
from gateway.app import App
from gateway.domain.call_rules import CallTexts
from gateway.domain.ports.store import Tx
from tests.integration import relay_agents
from tests.integration.asked import asked
from tests.integration.in_process import in_process
from tests.waiting import PATIENCE, until

OURS, WARM, BACK = "+15550100", "+15550102", "+15550104"
MUSIC = "https://example.org/hold.mp3"
LOGIN = "jambonz:a-password"
AUTHORIZED = {"Authorization": f"Basic {b64encode(LOGIN.encode()).decode()}"}
TEXTS = CallTexts()
V2 = "/v1/v2/conversations"
WS = "/webhooks/jambonz"
CONFIG = f"""
[organisation]
name = "Here"
default_agent = "caller"

[channels.voice]
filler_after_seconds = 30
reminder_after_seconds = 300

[[addresses]]
channel = "voice"
address = "{OURS}"
voice_mode = "jambonz"

[[addresses]]
channel = "voice"
address = "{WARM}"
voice_mode = "jambonz"
agent = "warm"
hold_music = "{MUSIC}"

[[addresses]]
channel = "voice"
address = "{BACK}"
voice_mode = "jambonz"
ring_back = "60s"

[agents.caller]
kind = "python"
target = "tests.integration.relay_agents:answer"

[agents.warm]
kind = "python"
target = "tests.integration.warm_agents:answer"
"""
numbers = count(4155550100)


@dataclass
class Line:
    """A call, and the gateway at its other end."""

    app: App
    http: aiohttp.ClientSession
    theirs: str
    call: FakeJambonzCall
    others: frozenset[str] = frozenset()
    """The conversations that were there before."""

    async def api(self, method: str, path: str, body: object = None) -> Any:
        """What the API answers."""
        return await asked(self.app, self.http, method, path, body)

    async def conversation(self) -> Any:
        """This caller's."""
        found = (await self.api("GET", f"{V2}?channel=voice&limit=100"))["items"]
        [mine] = [item for item in found if item["id"] not in self.others]
        return mine

    async def status(self) -> str:
        """Of the conversation."""
        return str((await self.conversation())["status"])

    async def becomes(self, status: str) -> None:
        """Wait until the conversation has this status."""
        async with asyncio.timeout(PATIENCE):
            while await self.status() != status:  # noqa: ASYNC110 - it is asked of the API
                await asyncio.sleep(0.02)

    async def transcript(self) -> list[tuple[str, str]]:
        """Roles and words."""
        conversation = await self.conversation()
        rows = (await self.api("GET", f"{V2}/{conversation['id']}/turns"))["turns"]
        return [(row["role"], row["content"]) for row in rows]

    async def events(self) -> list[str]:
        """What happened."""
        return [text for role, text in await self.transcript() if role == "system_event"]

    async def notes(self, text: str) -> None:
        """Wait until the transcript has this of what happened: it may be stored after the status."""
        async with asyncio.timeout(PATIENCE):
            while text not in await self.events():  # noqa: ASYNC110 - it is asked of the API
                await asyncio.sleep(0.02)

    async def hears(self, text: str) -> None:
        """Wait until the caller has been told this."""
        await until(lambda: text in self.call.said)

    async def breaks(self) -> None:
        """The connection breaks, and is back."""
        before = self.call.wire.reconnected
        await self.call.drop()
        await until(lambda: self.call.wire.reconnected == before + 1)

    async def keeps(self) -> None:
        """Wait until a transfer of this call is stored: it outlives the connection from now on."""

        async def held(tx: Tx) -> bool:
            found = await tx.one("held_of_call", provider="jambonz", call_id=self.call.call_sid)
            return found is not None

        async with asyncio.timeout(PATIENCE):
            while not await self.app.store.read(held):  # noqa: ASYNC110 - it is asked of the database
                await asyncio.sleep(0.02)

    async def dials(self, number: int = 1) -> Callee:
        """Wait for the person who is called so and so many'th."""
        await until(lambda: len(self.call.callees) >= number)
        return self.call.callees[number - 1]


@asynccontextmanager
async def gateway(folder: Path, **more: str) -> AsyncIterator[App]:
    """A gateway of one process; `more` of its environment."""
    environ = {
        "JAMBONZ_WEBHOOK_LOGIN": LOGIN,
        "GATEWAY_API_KEYS": "root:admin::Root",
        "GATEWAY_DRAIN_SECONDS": "2",
        **more,
    }
    async with in_process(folder, CONFIG, environ) as app:
        yield app


@asynccontextmanager
async def caller(
    app: App, to: str = OURS, *, streams: bool = True, jambonz: FakeJambonz | None = None
) -> AsyncIterator[Line]:
    """A caller who has been greeted, by a voice that can be streamed to or one that cannot.

    `jambonz`: where they are, otherwise one of their own.
    """
    relay_agents.held.clear()
    relay_agents.stopped.clear()
    fake = jambonz or FakeJambonz(app.http_url, LOGIN, streams=streams)
    theirs = f"1{next(numbers)}"
    async with aiohttp.ClientSession() as http:
        before = frozenset(await statuses(app, http))
        call = await fake.call(theirs, to.removeprefix("+"))
        try:
            line = Line(app, http, theirs, call, before)
            await line.hears(TEXTS.greeting)
            await until(lambda: call.listener is not None)
            yield line
            assert call.wire.late == []
        finally:
            await fake.stop()


async def statuses(app: App, http: aiohttp.ClientSession) -> dict[str, str]:
    """Of all calls, by the ids of their conversations."""
    url, headers = f"{app.http_url}{V2}?channel=voice&limit=100", {"x-api-key": "root"}
    async with http.get(url, headers=headers) as answer:
        return {item["id"]: item["status"] for item in (await answer.json())["items"]}
