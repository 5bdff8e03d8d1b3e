"""The store on one SQLite file: a group-committing writer, and readers of their own that never hold it up."""

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Concatenate, Literal, ParamSpec, Self, TypeVar

import aiosqlite

from gateway.domain.clock import Clock
from gateway.domain.ports.store import Param, Row, Taker, Tx, Wake
from gateway.store.engine import StoreUnavailable, UnitOfWork, Wakes, is_single_statement
from gateway.store.group_commit import GroupCommit
from gateway.store.queries import Queries
from gateway.store.sqlite_tx import SqliteTx, primary_code, translated

P = ParamSpec("P")
T = TypeVar("T")

_LOOK_STEPS = 100_000
"""Steps of SQLite's virtual machine (some milliseconds) between a reader's looks whether it was given up."""
READER_SECONDS = 5.0
"""How long a unit waits for a free reader."""
_STATEMENTS = 512
"""Prepared statements kept per connection: more than there are queries."""
# at DEBUG the driver writes every statement with its parameters, message bodies among them
logging.getLogger("aiosqlite").setLevel(logging.INFO)

_CACHE_KIB = 16 * 1024
"""Pages the writer keeps in memory."""
_LOG_BYTES = 64 * 1024 * 1024
"""What the write-ahead log is cut back to after a burst."""


def _as_dict(cursor: sqlite3.Cursor, values: tuple[Any, ...]) -> dict[str, Any]:
    return {column[0]: value for column, value in zip(cursor.description, values, strict=True)}


def _open_writer(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, cached_statements=_STATEMENTS, timeout=5
    )
    with ExitStack() as stack:
        stack.callback(connection.close)
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            f"journal_size_limit={_LOG_BYTES}",
            # what a unit may have to undo would else go through a file of its own
            "temp_store=MEMORY",
            f"cache_size=-{_CACHE_KIB}",
            # last: the event loop runs the statements, and may not be kept waiting for another process
            "busy_timeout=0",
        ):
            connection.execute(f"PRAGMA {pragma}").close()
        stack.pop_all()
    return connection


@dataclass(slots=True)
class _Reader:
    """A connection with a thread of its own."""

    connection: aiosqlite.Connection
    given_up: bool = False
    """Nobody waits for its statement. An interrupt would be lost on one that has not begun yet."""


async def _open_reader(path: Path) -> _Reader:
    connection = await aiosqlite.connect(path, isolation_level=None, cached_statements=_STATEMENTS, timeout=5)
    connection.row_factory = _as_dict  # type: ignore[assignment]  # the driver takes any row factory
    reader = _Reader(connection)
    await connection.set_progress_handler(lambda: reader.given_up, _LOOK_STEPS)
    await connection.execute_fetchall("PRAGMA query_only=ON")
    return reader


class SqliteReadTx(UnitOfWork):
    """A unit that only reads, on a reader's connection and thread."""

    def __init__(
        self, connection: aiosqlite.Connection, queries: Queries, now: Callable[[], int], *, single: bool
    ) -> None:
        """`now`: the time that statements are told, µs."""
        super().__init__(queries, read_only=True, single=single)
        self._connection = connection
        self._now = now

    @property
    def dialect(self) -> Literal["sqlite", "postgres"]:
        """Always `sqlite`."""
        return "sqlite"

    async def one(self, query: str, /, **params: Param) -> Row | None:
        """Return the first row, or None."""
        rows = await self.all(query, **params)
        return rows[0] if rows else None

    async def all(self, query: str, /, **params: Param) -> list[Row]:
        """Return every row."""
        known = self._query(query, params)
        try:
            values = known.for_sqlite(params, self._now)
            rows: Any = await self._connection.execute_fetchall(known.sqlite, values)
        except sqlite3.Error as error:
            # a write in a unit that only reads is a mistake, not a disk that went read-only
            self.failure = error if primary_code(error) == sqlite3.SQLITE_READONLY else translated(error)
            if self.failure is error:
                raise
            raise self.failure from error
        return list(rows)

    async def run(self, query: str, /, **params: Param) -> int:
        """Refuse: this unit only reads."""
        self._query(query, params, writes=True)
        return 0

    async def later(self, query: str, /, **params: Param) -> None:
        """Refuse: this unit only reads."""
        self._query(query, params, writes=True)

    async def expect(self, query: str, assume: Row | None = None, /, **params: Param) -> Row | None:
        """Refuse: this unit only reads."""
        self._query(query, params, writes=True)
        return None

    async def known(self, row: Row, /) -> Row:
        """Return it."""
        return row

    async def many(self, query: str, rows: Any, /) -> None:
        """Refuse: this unit only reads."""
        self._query(query, *rows, writes=True)


