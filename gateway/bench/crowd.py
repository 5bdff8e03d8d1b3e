"""Fills a database with what years of traffic leave: conversations that are over, and long ones.

Straight SQL, since no client could ask for a million in a minute. What is made reads like what the gateway
makes: ids and times rise together, nearly all is closed, a few are open or wait for a person.
"""

import secrets
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from gateway.store.engine import sqlite_path

_ID = {
    "sqlite": "printf('%08x-0000-7000-{kind}-%012x', {high}, {low})",
    "postgres": "format('%s-0000-7000-{kind}-%s', lpad(to_hex({high}), 8, '0'), "
    "lpad(to_hex({low}), 12, '0'))::uuid",
}
_SERIES = {
    "sqlite": "WITH RECURSIVE s (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM s WHERE n + 1 < {count}) ",
    "postgres": "WITH s AS (SELECT generate_series(0, {count} - 1)::bigint AS n) ",
}
_CONVERSATIONS = """
INSERT INTO conversations (
    id, organization_id, end_user_id, channel, status, session_type, priority, origin, assistant_id,
    assigned_agent_id, pinned_revision_id, summary, metadata, context_variables, message_count, event_count,
    started_at, created_at, updated_at, first_message_at, last_message_at, ended_at, closed_at, idle_ttl)
SELECT {id}, '{organization}', {person}, CASE WHEN n % 5 = 0 THEN 'web' ELSE 'api' END, status, 'live',
    'normal', 'inbound', '{agent}', '{agent}', 'revision', 'What was asked, and what was answered.',
    '{{"order": 12345}}', '{{}}', 0, 0, at, at, at, at, at,
    CASE WHEN status = 'closed' THEN at END, CASE WHEN status = 'closed' THEN at END, 86400000000
FROM (
    SELECT n, {newest} - ({count} - n) * 30000000 AS at,
        CASE WHEN n % {every} = 1 THEN 'waiting_for_human' WHEN n % 100 = 2 THEN 'active'
            ELSE 'closed' END AS status
    FROM s) AS made
"""
_MESSAGES = """
INSERT INTO messages (conversation_id, seq, id, role, content, authored_by, created_at)
SELECT '{conversation}', {first} + n, {id}, CASE WHEN n % 2 = 0 THEN 'user' ELSE 'assistant' END,
    'A sentence or two, about as long as people write them when they ask for something.',
    CASE WHEN n % 2 = 0 THEN 'end_user' ELSE 'agent' END, {at}
FROM s
"""
_EVENTS = """
INSERT INTO timeline (conversation_id, number, kind, body, at)
SELECT '{conversation}', {first} + n, 'message', {body}, {at} FROM s
"""
_BODY = {
    "sqlite": "json_object('seq', {first} + n)",
    "postgres": "jsonb_build_object('seq', {first} + n)",
}
_COUNT = """
UPDATE conversations SET message_count = message_count + {count}, event_count = event_count + {count}
WHERE id = '{conversation}'
"""


@dataclass(frozen=True, slots=True)
class Place:
    """Whose conversations they are."""

    organization_id: str
    agent_id: str


async def add_conversations(
    url: str, place: Place, count: int, *, waiting: int, newest: int, first: int = 0
) -> None:
    """Add `count` conversations, half a minute apart, the last one just before `newest` (µs).

    `waiting`: how many of them wait for a person, at most half; one in a hundred is active.
    `first`: how many were added before.
    """
    dialect = _dialect(url)
    statement = _CONVERSATIONS.format(
        id=_ID[dialect].format(kind="8000", high=f"n + {first}", low="n"),
        person=_ID[dialect].format(kind="9000", high="n % 1000000", low="n / 4"),
        organization=place.organization_id,
        agent=place.agent_id,
        count=count,
        newest=newest,
        every=count // waiting,
    )
    await _run(url, _SERIES[dialect].format(count=count) + statement)


async def add_messages(url: str, conversation_ids: Sequence[str], count: int, *, first: int, at: int) -> None:
    """Add `count` messages to each of these, which have `first`, with their entries in its timeline."""
    dialect = _dialect(url)
    series = _SERIES[dialect].format(count=count)
    body = _BODY[dialect].format(first=first)
    statements = []
    for conversation_id in conversation_ids:
        common = {"conversation": conversation_id, "first": first, "count": count, "at": at}
        message_id = _ID[dialect].format(kind="a000", high=secrets.randbits(31), low="n")
        statements += [
            series + _MESSAGES.format(id=message_id, **common),
            series + _EVENTS.format(body=body, **common),
            _COUNT.format(**common),
        ]
    await _run(url, *statements)


def _dialect(url: str) -> str:
    return "postgres" if sqlite_path(url) is None else "sqlite"


async def _run(url: str, *statements: str) -> None:
    path = sqlite_path(url)
    if path is not None:
        _run_sqlite(path, statements)
        return
    connection = await asyncpg.connect(url)
    try:
        for statement in (*statements, "ANALYZE"):
            await connection.execute(statement, timeout=600)
    finally:
        await connection.close()


def _run_sqlite(path: Path, statements: tuple[str, ...]) -> None:
    with closing(sqlite3.connect(path, timeout=60)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
