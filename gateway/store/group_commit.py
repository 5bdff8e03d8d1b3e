"""The one writer of a SQLite database: runs what waits, each unit in a savepoint, and commits once for all.

Statements run on the event loop's thread (they take microseconds; a thread of their own would fight for the
interpreter lock at each). Only COMMIT, which waits for the disk, runs in a thread while the loop goes on.
Nobody is told "done" before it.
"""

import asyncio
import sqlite3
import time
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import Context, copy_context
from typing import Any, Literal, TypeVar

from gateway.domain.envelope import Posting
from gateway.domain.ports.store import Param, Row, Taker, Wake
from gateway.store.engine import StoreUnavailable, UnitOfWork, Wakes, hand
from gateway.store.queries import Queries, bind_sqlite

T = TypeVar("T")

MAX_BATCH = 200
"""Units one transaction takes at most."""
MAX_BATCH_SECONDS = 0.01
"""How long a batch may keep the event loop's thread before it commits."""
MAX_WAITING = 10_000
"""Units that may wait; more are refused."""
BUSY_SECONDS = 5.0
"""How long the writer waits for another process (a command line tool) to let go of the database."""

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


def may_have_committed(error: BaseException) -> bool:
    """Whether a COMMIT that failed like this (I/O error) may yet be found in the log at the next start."""
    return not isinstance(error, sqlite3.Error) or primary_code(error) == sqlite3.SQLITE_IOERR


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


class _Waiting:
    """A unit in the queue, and who waits for it."""

    __slots__ = ("answer", "context", "error", "future", "start", "tx")

    def __init__(self, start: Callable[[SqliteTx], Awaitable[Any]]) -> None:
        self.start = start
        self.context: Context = copy_context()
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.answer: Any = None
        self.error: BaseException | None = None
        self.tx: SqliteTx | None = None

    def fail(self, error: BaseException) -> None:
        """Tell the caller, if it still listens."""
        if not self.future.done():
            self.future.set_exception(error)

    def resolve(self) -> None:
        """Tell the caller what came of the unit; only after the commit."""
        if self.error is not None:
            self.fail(self.error)
        elif not self.future.done():
            self.future.set_result(self.answer)


def drive(unit: Awaitable[T]) -> T:
    """Run a unit to its end at once. RuntimeError if it waits for anything."""
    steps: Generator[Any, None, T] = unit.__await__()
    try:
        next(steps)
    except StopIteration as end:
        value: T = end.value
        return value
    with suppress(RuntimeError):  # a unit that suspends again while it is closed
        steps.close()
    raise RuntimeError("a unit of work awaited something other than its Tx")


class GroupCommit:
    """Queue of units and the task that works it off. Owns `connection` (autocommit, rows as dicts)."""

    def __init__(self, connection: sqlite3.Connection, queries: Queries, wakes: Wakes) -> None:
        self._connection = connection
        self._queries = queries
        self._wakes = wakes
        self._queue: deque[_Waiting] = deque()
        self._ready = asyncio.Event()
        self._closing = False
        self.taker: Taker | None = None
        """Who is handed the outbox rows of committed units."""
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="sqlite-commit")
        self._task = asyncio.create_task(self._work(), name="sqlite-writer")

    async def submit(self, start: Callable[[SqliteTx], Awaitable[T]]) -> T:
        """Run a unit and return its answer once it is durable.

        A caller that is cancelled takes its unit out of the queue; one that has already run is committed.
        """
        if self._closing:
            raise StoreUnavailable("the database is being closed")
        if len(self._queue) >= MAX_WAITING:
            raise StoreUnavailable("too many writes are waiting for the database")
        waiting = _Waiting(start)
        self._queue.append(waiting)
        self._ready.set()
        answer: T = await waiting.future
        return answer

    async def close(self) -> None:
        """Work off what waits, then close the connection."""
        self._closing = True
        self._ready.set()
        await asyncio.wait([self._task])
        self._disk.shutdown()
        self._connection.close()

    async def _work(self) -> None:
        try:
            while await self._something_waits():
                if await self._begin():
                    await self._run_batch()
        finally:
            self._closing = True
            self._refuse(StoreUnavailable("the database writer has stopped"))

    async def _something_waits(self) -> bool:
        """Wait for work; False when there is none left and we are closing."""
        while not self._queue and not self._closing:
            self._ready.clear()
            await self._ready.wait()
        return bool(self._queue)

    async def _begin(self) -> bool:
        """Open the transaction; False (and everybody waiting refused) when the database stays busy."""
        give_up = time.monotonic() + BUSY_SECONDS
        pause = 0.002
        while True:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                return True
            except sqlite3.Error as error:
                if primary_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() >= give_up:
                    self._refuse(StoreUnavailable(f"the database cannot begin: {error}"))
                    return False
            await asyncio.sleep(pause)
            pause = min(pause * 2, 0.05)

    async def _run_batch(self) -> None:
        batch: list[_Waiting] = []
        committing = False
        try:
            self._run_units(batch)
            committing = True
            await asyncio.get_running_loop().run_in_executor(self._disk, self._connection.execute, "COMMIT")
        except BaseException as error:
            self._roll_back()
            unknown = committing and may_have_committed(error)
            for waiting in batch:
                waiting.fail(
                    StoreUnavailable(f"the batch was not committed: {error}", outcome_unknown=unknown)
                )
            if not isinstance(error, Exception):
                raise
            return
        self._announce(batch)

    def _run_units(self, batch: list[_Waiting]) -> None:
        """Run units until the batch is full, the time is up or nobody waits."""
        enough = time.monotonic() + MAX_BATCH_SECONDS
        while self._queue and len(batch) < MAX_BATCH and time.monotonic() < enough:
            waiting = self._queue.popleft()
            if waiting.future.done():
                continue
            batch.append(waiting)
            self._run_unit(waiting)

    def _run_unit(self, waiting: _Waiting) -> None:
        """Run one unit in its savepoint; StoreUnavailable if the transaction did not survive it."""
        tx = waiting.tx = SqliteTx(self._connection, self._queries, self.taker)
        self._connection.execute("SAVEPOINT unit")
        try:
            waiting.answer = waiting.context.run(lambda: drive(waiting.start(tx)))
            tx.finish()
        except BaseException as error:
            waiting.error = error
        if not self._connection.in_transaction:
            raise StoreUnavailable(f"the transaction was lost: {waiting.error}")
        if waiting.error is not None:
            self._connection.execute("ROLLBACK TO unit")
        self._connection.execute("RELEASE unit")

    def _roll_back(self) -> None:
        with suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def _announce(self, batch: list[_Waiting]) -> None:
        wakes: set[Wake] = set()
        handed: list[Posting] = []
        for waiting in batch:
            waiting.resolve()
            if waiting.error is None and waiting.tx is not None:
                wakes |= waiting.tx.wakes
                handed += waiting.tx.handed
        self._wakes.fire(wakes)
        hand(self.taker, handed)

    def _refuse(self, error: StoreUnavailable) -> None:
        """Refuse everybody who waits: sooner told is better than queueing for a database that is away."""
        while self._queue:
            self._queue.popleft().fail(error)
