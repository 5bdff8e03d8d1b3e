"""One suite for both databases: an empty store with the schema, and a clock that tests move."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar
from urllib.parse import urlsplit

import pytest

from gateway.domain.clock import SECOND, Clock
from gateway.domain.ports.store import Store, Taker, Tx, Wake
from gateway.store.engine import at_once, is_at_once, open_store
from gateway.store.postgres import PostgresTx
from gateway.store.queries import Queries, load_queries
from tests.schema import schema_file
from tests.services import Service, execute, own_database

P = ParamSpec("P")
T = TypeVar("T")

TEST_QUERIES = Path(__file__).parent / "queries"
BEGINNING = 1_700_000_000 * SECOND
"""The time at which every store is opened, in microseconds."""
_STANDING_CLOCK = """
CREATE OR REPLACE FUNCTION gateway_now() RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT current_setting('gateway.clock_us')::bigint
$$
"""
"""For PostgreSQL: a clock that goes on by itself would make the seconds of a busy machine part of a test."""


@cache
def all_queries() -> Queries:
    """The package's queries and those with which tests look into tables."""
    return Queries({**load_queries(), **load_queries(TEST_QUERIES)})


class MovableStore:
    """A store whose database clock only tests move: SQLite's is injected, PostgreSQL's set by every unit."""

    def __init__(self, store: Store, moment: list[int]) -> None:
        self._store = store
        self._moment = moment
        self.retries = 0
        """How often a unit lost against another one (a deadlock) and was run again."""

    def advance(self, seconds: float) -> None:
        """Let time pass for the database."""
        self._moment[0] += int(seconds * SECOND)

    async def write(
        self, unit: Callable[Concatenate[Tx, P], Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a unit at the moved time."""
        runs = {True: 0, False: 0}

        async def moved(tx: Tx) -> T:
            trying = isinstance(tx, PostgresTx) and tx.trying
            runs[trying] += 1
            self.retries += runs[trying] > 1
            await tx.one("test_clock", moment=str(self._moment[0]))
            return await unit(tx, *args, **kwargs)

        return await self._store.write(at_once(moved) if is_at_once(unit) else moved)

    async def read(
        self, unit: Callable[Concatenate[Tx, P], Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a unit that only reads, at the moved time."""

        async def moved(tx: Tx) -> T:
            await tx.one("test_clock", moment=str(self._moment[0]))
            return await unit(tx, *args, **kwargs)

        return await self._store.read(moved)

    def on_wake(self, wake: Wake, callback: Callable[[], None]) -> None:
        """As the store's."""
        self._store.on_wake(wake, callback)

    def hand_over_to(self, taker: Taker) -> None:
        """As the store's."""
        self._store.hand_over_to(taker)


@asynccontextmanager
async def movable(url: str) -> AsyncIterator[MovableStore]:
    """Open the store at `url`, which has its schema."""
    moment = [BEGINNING]
    async with open_store(url, Clock(now=lambda: moment[0]), queries=all_queries()) as opened:
        yield MovableStore(opened, moment)


@pytest.fixture(scope="session")
def standing_template(postgres_server: Service, postgres_template: str) -> Iterator[str]:
    """The name of a database like `postgres_template`, but for a clock that stands."""
    with own_database(postgres_server.url, postgres_template) as url:
        asyncio.run(execute(url, _STANDING_CLOCK))
        yield urlsplit(url).path.removeprefix("/")


@pytest.fixture
def schema_url(postgres_server: Service, standing_template: str) -> Iterator[str]:
    """A PostgreSQL database of this test's own, with the schema and a clock that stands, dropped after it."""
    with own_database(postgres_server.url, standing_template) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of each kind with the schema and nothing in it, one after the other."""
    if request.param == "sqlite":
        return asyncio.run(schema_file(tmp_path / "gateway.db"))
    return str(request.getfixturevalue("schema_url"))


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[MovableStore]:
    """An open store with the schema and nothing in it."""
    async with movable(database_url) as opened:
        yield opened


class World:
    """A store on a loop of its own, for tests that are not coroutines."""

    def __init__(self, runner: asyncio.Runner, store: MovableStore) -> None:
        self._runner = runner
        self.store = store
        self.people = 0

    def run(self, coroutine: Awaitable[T]) -> T:
        """Run to the end."""

        async def awaited() -> T:
            return await coroutine

        return self._runner.run(awaited())


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    """A world with an empty database."""
    with asyncio.Runner() as runner:
        opened = movable(database_url)
        yield World(runner, runner.run(opened.__aenter__()))
        runner.run(opened.__aexit__(None, None, None))
