"""Migrations: in order, all or nothing, one at a time, and cheap to check."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.bench.private_server import free_ports
from gateway.domain.clock import Clock
from gateway.store.engine import StoreUnavailable, open_store
from gateway.store.migrate import UnknownSchema, migrate, pending, revisions, schema_is_current, verified
from gateway.store.queries import Queries
from tests.integration.store.conftest import SQL
from tests.integration.store.test_store_engine import count

MORE = "CREATE TABLE more (a bigint);"


@pytest.fixture
def steps(tmp_path: Path) -> Path:
    """A folder with the first migration, to which tests add."""
    folder = tmp_path / "steps"
    folder.mkdir()
    for file in (SQL / "migrations").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


async def test_only_what_is_pending_is_applied(store_url: str, steps: Path, queries: Queries) -> None:
    assert await schema_is_current(store_url, steps)
    (steps / "0002_more.sql").write_text(MORE + " INSERT INTO items\nSELECT * FROM items;")
    (steps / "0003_last.sql").write_text("ALTER TABLE more ADD COLUMN b text DEFAULT 'a;b' -- why; not\n")
    assert await pending(store_url, steps) == ["0002_more", "0003_last"]
    assert not await schema_is_current(store_url, steps)

    assert await migrate(store_url, steps) == ["0002_more", "0003_last"]

    assert await schema_is_current(store_url, steps)
    assert await migrate(store_url, steps) == []


async def test_a_failing_migration_changes_nothing(store_url: str, steps: Path, queries: Queries) -> None:
    (steps / "0002_more.sql").write_text(MORE)
    (steps / "0003_wrong.sql").write_text("DROP TABLE copies; DROP TABLE items; " + MORE)
    with pytest.raises(Exception, match="already exists"):
        await migrate(store_url, steps)
    assert await pending(store_url, steps) == ["0002_more", "0003_wrong"]
    async with open_store(store_url, Clock(), queries=queries) as store:
        assert await store.read(count) == 0


async def test_two_at_once_wait_for_each_other(store_url: str, steps: Path) -> None:
    (steps / "0002_more.sql").write_text(MORE)
    applied = await asyncio.gather(*(migrate(store_url, steps) for _ in range(3)))
    assert sorted(applied) == [[], [], ["0002_more"]]


async def test_a_newer_schema_is_refused(store_url: str, steps: Path) -> None:
    (steps / "0002_more.sql").write_text(MORE)
    await migrate(store_url, steps)
    with pytest.raises(UnknownSchema, match="0002_more"):
        await migrate(store_url, SQL / "migrations")
    assert not await schema_is_current(store_url, SQL / "migrations")


async def test_a_database_that_never_had_a_step_is_refused_and_left_as_it_is(
    store_url: str, steps: Path
) -> None:
    """Its version is the name of the newest one: a step that came to be before that later is not pending."""
    (steps / "0003_last.sql").write_text(MORE)
    await migrate(store_url, steps)
    await verified(store_url, steps)
    (steps / "0002_late.sql").write_text(
        "ALTER TABLE items ADD COLUMN late text; CREATE TABLE later (a text)"
    )
    assert await pending(store_url, steps) == []
    for look in (verified, migrate):
        with pytest.raises(UnknownSchema, match=r"0003_last.* lacks items\.late, later\.a:"):
            await look(store_url, steps)
    (steps / "0004_new.sql").write_text("CREATE TABLE new (a text)")
    with pytest.raises(UnknownSchema, match="0004_new"):
        await migrate(store_url, steps)
    assert await pending(store_url, steps) == ["0004_new"]


async def test_an_empty_or_missing_database_is_not_current(tmp_path: Path, postgres_url: str) -> None:
    missing = f"sqlite:///{tmp_path}/none.db"
    assert not await schema_is_current(missing)
    assert not (tmp_path / "none.db").exists()
    assert not await schema_is_current(postgres_url)


async def test_a_database_that_is_away_is_retryable() -> None:
    (port,) = free_ports(1)
    url = f"postgresql://someone@127.0.0.1:{port}/nothing"
    with pytest.raises(StoreUnavailable):
        await schema_is_current(url)
    with pytest.raises(StoreUnavailable):
        await migrate(url)


@pytest.mark.parametrize(
    "names", [["1_short.sql"], ["0001_Upper.sql"], ["0001_a.mysql.sql"], ["0001_a.sql", "0001_b.sql"]]
)
def test_misnamed_migrations_are_refused(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).write_text("SELECT 1;")
    with pytest.raises(ValueError, match="NNNN_noun"):
        revisions("sqlite", tmp_path)


async def test_the_packages_own_migrations_apply(tmp_path: Path, postgres_url: str) -> None:
    for url in (f"sqlite:///{tmp_path}/own.db", postgres_url):
        assert await migrate(url) == [known.name for known in revisions("sqlite")]
        assert await schema_is_current(url)


def test_serving_does_without_sqlalchemy_and_alembic() -> None:
    code = (
        "import sys, gateway.store.migrate, gateway.store.sqlite, gateway.store.postgres;"
        "print([name for name in ('sqlalchemy', 'alembic') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
