"""The store on PostgreSQL: a pool of asyncpg connections, a transaction per unit, retries where safe."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Concatenate, Literal, ParamSpec, Self, TypeVar

import asyncpg

from gateway.domain.ports.store import Param, Row, Taker, Tx, Wake
from gateway.store.at_once import AtOnce, ExpectedRow, Reconsidered
from gateway.store.engine import StoreUnavailable, UnitOfWork, Wakes, hand, is_at_once, is_single_statement
from gateway.store.postgres_connection import (
    COMMAND_SECONDS,
    CONFLICTS,
    CONNECT_SECONDS,
    DRIVER_ERRORS,
    create_pool,
    is_lost,
    reason,
    translated,
)
from gateway.store.postgres_wakes import WakeListener, WakeTeller
from gateway.store.queries import Queries, Query

P = ParamSpec("P")
T = TypeVar("T")

MAX_LATE = 16
"""How many late statements become one."""
RETRIES = 3
"""How often a unit is run again after a deadlock or a serialization failure."""


class PostgresTx(UnitOfWork):
    """A unit of work on a pooled connection: a transaction, or (`single`) one self-committing statement.

    `trying`: it is tried as one (see `at_once`); where it cannot be, Reconsidered is raised.
    """

    def __init__(
        self,
        connection: Any,
        queries: Queries,
        taker: Taker | None = None,
        *,
        read_only: bool,
        single: bool,
        trying: bool = False,
    ) -> None:
        super().__init__(queries, taker, read_only=read_only, single=single)
        self._connection = connection
        self.trying = trying
        self._late = AtOnce(queries)
        self._count = 0
        self._sent = False
        self._rows: dict[int, Row] = {}

    @property
    def dialect(self) -> Literal["sqlite", "postgres"]:
        """Always `postgres`."""
        return "postgres"

    async def one(self, query: str, /, **params: Param) -> Row | None:
        """Return the first row, or None."""
        known = self._query(query, params)
        await self._before(known)
        row = await self._guard(self._connection.fetchrow(known.postgres, *known.positional(params)))
        return None if row is None else dict(row)

    async def all(self, query: str, /, **params: Param) -> list[Row]:
        """Return every row."""
        known = self._query(query, params)
        await self._before(known)
        rows = await self._guard(self._connection.fetch(known.postgres, *known.positional(params)))
        return [dict(row) for row in rows]

    async def run(self, query: str, /, **params: Param) -> int:
        """Run it; return how many rows it touched."""
        known = self._query(query, params, writes=True)
        await self._before(known)
        status: str = await self._guard(self._connection.execute(known.postgres, *known.positional(params)))
        count = status.rpartition(" ")[2]
        return int(count) if count.isdecimal() else 0

    async def later(self, query: str, /, **params: Param) -> None:
        """Keep it for `run_late`."""
        known = self._query(query, params, writes=True)
        self._may_write(known)
        self._late.add(known, params)
        self._count += 1
        if self._count >= MAX_LATE and not self.trying:
            await self.run_late()

    async def expect(self, query: str, assume: Row | None = None, /, **params: Param) -> Row | None:
        """Keep it, or run it where this is a transaction."""
        if not self.trying:
            return await self.one(query, **params)
        known = self._query(query, params, writes=True)
        self._may_write(known)
        return self._late.expect(known, params, assume or {})

    async def known(self, row: Row, /) -> Row:
        """Run what was kept, and return the row."""
        if not isinstance(row, ExpectedRow):
            return row
        if not self._sent:
            await self.run_late()
        return self._rows[row.place]

    async def run_late(self) -> None:
        """Run what was kept, in one statement."""
        late = self._late
        if not late:
            return
        self._late, self._count = AtOnce(self._queries), 0
        text, values = late.statement()
        if not self.trying:
            await self._guard(self._connection.execute(text, *values))
            return
        self._sent = True
        try:
            record = await self._guard(self._connection.fetchrow(text, *values), commits=True)
        except (asyncpg.DivisionByZeroError, asyncpg.IntegrityConstraintViolationError) as error:
            raise Reconsidered from error
        self._rows = late.rows(record)

    async def many(self, query: str, rows: Sequence[Mapping[str, Param]], /) -> None:
        """Run it once for each set of parameters, pipelined."""
        known = self._query(query, *rows, writes=True)
        await self._before(known)
        values = [known.positional(row) for row in rows]
        await self._guard(self._connection.executemany(known.postgres, values))

    async def _before(self, query: Query) -> None:
        """What must have run before this statement; Reconsidered where it makes this more than one."""
        if not self.trying:
            await self.run_late()
        elif not query.reads or self._late:  # a read would not see what is kept
            self._may_write(query)
            self.failure = Reconsidered(query.name)
            raise self.failure

    def _may_write(self, query: Query) -> None:
        if self._sent and not query.reads:
            raise RuntimeError(f"query {query.name}: the unit has been committed as one statement")

    async def _guard(self, statement: Awaitable[Any], *, commits: bool = False) -> Any:
        try:
            return await statement
        except Exception as error:
            self.failure = self._translated(error, commits=commits or (self._single and not self._read_only))
            if self.failure is error:
                raise
            raise self.failure from error

    def _translated(self, error: Exception, *, commits: bool) -> Exception:
        if self._read_only and isinstance(error, asyncpg.ReadOnlySQLTransactionError):
            return error  # a write in a unit that only reads is a mistake, not a standby
        return translated(error, self._connection, commits=commits)


class PostgresStore:
    """The store at `url`, which must have its schema (see gateway.store.migrate). Use with `async with`."""

    def __init__(self, url: str, *, queries: Queries, pool_size: int = 20) -> None:
        self._queries = queries
        self._wakes = Wakes()
        self._listener = WakeListener(url, self._wakes)
        self._teller = WakeTeller(url)
        self._pool = create_pool(url, pool_size)
        self._taker: Taker | None = None

    async def __aenter__(self) -> Self:
        """Prepare the pool; the first unit connects."""
        await self._pool
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop listening, wait for the units at work, close."""
        await self._listener.close()
        await self._teller.close()
        try:
            async with asyncio.timeout(COMMAND_SECONDS):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    def on_wake(self, wake: Wake, callback: Callable[[], None]) -> None:
        """Call `callback` on the event loop after such a commit, here or (NOTIFY) in another process."""
        self._wakes.on(wake, callback)
        self._listener.start()

    def hand_over_to(self, taker: Taker) -> None:
        """Hand the outbox rows of committed units to `taker`, instead of having a relay woken for them."""
        self._taker = taker

    async def write(
        self, unit: Callable[Concatenate[Tx, P], Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a unit in one transaction; after a deadlock it is run again, so it must bear that."""
        single, trying = is_single_statement(unit), is_at_once(unit)
        conflicts = 0
        while True:
            begin = None if single or trying else "BEGIN"
            try:
                async with self._transaction(begin, single=single, trying=trying) as tx:
                    answer = await unit(tx, *args, **kwargs)
                    await tx.run_late()
                hand(self._taker, tx.handed)
                self._wakes.fire(tx.wakes)
                self._teller.tell(tx.wakes)
                return answer
            except Reconsidered:
                trying = False
                continue
            except CONFLICTS as error:
                conflicts += 1
                if conflicts > RETRIES:
                    raise StoreUnavailable(f"gave up after {RETRIES} retries: {error}") from error
            await asyncio.sleep(0.005 * 2**conflicts)

    async def read(
        self, unit: Callable[Concatenate[Tx, P], Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a unit that only reads, in one snapshot."""
        single = is_single_statement(unit)
        begin = None if single else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
        async with self._transaction(begin, single=single, read_only=True) as tx:
            return await unit(tx, *args, **kwargs)

    @asynccontextmanager
    async def _transaction(
        self, begin: str | None, *, single: bool, trying: bool = False, read_only: bool = False
    ) -> AsyncIterator[PostgresTx]:
        """Take a connection, begin, hand out the Tx, commit; whatever is raised rolls back."""
        connection = await self._connect()
        try:
            tx = PostgresTx(
                connection, self._queries, self._taker, read_only=read_only, single=single, trying=trying
            )
            if begin is not None:
                await _control(connection, begin)
            yield tx
            tx.finish()
            if begin is not None:
                await _control(connection, "COMMIT")
        finally:
            if not is_lost(connection) and connection.is_in_transaction():
                with suppress(*DRIVER_ERRORS):
                    await connection.execute("ROLLBACK")
            await self._release(connection)

    async def _connect(self) -> Any:
        try:
            return await self._pool.acquire(timeout=CONNECT_SECONDS)
        except DRIVER_ERRORS as error:
            raise StoreUnavailable(reason(error)) from error

    async def _release(self, connection: Any) -> None:
        with suppress(*DRIVER_ERRORS):  # a connection that breaks now is dropped; the unit is over either way
            await self._pool.release(connection)


async def _control(connection: Any, command: str) -> None:
    """Run BEGIN or COMMIT. An answer to COMMIT that is lost leaves the outcome unknown."""
    committing = command == "COMMIT"
    try:
        status = await connection.execute(command)
    except Exception as error:
        failure = translated(error, connection, commits=committing)
        if failure is error:
            raise
        raise failure from error
    if committing and status != "COMMIT":
        raise StoreUnavailable("the database rolled the transaction back")
