"""kill -9 between each two steps of what must happen exactly once: after the restart each completes once.

Embedded it is the one process that dies; distributed, the one that serves the API or the one worker.

Every act carries an Idempotency-Key and is asked for again, as by a client that has lost its connection;
whether that is a repetition depends on where the process was killed.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import asyncpg
import pytest

from gateway.domain.crash_point import CrashPoint
from tests.deployments import (
    ACCOUNT,
    ADMIN,
    DEMO_NUMBER,
    TOKEN,
    Deployment,
    Services,
    TwilioProcess,
    World,
    distributed,
    embedded,
)
from tests.processes import Leash, NotReady, Process

V1 = "/v1/conversations"
SECONDS = 90.0
"""A dead worker's leases run out after 10, and what a provider may have is asked for after 20."""

APPROVE = (CrashPoint.APPROVE_BEFORE_COMMIT, CrashPoint.APPROVE_AFTER_COMMIT)
HAND_BACK = (CrashPoint.HAND_BACK_BEFORE_COMMIT, CrashPoint.HAND_BACK_AFTER_COMMIT)
CLOSE = (CrashPoint.CLOSE_BEFORE_COMMIT, CrashPoint.CLOSE_AFTER_COMMIT)
TURN = (CrashPoint.TURN_CLAIMED, CrashPoint.TURN_ANSWERED, CrashPoint.TURN_COMMITTED)
SEND = (CrashPoint.DELIVERY_CLAIMED, CrashPoint.DELIVERY_SENT)
CALL = (CrashPoint.CALL_CLAIMED, CrashPoint.CALL_DIALED)
BELL = CrashPoint.BELL_PUBLISHED
"""Of the relay, which only a distributed gateway has."""
CLOSING = (CrashPoint.CLOSING_CLAIMED, CrashPoint.CLOSING_SUMMED_UP, CrashPoint.CLOSING_FINISHED)


@dataclass(slots=True)
class Act:
    """Something asked for by HTTP, with its key."""

    path: str
    body: dict[str, object]
    key: str = field(default_factory=lambda: uuid4().hex)


class Client:
    """An administrator's client of a gateway that may be killed at any moment."""

    def __init__(self, deployment: Deployment, twilio: TwilioProcess, http: aiohttp.ClientSession) -> None:
        self.deployment = deployment
        self.twilio = twilio
        self.numbers: dict[str, str] = {}
        """Of the people who are texted, by conversation."""
        self._http = http

    def victim(self, point: CrashPoint) -> Process:
        """The process that reaches a point."""
        kind = "serve" if point in (*APPROVE, *HAND_BACK, *CLOSE) else "worker"
        (process,) = self.deployment.named(kind)
        return process

    async def call(self, method: str, path: str, body: object = None, key: str | None = None) -> Any:
        """The answer, which must be a 2xx. Raises aiohttp.ClientError where the connection is lost."""
        headers = {"x-api-key": ADMIN, **({"Idempotency-Key": key} if key else {})}
        url = self.deployment.url + path
        async with self._http.request(method, url, json=body, headers=headers) as answer:
            assert answer.status < 300, (answer.status, await answer.text())
            return await answer.json()

    async def do(self, act: Act) -> None:
        """Ask once; the connection may be lost."""
        try:
            await self.call("POST", act.path, act.body, act.key)
        except (aiohttp.ClientError, TimeoutError):
            return

    async def conversation(self, *said: str) -> str:
        """The id of a conversation with the demo agent in which this was said."""
        resolve = {"channel": "api", "identifier": uuid4().hex}
        person = (await self.call("POST", "/v1/identity/resolve", resolve))["end_user_id"]
        body = {"end_user_id": person, "channel": "api", "assistant_id": "demo"}
        conversation_id = str((await self.call("POST", V1, body))["id"])
        for text in said:
            await self.call("POST", f"{V1}/{conversation_id}/turns", {"user_message": text})
        return conversation_id

    async def detail(self, conversation_id: str) -> Any:
        """The conversation."""
        return await self.call("GET", f"{V1}/{conversation_id}")

    async def messages(self, conversation_id: str) -> list[tuple[str, str]]:
        """(who, what) of all messages."""
        found = await self.call("GET", f"{V1}/{conversation_id}/messages")
        return [(message["authored_by"], message["content"]) for message in found["messages"]]

    async def phoned(self, number: str) -> list[Any]:
        """The calls to a number that its provider knows of."""
        path = f"/2010-04-01/Accounts/{ACCOUNT}/Calls.json"
        auth = aiohttp.encode_basic_auth(ACCOUNT, TOKEN)
        async with self._http.get(
            self.twilio.url + path, params={"To": number}, headers={"Authorization": auth}
        ) as answer:
            calls: list[Any] = (await answer.json())["calls"]
            return calls

    async def until_last(self, conversation_id: str, begins: str) -> list[tuple[str, str]]:
        """All messages, once the last one begins so."""
        async with asyncio.timeout(SECONDS):
            while not (found := await self.messages(conversation_id))[-1][1].startswith(begins):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        return found


