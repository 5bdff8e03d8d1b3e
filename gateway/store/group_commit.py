"""The one writer of a SQLite database: runs the units that wait, and commits once for all of them.

Nearly none fails after it has written. Where one does, nothing of the transaction stays, and its units run
once more, each in a savepoint; a savepoint for each from the beginning is an eighth of what a unit costs.

Statements run on the event loop's thread (they take microseconds; a thread of their own would fight for the
interpreter lock at each). Only COMMIT, which waits for the disk, runs in a thread while the loop goes on.
Nobody is told "done" before it.
"""

import asyncio
import sqlite3
import time
from collections import deque
from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import Context, copy_context
from typing import Any, TypeVar

from gateway.domain.envelope import Posting
from gateway.domain.ports.store import Taker, Wake
from gateway.store.engine import StoreUnavailable, Wakes, hand
from gateway.store.queries import Queries
from gateway.store.sqlite_tx import SqliteTx, primary_code

T = TypeVar("T")

MAX_BATCH = 200
"""Units one transaction takes at most."""
MAX_BATCH_SECONDS = 0.01
"""How long a batch may keep the event loop's thread before it commits."""
MAX_WAITING = 10_000
"""Units that may wait; more are refused."""
BUSY_SECONDS = 5.0
"""How long the writer waits for another process (a command line tool) to let go of the database."""


def may_have_committed(error: BaseException) -> bool:
    """Whether a COMMIT that failed like this (I/O error) may yet be found in the log at the next start."""
    return not isinstance(error, sqlite3.Error) or primary_code(error) == sqlite3.SQLITE_IOERR


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
    """Queue of units and the task that works it off. Owns `connection` (autocommit, rows as tuples)."""

    def __init__(
        self, connection: sqlite3.Connection, queries: Queries, wakes: Wakes, now: Callable[[], int]
    ) -> None:
        """`now`: the time that statements are told, µs."""
        self._connection = connection
        self._queries = queries
        self._now = now
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
            if not self._run_units(batch):
                await self._run_again(batch)
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

    def _run_units(self, batch: list[_Waiting]) -> bool:
        """Run units until the batch is full, the time is up or nobody waits; False: one failed half-way."""
        enough = time.monotonic() + MAX_BATCH_SECONDS
        while self._queue and len(batch) < MAX_BATCH and time.monotonic() < enough:
            waiting = self._queue.popleft()
            if waiting.future.done():
                continue
            batch.append(waiting)
            changes = self._connection.total_changes
            self._run_unit(waiting)
            if waiting.error is not None and self._connection.total_changes != changes:
                return False
        return True

    async def _run_again(self, batch: list[_Waiting]) -> None:
        """Undo a batch whose last unit failed half-way, and run the others anew, in savepoints.

        Also those whose callers have gone meanwhile: what has run is committed.
        """
        self._connection.execute("ROLLBACK")
        if not await self._begin():
            raise StoreUnavailable("the database cannot begin again")
        for waiting in batch[:-1]:
            self._connection.execute("SAVEPOINT unit")
            self._run_unit(waiting)
            if waiting.error is not None:
                self._connection.execute("ROLLBACK TO unit")
            self._connection.execute("RELEASE unit")

    def _run_unit(self, waiting: _Waiting) -> None:
        """Run one unit; StoreUnavailable if the transaction did not survive it."""
        tx = waiting.tx = SqliteTx(self._connection, self._queries, self._now, self.taker)
        waiting.error = None
        try:
            waiting.answer = waiting.context.run(drive, waiting.start(tx))
            tx.finish()
        except BaseException as error:
            waiting.error = error
        if not self._connection.in_transaction:
            raise StoreUnavailable(f"the transaction was lost: {waiting.error}")

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
