"""A unit of work on SQLite's one writing connection, and what the errors of its statements mean."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeVar

from gateway.domain.ports.store import Param, Row, Taker
from gateway.store.engine import StoreUnavailable, UnitOfWork
from gateway.store.queries import Queries, Query

T = TypeVar("T")

_AWAY = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
}


def primary_code(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code of an error; 0 where the driver itself raised it."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def translated(error: sqlite3.Error) -> Exception:
    """Return StoreUnavailable for what may pass (disk full, busy, I/O), the error itself for the rest."""
    if primary_code(error) in _AWAY:
        return StoreUnavailable(f"the database cannot write: {error}")
    return error


class SqliteTx(UnitOfWork):
    """A unit of work on the writer's connection, which returns rows as tuples. Its methods never suspend."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        queries: Queries,
        now: Callable[[], int],
        taker: Taker | None = None,
    ) -> None:
        """`now`: the time that statements are told, µs."""
        super().__init__(queries, taker)
        self._connection = connection
        self._now = now

    @property
    def dialect(self) -> Literal["sqlite", "postgres"]:
        """Always `sqlite`."""
        return "sqlite"

    async def one(self, query: str, /, **params: Param) -> Row | None:
        """Return the first row, or None."""
        return self._row(self._query(query, params), params)

    async def all(self, query: str, /, **params: Param) -> list[Row]:
        """Return every row."""
        known = self._query(query, params)
        if known.row is None and not known.given:
            return self._run(known, params, self._every)
        row = self._row(known, params)
        return [] if row is None else [row]

    async def run(self, query: str, /, **params: Param) -> int:
        """Run it; return how many rows it touched, triggers not counted."""
        return self._run(self._query(query, params), params, self._touched)

    async def later(self, query: str, /, **params: Param) -> None:
        """Run it now: nothing is won by waiting."""
        self._run(self._query(query, params), params, _unread)

    async def expect(self, query: str, assume: Row | None = None, /, **params: Param) -> Row | None:
        """Return the first row, or None: here a statement more costs little."""
        return self._row(self._query(query, params), params)

    async def known(self, row: Row, /) -> Row:
        """Return it: it has been known all along."""
        return row

    async def many(self, query: str, rows: Sequence[Mapping[str, Param]], /) -> None:
        """Run it once for each set of parameters."""
        known = self._query(query, *rows)
        try:
            values = [known.for_sqlite(dict(row), self._now) for row in rows]
            self._connection.executemany(known.sqlite, values).close()
        except sqlite3.Error as error:
            self._fail(error)
            raise

    def _row(self, query: Query, params: dict[str, Param]) -> Row | None:
        if query.row is None and not query.given:
            return self._run(query, params, self._first)
        if not self._run(query, params, self._touched):
            return None
        if query.row is None:
            return {name: params[name] for name in query.given}
        return self._run(query.row, params, self._first)

    def _run(self, query: Query, params: dict[str, Param], take: Callable[[Query, sqlite3.Cursor], T]) -> T:
        try:
            cursor = self._connection.execute(query.sqlite, query.for_sqlite(params, self._now))
            try:
                return take(query, cursor)
            finally:
                # resets the statement: one left half-read after RETURNING would refuse the COMMIT
                cursor.close()
        except sqlite3.Error as error:
            self._fail(error)
            raise

    def _first(self, query: Query, cursor: sqlite3.Cursor) -> Row | None:
        values = cursor.fetchone()
        return None if values is None else dict(zip(self._columns(query, cursor), values, strict=True))

    def _every(self, query: Query, cursor: sqlite3.Cursor) -> list[Row]:
        columns = self._columns(query, cursor)
        return [dict(zip(columns, values, strict=True)) for values in cursor.fetchall()]

    def _columns(self, query: Query, cursor: sqlite3.Cursor) -> tuple[str, ...]:
        """The names of a row's columns, kept: the driver has them in a tuple of tuples."""
        columns = self._queries.columns.get(query.name)
        if columns is None or len(columns) != len(cursor.description):
            columns = tuple(column[0] for column in cursor.description)
            self._queries.columns[query.name] = columns
        return columns

    def _touched(self, _query: Query, cursor: sqlite3.Cursor) -> int:
        if cursor.description is not None:
            cursor.fetchall()
        if cursor.rowcount >= 0:
            return cursor.rowcount
        # the driver counts only statements that begin with INSERT, UPDATE, DELETE, not those with WITH
        changes: int = self._connection.execute("SELECT changes()").fetchone()[0]
        return changes

    def _fail(self, error: sqlite3.Error) -> None:
        """Raise what the caller is to see of it, and remember it."""
        self.failure = translated(error)
        if self.failure is not error:
            raise self.failure from error


def _unread(_query: Query, _cursor: sqlite3.Cursor) -> None:
    """Nobody asks what came of it."""
