"""kill -9 between each pair of steps of approve, hand back and close: after the restart each completes once.

Every act carries an Idempotency-Key and is asked for again, as by a client that has lost its connection;
whether that is a repetition depends on where the process was killed.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from gateway.domain.crash_point import CrashPoint
from tests.deployments import ADMIN, Deployment, World, embedded

V1 = "/v1/conversations"
NOWHERE = World("http://127.0.0.1:9")
SECONDS = 30.0

APPROVE = (CrashPoint.APPROVE_BEFORE_COMMIT, CrashPoint.APPROVE_AFTER_COMMIT)
HAND_BACK = (CrashPoint.HAND_BACK_BEFORE_COMMIT, CrashPoint.HAND_BACK_AFTER_COMMIT)
CLOSE = (CrashPoint.CLOSE_BEFORE_COMMIT, CrashPoint.CLOSE_AFTER_COMMIT)
TURN = (CrashPoint.TURN_CLAIMED, CrashPoint.TURN_ANSWERED, CrashPoint.TURN_COMMITTED)
CLOSING = (CrashPoint.CLOSING_CLAIMED, CrashPoint.CLOSING_SUMMED_UP, CrashPoint.CLOSING_FINISHED)


@dataclass(slots=True)
class Act:
    """Something asked for by HTTP, with its key."""

    path: str
    body: dict[str, object]
    key: str = field(default_factory=lambda: uuid4().hex)


class Client:
    """An administrator's client of a gateway that may be killed at any moment."""

    def __init__(self, deployment: Deployment, http: aiohttp.ClientSession) -> None:
        self.deployment = deployment
        self._http = http

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

    async def until_last(self, conversation_id: str, begins: str) -> list[tuple[str, str]]:
        """All messages, once the last one begins so."""
        async with asyncio.timeout(SECONDS):
            while not (found := await self.messages(conversation_id))[-1][1].startswith(begins):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        return found


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    """A gateway in one process."""
    async with embedded(tmp_path / "gateway", NOWHERE) as deployment, aiohttp.ClientSession() as http:
        yield Client(deployment, http)


async def restarted(client: Client, point: CrashPoint | None) -> None:
    """The one process is killed, if it lives, and starts again, armed."""
    (process,) = client.deployment.named("dev")
    if process.running:
        await process.kill()
    process.environment["GATEWAY_CRASH_AT"] = point.value if point else ""
    await process.start()


async def killed_at(client: Client, point: CrashPoint, acts: list[Act]) -> None:
    """The acts are asked for, and the process dies on the way."""
    await restarted(client, point)
    await asyncio.gather(*(client.do(act) for act in acts))
    (process,) = client.deployment.named("dev")
    assert await process.ended(SECONDS) == -9


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
    database = sqlite3.connect(f"file:{client.deployment.directory}/data/gateway.db?mode=ro", uri=True)
    try:
        counts = [
            database.execute(f"SELECT COUNT(*) FROM {table} WHERE conversation_id = ?", [conversation_id])
            for table in ("closings", "memories", "analytics")
        ]
        assert [int(count.fetchone()[0]) for count in counts] == [0, 1, 1]
    finally:
        database.close()


@pytest.mark.timeout(300)
async def test_each_completes_once_wherever_the_process_is_killed(client: Client) -> None:
    """Each point gets conversations of its own; what one kill left over is finished while the next is tried.

    A turn's points come after those of closings and the other way round, so that it is not what was left over
    that reaches the point that is armed.
    """
    rounds: list[tuple[CrashPoint, list[Act]]] = []
    checks = []
    between = [point for pair in zip(TURN, CLOSING, strict=True) for point in pair]
    for point in (*APPROVE, *HAND_BACK, *CLOSE, *between):
        acts = []
        if point in (*APPROVE, *TURN):
            conversation_id, act = await approvable(client)
            acts.append(act)
            checks.append(approved_once(client, conversation_id))
        if point in (*HAND_BACK, *TURN):
            conversation_id, act = await returnable(client)
            acts.append(act)
            checks.append(handed_back_once(client, conversation_id))
        if point in (*CLOSE, *CLOSING):
            conversation_id, act = await closable(client)
            acts.append(act)
            checks.append(closed_once(client, conversation_id))
        rounds.append((point, acts))
    for point, acts in rounds:
        await killed_at(client, point, acts)
    await restarted(client, None)
    for _, acts in rounds:
        for act in acts:
            await client.call("POST", act.path, act.body, act.key)
    await asyncio.gather(*checks)
