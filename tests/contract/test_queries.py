"""Every named query is understood by both databases."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import asyncpg

from gateway.store.migrate import migrate, schema_is_current
from gateway.store.postgres_connection import DRIVER_ERRORS
from gateway.store.queries import Queries, Query, load_queries

QUERIES = load_queries()


def of_sqlite(queries: Queries) -> Iterator[Query]:
    """Each statement of SQLite's, the looks at rows after writes among them."""
    for query in queries.values():
        yield query
        if query.row is not None:
            yield query.row


async def test_every_query_prepares_on_sqlite(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/gateway.db"
    await migrate(url)
    assert await schema_is_current(url)
    wrong = {}
    with closing(sqlite3.connect(tmp_path / "gateway.db")) as connection:
        for query in of_sqlite(QUERIES):
            try:
                values = query.for_sqlite(dict.fromkeys(query.parameters), lambda: 0)
                connection.execute(f"EXPLAIN {query.sqlite}", values)
            except sqlite3.Error as error:
                wrong[query.name] = str(error)
    assert wrong == {}


async def test_every_query_prepares_on_postgres(postgres_url: str) -> None:
    await migrate(postgres_url)
    assert await schema_is_current(postgres_url)
    wrong = {}
    connection = await asyncpg.connect(postgres_url)
    try:
        for query in QUERIES.values():
            try:
                await connection.prepare(query.postgres)
            except DRIVER_ERRORS as error:
                wrong[query.name] = str(error)
    finally:
        await connection.close()
    assert wrong == {}


def test_every_query_that_is_asked_for_exists() -> None:
    root = Path(__file__).parents[2]
    asked = {
        name
        for folder in ("gateway", "workers")
        for file in (root / folder).rglob("*.py")
        for name in re.findall(r"tx\.(?:one|all|run|many)\(\s*\"(\w+)\"", file.read_text(encoding="utf-8"))
    }
    assert asked
    assert asked <= QUERIES.keys()