@pytest.fixture
async def twilio(tmp_path: Path) -> AsyncIterator[TwilioProcess]:
    """A provider that does what it should."""
    leash = Leash()
    fake = TwilioProcess(tmp_path, leash)
    try:
        await fake.process.start()
        yield fake
    finally:
        fake.process.stop()
        leash.close()


@pytest.fixture
async def alone(tmp_path: Path, twilio: TwilioProcess) -> AsyncIterator[Client]:
    """A gateway in one process."""
    async with (
        embedded(tmp_path / "gateway", World(twilio.url)) as deployment,
        aiohttp.ClientSession() as http,
    ):
        yield Client(deployment, twilio, http)


@pytest.fixture
async def together(tmp_path: Path, twilio: TwilioProcess, services: Services) -> AsyncIterator[Client]:
    """A gateway of several processes, with one of each kind."""
    async with (
        distributed(tmp_path / "gateway", World(twilio.url), services, workers=1) as deployment,
        aiohttp.ClientSession() as http,
    ):
        for unneeded in ("serve-2", "smtp-1"):
            await deployment.processes.pop(unneeded).kill()
        deployment.urls = deployment.urls[:1]
        yield Client(deployment, twilio, http)


async def running(client: Client, armed: CrashPoint | None) -> None:
    """All processes run, and only the one that reaches the point is armed."""
    victim = client.victim(armed) if armed else None
    for process in client.deployment.processes.values():
        point = armed.value if armed and process is victim else ""
        if process.running and process.environment.get("GATEWAY_CRASH_AT", "") == point:
            continue
        if process.running:
            await process.kill()
        process.environment["GATEWAY_CRASH_AT"] = point
        try:
            await process.start()
        except NotReady:
            if not point:
                raise  # else what an earlier kill has left over has reached the point already


async def killed_at(client: Client, point: CrashPoint, acts: list[Act]) -> None:
    """The acts are asked for, and the process dies on the way."""
    await running(client, point)
    await asyncio.gather(*(client.do(act) for act in acts))
    assert await client.victim(point).ended(SECONDS) == -9, point


async def approvable(client: Client) -> tuple[str, Act]:
    conversation_id = await client.conversation("a refund, please")
    pending = (await client.call("GET", "/v1/hitl/approvals?status=pending"))["items"]
    (approval,) = [item for item in pending if item["conversation_id"] == conversation_id]
    path = f"{V1}/{conversation_id}/approvals/{approval['id']}/resolve"
    return conversation_id, Act(path, {"decision": "approve"})


async def returnable(client: Client) -> tuple[str, Act]:
    conversation_id = await client.conversation("a human, please", "hello?", "anybody?")
    return conversation_id, Act(f"{V1}/{conversation_id}/human-turns", {"return_control": True})


async def closable(client: Client) -> tuple[str, Act]:
    conversation_id = await client.conversation("hello")
    return conversation_id, Act(f"{V1}/{conversation_id}/close", {"reason": "done"})


async def textable(client: Client) -> tuple[str, Act]:
    number = f"+1415555{1000 + len(client.numbers)}"
    resolve = {"channel": "sms", "identifier": number}
    person = (await client.call("POST", "/v1/identity/resolve", resolve))["end_user_id"]
    body = {"end_user_id": person, "channel": "sms", "address": DEMO_NUMBER}
    conversation_id = str((await client.call("POST", V1, body))["id"])
    client.numbers[conversation_id] = number
    said = {"content": "Jamie here.", "take_over": True}
    return conversation_id, Act(f"{V1}/{conversation_id}/human-turns", said)


async def phonable(client: Client) -> tuple[str, Act]:
    """A person, and a call to them: its conversation is not there yet."""
    number = f"+1415556{1000 + len(client.numbers)}"
    resolve = {"channel": "voice", "identifier": number}
    person = str((await client.call("POST", "/v1/identity/resolve", resolve))["end_user_id"])
    client.numbers[person] = number
    return person, Act("/v1/voice/calls", {"end_user_id": person, "from": DEMO_NUMBER})


async def phoned_once(client: Client, person: str) -> None:
    """Whoever was killed between the two: one conversation, one call, and it is known how that went."""
    async with asyncio.timeout(SECONDS):
        while True:
            [found] = (await client.call("GET", f"{V1}?end_user_id={person}"))["items"]
            if found["status"] not in ("queued", "ringing"):
                break
            await asyncio.sleep(0.1)
    assert len(await client.phoned(client.numbers[person])) == 1


