"""What both engines share: opening a store by its URL, marks on units, the rules every unit of work obeys."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from gateway.domain.clock import Clock
from gateway.domain.envelope import Posting
from gateway.domain.errors import Unavailable
from gateway.domain.ports.store import Param, Store, Taker, Wake
from gateway.store.queries import Queries, Query, load_queries

P = ParamSpec("P")
T = TypeVar("T")

_SINGLE_STATEMENT = "_gateway_single_statement"
_AT_ONCE = "_gateway_at_once"
_SQLITE_PREFIX = "sqlite:///"


class StoreUnavailable(Unavailable):
    """The database cannot do it now; the unit may be tried again.

    Where `outcome_unknown` is False nothing of the unit was stored.
    """


def single_statement(unit: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """Mark a unit that runs one statement on PostgreSQL, which then needs no BEGIN and COMMIT.

    A second statement is refused with RuntimeError. What the statement did stays done even if the unit raises
    after it. A write on SQLite ignores the mark: there the unit may take several, as always.
    """
    setattr(unit, _SINGLE_STATEMENT, True)
    return unit


def is_single_statement(unit: Callable[..., Any]) -> bool:
    """Whether `unit` carries the mark of `single_statement`."""
    return bool(getattr(unit, _SINGLE_STATEMENT, False))


def at_once(unit: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """Mark a unit that PostgreSQL tries as one writing statement, then as a transaction where it is more.

    Tried so, its reads run as they come, each by itself; what it gives to `later` and `expect` is sent as one
    statement at its end, or where it asks for a row by `known`, after which it may only read. A write by
    `one`, `all`, `run` or `many`, a read behind what is not sent yet, and an expectation that was wrong have
    it run again in a transaction.
    """
    setattr(unit, _AT_ONCE, True)
    return unit


def is_at_once(unit: Callable[..., Any]) -> bool:
    """Whether `unit` carries the mark of `at_once`."""
    return bool(getattr(unit, _AT_ONCE, False))


class UnitOfWork:
    """The part of a `Tx` that is the same everywhere: which query, whether it may run, what is to be woken.

    A unit whose statement failed is over: PostgreSQL would roll it back silently at COMMIT, so both engines
    refuse it with the statement's error even if the unit swallowed that.
    """

    def __init__(
        self,
        queries: Queries,
        taker: Taker | None = None,
        *,
        read_only: bool = False,
        single: bool = False,
    ) -> None:
        """`taker`: who is handed the outbox rows."""
        self.failure: Exception | None = None
        self.wakes: set[Wake] = set()
        self.handed: list[Posting] = []
        self._queries = queries
        self._taker = taker
        self._read_only = read_only
        self._single = single
        self._ran = False
        self._over = False

    def after_commit(self, wake: Wake, /) -> None:
        """Wake somebody once this unit is durable."""
        if self._read_only:
            raise RuntimeError("a unit that only reads wakes nobody")
        self.wakes.add(wake)

    @property
    def taker(self) -> Taker | None:
        """Who takes outbox rows, if ready."""
        return self._taker if self._taker is not None and self._taker.ready else None

    def hand_over(self, posting: Posting, /) -> None:
        """Keep it until the commit."""
        self.handed.append(posting)

    def finish(self) -> None:
        """Refuse every further statement, and raise the error of a statement that failed."""
        self._over = True
        if self.failure is not None:
            raise self.failure

    def _query(self, name: str, *rows: Mapping[str, Param], writes: bool = False) -> Query:
        """Check that one more statement may run, with these parameters, and return its query."""
        if self._over:
            raise RuntimeError(f"query {name}: its unit of work is over")
        if self._read_only and writes:
            raise RuntimeError(f"query {name}: a unit that only reads may not write")
        if self._single and self._ran:
            raise RuntimeError(f"query {name}: a second statement in a unit marked single_statement")
        self._ran = True
        query = self._queries[name]
        for params in rows:
            if params.keys() != query.parameters:
                query.check(params)
        return query


def hand(taker: Taker | None, postings: list[Posting]) -> None:
    """Have them taken soon; an error of the taker goes to the loop, not to the caller."""
    if postings and taker is not None:
        asyncio.get_running_loop().call_soon(taker.take, postings)


class Wakes:
    """Who is called when a unit with a wake-up has committed; bursts become one call."""

    def __init__(self) -> None:
        self._callbacks: dict[Wake, list[Callable[[], None]]] = {}
        self._due: set[Wake] = set()

    def on(self, wake: Wake, callback: Callable[[], None]) -> None:
        """Call `callback` on the event loop after each burst of `wake`."""
        self._callbacks.setdefault(wake, []).append(callback)

    def fire(self, wakes: Iterable[Wake]) -> None:
        """Have the callbacks called soon; a callback's error goes to the loop, not to the caller."""
        for wake in wakes:
            if wake in self._callbacks and wake not in self._due:
                self._due.add(wake)
                asyncio.get_running_loop().call_soon(self._call, wake)

    def _call(self, wake: Wake) -> None:
        self._due.discard(wake)
        for callback in self._callbacks[wake]:
            asyncio.get_running_loop().call_soon(callback)


def sqlite_path(url: str) -> Path | None:
    """Return the file of a `sqlite:///` URL, None for any other. Raises ValueError where there is no file."""
    if not url.startswith("sqlite:"):
        return None
    path = url.removeprefix(_SQLITE_PREFIX)
    if path == url or path in {"", ":memory:"}:
        raise ValueError("a SQLite database is named sqlite:///PATH and lives in a file")
    return Path(path)


@asynccontextmanager
async def open_store(
    url: str, clock: Clock, *, queries: Queries | None = None, pool_size: int = 20
) -> AsyncIterator[Store]:
    """Open the store a URL names (`sqlite:///PATH` or `postgresql://…`) and close it at the end.

    PostgreSQL need not be up: until it is, units raise StoreUnavailable. `clock` is SQLite's only.
    Raises ValueError for another scheme, StoreUnavailable for a SQLite file that cannot be opened.
    """
    known = load_queries() if queries is None else queries
    path = sqlite_path(url)
    if path is not None:
        from gateway.store.sqlite import SqliteStore

        async with SqliteStore(path, clock=clock, queries=known) as sqlite:
            yield sqlite
    elif url.startswith(("postgresql://", "postgres://")):
        from gateway.store.postgres import PostgresStore

        async with PostgresStore(url, pool_size=pool_size, queries=known) as postgres:
            yield postgres
    else:
        raise ValueError("a database URL begins with sqlite:/// or postgresql://")
