"""kill -9 in the middle of an erasure: the next process goes on, and nothing of the person is left."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from time import monotonic
from typing import Any

import aiohttp

from tests.deployments import ADMIN, Deployment, TwilioProcess, World, embedded

QUOTE = "what nobody is to know any more"
MESSAGES = 20_000
"""More than a hundred steps."""
ENOUGH_SECONDS = 60.0

_MORE = """
WITH RECURSIVE n (seq) AS (SELECT 1000 UNION ALL SELECT seq + 1 FROM n WHERE seq < 1000 + ?)
INSERT INTO messages (conversation_id, seq, id, role, content, authored_by, created_at)
SELECT ?, seq, printf('%08x-0000-7000-8000-000000000000', seq), 'user', ?, 'end_user', 1 FROM n
"""


_HOLD = f"""
CREATE TRIGGER hold BEFORE DELETE ON messages WHEN old.seq = {1000 + MESSAGES}
BEGIN SELECT RAISE(ABORT, 'not before the kills'); END
"""
"""The last message of the long conversation cannot be deleted: however late the test notices how far the
erasure has come, it is not over before the kills."""


def _change(database: Path, statement: str) -> None:
    with closing(sqlite3.connect(database, timeout=60)) as connection, connection:
        connection.execute(statement)


def _count(database: Path) -> int:
    with closing(sqlite3.connect(database, timeout=60)) as connection:
        (count,) = connection.execute("SELECT COUNT(*) FROM messages").fetchone()
        return int(count)


def _lengthen(database: Path, conversation_id: str) -> None:
    with closing(sqlite3.connect(database, timeout=60)) as connection, connection:
        connection.execute(_MORE, (MESSAGES, conversation_id, QUOTE))


def _left(database: Path) -> set[str]:
    """Tables that still hold the text, or a conversation."""
    with closing(sqlite3.connect(database, timeout=60)) as connection:
        dump = list(connection.iterdump())
    return {line.split('"')[1] for line in dump if line.startswith("INSERT") and QUOTE in line} | {
        "conversations" for line in dump if line.startswith('INSERT INTO "conversations"')
    }


async def _below(database: Path, count: int) -> int:
    """Wait until fewer messages than so many are left; how many."""
    deadline = monotonic() + ENOUGH_SECONDS
    while (left := _count(database)) >= count:
        assert monotonic() < deadline, f"{left} messages are left"
        await asyncio.sleep(0.002)
    return left


class _Api:
    def __init__(self, deployment: Deployment, session: aiohttp.ClientSession) -> None:
        self._deployment = deployment
        self._session = session

    async def __call__(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        async with self._session.request(
            method, self._deployment.url + path, json=body, headers={"x-api-key": ADMIN}
        ) as answer:
            return answer.status, await answer.json() if answer.status != 204 else {}


async def test_an_erasure_survives_kills(tmp_path: Path, twilio: TwilioProcess) -> None:
    async with (
        embedded(tmp_path / "gateway", World(twilio.url)) as deployment,
        aiohttp.ClientSession() as session,
    ):
        api = _Api(deployment, session)
        (process,) = deployment.named("dev")
        (database,) = (tmp_path / "gateway").rglob("*.db")
        _, person = await api("POST", "/v1/identity/resolve", {"channel": "api", "identifier": "ada"})
        path = f"/v1/identity/end-users/{person['end_user_id']}"
        new = {"end_user_id": person["end_user_id"], "channel": "api"}
        for number in range(3):
            _, made = await api("POST", "/v1/conversations", new)
            status, _ = await api("POST", f"/v1/conversations/{made['id']}/turns", {"user_message": QUOTE})
            assert status == 200
            if number == 0:
                _lengthen(database, made["id"])
                _change(database, _HOLD)
        status, _ = await api("DELETE", path)
        assert status == 204
        for share in (0.9, 0.5):
            left = await _below(database, int(MESSAGES * share))
            await process.kill()
            assert left > 0, "it was over before it was killed"
            await process.start()
        _change(database, "DROP TRIGGER hold")
        await _below(database, 1)
        status, shown = await api("GET", path)
        assert (status, shown["profile"], shown["contacts"]) == (200, {}, [])
        assert shown["erased_at"]
        deadline = monotonic() + ENOUGH_SECONDS
        while _left(database):
            assert monotonic() < deadline, _left(database)
            await asyncio.sleep(0.2)