class SqliteStore:
    """The store on the file `path`, which must have its schema (gateway.store.migrate); an async context."""

    def __init__(self, path: Path, *, clock: Clock, queries: Queries, readers: int = 4) -> None:
        self._path = path
        self._clock = clock
        self._queries = queries
        self._readers = readers
        self._idle: asyncio.LifoQueue[_Reader] = asyncio.LifoQueue()
        self._open: list[_Reader] = []
        self._returning: set[asyncio.Task[None]] = set()
        self._wakes = Wakes()
        self._writer: GroupCommit | None = None

    async def __aenter__(self) -> Self:
        """Open the connections. StoreUnavailable if the file cannot be opened."""
        try:
            connection = await asyncio.to_thread(_open_writer, self._path)
        except sqlite3.Error as error:
            raise StoreUnavailable(f"{self._path} cannot be opened: {error}") from error
        self._writer = GroupCommit(connection, self._queries, self._wakes, self._clock.now)
        try:
            for _ in range(self._readers):
                self._open.append(await _open_reader(self._path))
                self._idle.put_nowait(self._open[-1])
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Commit what waits, wait for the readers at work, close."""
        writer, self._writer = self._writer, None
        if writer is not None:
            await writer.close()
        while self._open:
            reader = await self._idle.get()
            self._open.remove(reader)
            await reader.connection.close()

    def on_wake(self, wake: Wake, callback: Callable[[], None]) -> None:
        """Call `callback` on the event loop after each commit with such a unit in it."""
        self._wakes.on(wake, callback)

    def hand_over_to(self, taker: Taker) -> None:
        """Hand the outbox rows of committed units to `taker`, instead of having it claim them."""
        if self._writer is None:
            raise StoreUnavailable("the database is closed")
        self._writer.taker = taker

    async def write(
        self, unit: Callable[Concatenate[Tx, P], Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a unit; its answer comes once it is on the disk. StoreUnavailable may be tried again."""
        if self._writer is None:
            raise StoreUnavailable("the database is closed")

        def start(tx: SqliteTx) -> Awaitable[T]:
            return unit(tx, *args, **kwargs)

        return await self._writer.submit(start)

    async def read(
        self, unit: Callable[Concatenate[Tx, P], Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a unit that only reads, in one snapshot."""
        if self._writer is None:
            raise StoreUnavailable("the database is closed")
        try:
            async with asyncio.timeout(READER_SECONDS):
                reader = await self._idle.get()
        except TimeoutError:
            raise StoreUnavailable("every reader of the database is busy") from None
        single = is_single_statement(unit)
        connection = reader.connection
        tx = SqliteReadTx(connection, self._queries, self._clock.now, single=single)
        try:
            if not single:
                await connection.execute_fetchall("BEGIN")
            answer = await unit(tx, *args, **kwargs)
            tx.finish()
            return answer
        except asyncio.CancelledError:
            reader.given_up = True
            raise
        finally:
            self._give_back(reader)

    def _give_back(self, reader: _Reader) -> None:
        """End the reader's transaction behind whatever it still runs; a caller does not wait for that."""
        task = asyncio.create_task(self._end(reader))
        self._returning.add(task)
        task.add_done_callback(self._returning.discard)

    async def _end(self, reader: _Reader) -> None:
        try:
            await reader.connection.rollback()
        finally:
            reader.given_up = False
            self._idle.put_nowait(reader)
