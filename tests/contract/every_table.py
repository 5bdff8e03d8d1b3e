"""Rows in every table that names a conversation or a person, and a search through all of them.

So a table that somebody adds is either erased with its person, or a test says that it is not.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from typing import Any, Protocol

import asyncpg

from gateway.domain.ids import new_id
from tests.contract.scene import ORGANIZATION

TEXTS = {"text", "jsonb"}
ROOTS = {"conversations", "end_users", "contacts", "erasures"}
"""What is there of itself, and has to make sense."""
_OTHERS = {"bigint": "999999", "boolean": "FALSE"}


class Database(Protocol):
    """A connection beside the store's."""

    async def columns(self) -> dict[str, dict[str, str]]:
        """Tables, their columns, the columns' types."""
        ...

    async def all(self, sql: str) -> Sequence[Sequence[Any]]:
        """Run it; the rows."""
        ...


class Sqlite:
    """A SQLite file."""

    def __init__(self, url: str) -> None:
        self._path = url.removeprefix("sqlite:///")

    async def columns(self) -> dict[str, dict[str, str]]:
        """From the schema."""
        tables = await self.all("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {
            name: {row[1]: row[2].lower() for row in await self.all(f"PRAGMA table_info({name})")}
            for (name,) in tables
        }

    async def all(self, sql: str) -> Sequence[Sequence[Any]]:
        """On a connection of its own."""
        with closing(sqlite3.connect(self._path, isolation_level=None, timeout=60)) as connection:
            return connection.execute(sql).fetchall()


class Postgres:
    """A PostgreSQL database."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def columns(self) -> dict[str, dict[str, str]]:
        """From the schema."""
        found: dict[str, dict[str, str]] = {}
        for table, column, kind in await self.all(
            "SELECT table_name, column_name, data_type FROM information_schema.columns"
            " WHERE table_schema = 'public'"
        ):
            found.setdefault(table, {})[column] = kind
        return found

    async def all(self, sql: str) -> Sequence[Sequence[Any]]:
        """On a connection of its own."""
        connection = await asyncpg.connect(self._url)
        try:
            return list(await connection.fetch(sql))
        finally:
            await connection.close()


def database(url: str) -> Database:
    """A connection to a store's database."""
    return Sqlite(url) if url.startswith("sqlite") else Postgres(url)


def _literal(column: str, kind: str, known: dict[str, str], quoted: str) -> str:
    if column in known:
        return f"'{known[column]}'"
    if kind == "uuid":
        return f"'{new_id()}'"
    if kind == "jsonb":
        return f"'[\"{quoted}\"]'"
    return f"'{quoted} {new_id()}'" if kind == "text" else _OTHERS[kind]


async def quote_everywhere(place: Database, conversation_id: str, end_user_id: str, quoted: str) -> set[str]:
    """Put a row that quotes into every table that names a conversation or a person; which tables."""
    known = {
        "conversation_id": conversation_id,
        "end_user_id": end_user_id,
        "organization_id": ORGANIZATION,
    }
    tables = {
        table: columns
        for table, columns in (await place.columns()).items()
        if table not in ROOTS and columns.keys() & {"conversation_id", "end_user_id"}
    }
    for table, columns in tables.items():
        values = ", ".join(_literal(column, kind, known, quoted) for column, kind in columns.items())
        await place.all(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({values})")
    return set(tables)


async def quoting(place: Database, quoted: str) -> set[str]:
    """The tables in which a text is found."""
    looks = []
    for table, columns in (await place.columns()).items():
        held = [
            f"CAST({column} AS text) LIKE '%{quoted}%'" for column, kind in columns.items() if kind in TEXTS
        ]
        if held:
            looks.append(f"SELECT '{table}' WHERE EXISTS (SELECT 1 FROM {table} WHERE {' OR '.join(held)})")
    return {table for (table,) in await place.all(" UNION ALL ".join(looks))}
