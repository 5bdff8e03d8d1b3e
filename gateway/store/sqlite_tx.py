"""A unit of work on SQLite's one writing connection, and what the errors of its statements mean."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeVar

from gateway.domain.ports.store import Param, Row, Taker
from gateway.store.engine import StoreUnavailable, UnitOfWork
from gateway.store.queries import Queries, bind_sqlite

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
    """A unit of work on the writer's connection. Its methods never suspend."""

    def __init__(self, connection: sqlite3.Connection, queries: Queries, taker: Taker | None = None) -> None:
        super().__init__(queries, taker)
        self._connection = connection

    @property
    def dialect(self) -> Literal["sqlite", "postgres"]:
        """Always `sqlite`."""
        return "sqlite"

    async def one(self, query: str, /, **params: Param) -> Row | None:
        """Return the first row, or None."""
        row: Row | None = self._run(query, params, sqlite3.Cursor.fetchone)
        return row

    async def all(self, query: str, /, **params: Param) -> list[Row]:
        """Return every row."""
        return self._run(query, params, sqlite3.Cursor.fetchall)

    async def run(self, query: str, /, **params: Param) -> int:
        """Run it; return how many rows it touched, triggers not counted."""
        return self._run(query, params, self._touched)

    async def later(self, query: str, /, **params: Param) -> None:
        """Run it now: nothing is won by waiting."""
        self._run(query, params, _unread)

    async def expect(self, query: str, assume: Row | None = None, /, **params: Param) -> Row | None:
        """Return the first row, or None: here a statement more costs little."""
        row: Row | None = self._run(query, params, sqlite3.Cursor.fetchone)
        return row

    async def known(self, row: Row, /) -> Row:
        """Return it: it has been known all along."""
        return row

    async def many(self, query: str, rows: Sequence[Mapping[str, Param]], /) -> None:
        """Run it once for each set of parameters."""
        sql = self._query(query, *rows).sqlite
        try:
            self._connection.executemany(sql, [bind_sqlite(row) for row in rows]).close()
        except sqlite3.Error as error:
            self._fail(error)
            raise

    def _run(self, name: str, params: dict[str, Param], take: Callable[[sqlite3.Cursor], T]) -> T:
        query = self._query(name, params)
        try:
            cursor = self._connection.execute(query.sqlite, bind_sqlite(params) if query.lists else params)
            try:
                return take(cursor)
            finally:
                # resets the statement: one left half-read after RETURNING would refuse the COMMIT
                cursor.close()
        except sqlite3.Error as error:
            self._fail(error)
            raise

    def _touched(self, cursor: sqlite3.Cursor) -> int:
        if cursor.description is not None:
            cursor.fetchall()
        if cursor.rowcount >= 0:
            return cursor.rowcount
        # the driver counts only statements that begin with INSERT, UPDATE, DELETE, not those with WITH
        changes: int = self._connection.execute("SELECT changes() AS n").fetchone()["n"]
        return changes

    def _fail(self, error: sqlite3.Error) -> None:
        """Raise what the caller is to see of it, and remember it."""
        self.failure = translated(error)
        if self.failure is not error:
            raise self.failure from error


def _unread(_cursor: sqlite3.Cursor) -> None:
    """Nobody asks what came of it."""
