"""How much a database has to do for a unit of work, counted and not timed.

On SQLite the steps of its virtual machine; on PostgreSQL the rows that the nodes of the plans touched.
"""

import json
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from typing import Any, Concatenate, ParamSpec, TypeVar

from gateway.domain.ports.store import Param, Row, Tx
from gateway.store.engine import sqlite_path
from gateway.store.group_commit import drive
from gateway.store.postgres import PostgresTx
from gateway.store.postgres_connection import create_pool
from gateway.store.queries import load_queries
from gateway.store.sqlite_tx import SqliteTx
from tests.contract.conftest import BEGINNING

P = ParamSpec("P")
T = TypeVar("T")

QUERIES = load_queries()


async def effort(
    url: str, unit: Callable[Concatenate[Tx, P], Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
) -> tuple[T, int]:
    """Run a unit and commit it; its answer, and what it took."""
    path = sqlite_path(url)
    if path is None:
        return await _on_postgres(url, lambda tx: unit(tx, *args, **kwargs))
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1

    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("SELECT id FROM conversations LIMIT 1")  # reads the schema, which is not counted
        connection.execute("BEGIN IMMEDIATE")
        connection.set_progress_handler(step, 1)
        answer = drive(unit(SqliteTx(connection, QUERIES, lambda: BEGINNING), *args, **kwargs))
        connection.set_progress_handler(None, 1)
        connection.execute("COMMIT")
    return answer, steps


class _Explained(PostgresTx):
    """A unit of work whose statements are first explained, without their effect."""

    touched = 0

    async def one(self, query: str, /, **params: Param) -> Row | None:
        """Return the first row, or None."""
        await self._explain(query, params)
        return await super().one(query, **params)

    async def all(self, query: str, /, **params: Param) -> list[Row]:
        """Return every row."""
        await self._explain(query, params)
        return await super().all(query, **params)

    async def run(self, query: str, /, **params: Param) -> int:
        """Run it; return how many rows it touched."""
        await self._explain(query, params)
        return await super().run(query, **params)

    async def later(self, query: str, /, **params: Param) -> None:
        """Run it now: what is kept cannot be explained."""
        await self.run(query, **params)

    async def _explain(self, name: str, params: dict[str, Param]) -> None:
        query = self._queries[name]
        explain = f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {query.postgres}"
        await self._connection.execute("SAVEPOINT explained")
        plan = json.loads(await self._connection.fetchval(explain, *query.positional(params)))
        await self._connection.execute("ROLLBACK TO explained")
        self.touched += _rows(plan[0]["Plan"])


def _rows(node: dict[str, Any]) -> int:
    own = sum(
        node.get(name, 0)
        for name in ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck")
    )
    return int(own * node.get("Actual Loops", 1)) + sum(_rows(child) for child in node.get("Plans", ()))


async def _on_postgres(url: str, unit: Callable[[Tx], Awaitable[T]]) -> tuple[T, int]:
    async with create_pool(url, 1) as pool, pool.acquire() as connection, connection.transaction():
        await connection.execute(f"SET gateway.clock_us = '{BEGINNING}'")
        tx = _Explained(connection, QUERIES, read_only=False, single=False)
        return await unit(tx), tx.touched
