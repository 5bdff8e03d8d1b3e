"""A small schema of its own for the store's engines, on SQLite and, where there is one, on PostgreSQL."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.domain.clock import Clock
from gateway.domain.ports.store import Store
from gateway.store.engine import open_store
from gateway.store.migrate import migrate
from gateway.store.queries import Queries, load_queries

SQL = Path(__file__).parent / "sql"


@pytest.fixture
def queries() -> Queries:
    """The queries the engine tests run."""
    return load_queries(SQL / "queries")


@pytest.fixture
def moment() -> list[int]:
    """SQLite's clock in microseconds, in a list so that a test can move it."""
    return [1_700_000_000_000_000]


@pytest.fixture
async def sqlite_url(tmp_path: Path) -> str:
    """A fresh SQLite file with the schema."""
    url = f"sqlite:///{tmp_path}/store.db"
    assert await migrate(url, SQL / "migrations") == ["0001_items"]
    return url


@pytest.fixture
async def postgres_items_url(postgres_url: str) -> str:
    """A fresh PostgreSQL database with the schema."""
    assert await migrate(postgres_url, SQL / "migrations") == ["0001_items"]
    return postgres_url


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest) -> str:
    """Both databases, one after the other."""
    name = "sqlite_url" if request.param == "sqlite" else "postgres_items_url"
    return str(request.getfixturevalue(name))


@pytest.fixture
async def store(store_url: str, queries: Queries, moment: list[int]) -> AsyncIterator[Store]:
    """An open store."""
    async with open_store(store_url, Clock(now=lambda: moment[0]), queries=queries) as opened:
        yield opened