async def texted_once(client: Client, conversation_id: str) -> None:
    async def status() -> str | None:
        found = await client.call("GET", f"{V1}/{conversation_id}/messages")
        (message,) = [m for m in found["messages"] if m["authored_by"] == "human_operator"]
        return str(message["delivery_status"])

    async with asyncio.timeout(SECONDS):
        while await status() not in ("sent", "delivered"):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    assert [
        text["body"] for text in client.twilio.sent() if text["to"] == client.numbers[conversation_id]
    ] == ["Jamie here."]


async def approved_once(client: Client, conversation_id: str) -> None:
    answer = "Your refund"
    said = await client.until_last(conversation_id, answer)
    assert [text.startswith(answer) for _, text in said] == [False, False, True]
    found = await client.call("GET", "/v1/hitl/approvals?limit=200")
    (approval,) = [item for item in found["items"] if item["conversation_id"] == conversation_id]
    assert approval["status"] == "approved"


async def handed_back_once(client: Client, conversation_id: str) -> None:
    said = await client.until_last(conversation_id, "You said")
    assert [who for who, _ in said] == ["end_user", "agent", "system", "end_user", "end_user", "agent"]
    found = await client.call("GET", "/v1/hitl/handoffs?limit=200")
    (handoff,) = [item for item in found["items"] if item["conversation_id"] == conversation_id]
    assert handoff["status"] == "resolved"


async def closed_once(client: Client, conversation_id: str) -> None:
    async with asyncio.timeout(SECONDS):
        while (found := await client.detail(conversation_id))["summary"] is None:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert (found["status"], found["memory_synced"], found["message_count"]) == ("closed", True, 2)
    counts = [
        await counted(client, f"SELECT COUNT(*) FROM {table} WHERE conversation_id = ", conversation_id)
        for table in ("closings", "memories", "analytics")
    ]
    assert counts == [0, 1, 1]


async def counted(client: Client, query: str, conversation_id: str) -> int:
    """The number a query tells of a conversation."""
    services = client.deployment.services
    if services is None:
        path = f"file:{client.deployment.directory}/data/gateway.db?mode=ro"
        with closing(sqlite3.connect(path, uri=True)) as database:
            return int(database.execute(f"{query}?", [conversation_id]).fetchone()[0])
    connection = await asyncpg.connect(services.database_url)
    try:
        return int(await connection.fetchval(f"{query}$1", conversation_id))
    finally:
        await connection.close()


Check = Callable[[Client, str], Awaitable[None]]
Prepare = Callable[[Client], Awaitable[tuple[str, Act]]]
KINDS: tuple[tuple[tuple[CrashPoint, ...], Prepare, Check], ...] = (
    ((*APPROVE, *TURN, BELL), approvable, approved_once),
    ((*HAND_BACK, *TURN, BELL), returnable, handed_back_once),
    ((*CLOSE, *CLOSING), closable, closed_once),
    (SEND, textable, texted_once),
    (CALL, phonable, phoned_once),
)
"""What is done around which points, and how it is checked."""


async def completes_once(client: Client, points: tuple[CrashPoint, ...]) -> None:
    """Each point gets conversations of its own; what one kill left over is finished while the next is tried.

    Sends come first: they wait the longest. A turn's points come after those of closings and the other way
    round, so that it is mostly not what was left over that reaches the point that is armed.
    """
    rounds: list[tuple[CrashPoint, list[Act]]] = []
    checks = []
    for point in points:
        acts = []
        for around, prepare, check in KINDS:
            if point in around:
                conversation_id, act = await prepare(client)
                acts.append(act)
                checks.append((check, conversation_id))
        rounds.append((point, acts))
    for point, acts in rounds:
        await killed_at(client, point, acts)
    await running(client, None)
    for _, acts in rounds:
        for act in acts:
            await client.call("POST", act.path, act.body, act.key)
    await asyncio.gather(*(check(client, conversation_id) for check, conversation_id in checks))


BETWEEN = tuple(point for pair in zip(TURN, CLOSING, strict=True) for point in pair)


@pytest.mark.timeout(600)
async def test_each_completes_once_wherever_the_process_is_killed(alone: Client) -> None:
    await completes_once(alone, (*SEND, *CALL, *APPROVE, *HAND_BACK, *CLOSE, *BETWEEN))


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_each_completes_once_whichever_process_is_killed(together: Client) -> None:
    await completes_once(together, (*SEND, *CALL, BELL, *APPROVE, *HAND_BACK, *CLOSE, *BETWEEN))


def test_every_point_is_reached() -> None:
    assert {*SEND, *CALL, BELL, *APPROVE, *HAND_BACK, *CLOSE, *BETWEEN} == set(CrashPoint)
