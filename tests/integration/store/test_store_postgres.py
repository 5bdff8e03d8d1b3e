"""What only the PostgreSQL engine has: retries, connections that break, NOTIFY from another process."""

import asyncio
from typing import Any

import asyncpg
import pytest

from gateway.bench.private_server import free_ports
from gateway.bench.services import PrivatePostgres
from gateway.domain.clock import Clock
from gateway.domain.ports.store import Tx, Wake
from gateway.store.engine import StoreUnavailable, open_store, single_statement
from gateway.store.migrate import migrate
from gateway.store.postgres import PostgresStore, PostgresTx
from gateway.store.postgres_connection import connect
from gateway.store.postgres_wakes import WakeTeller
from gateway.store.queries import Queries, Query
from tests.integration.store.conftest import SQL
from tests.integration.store.test_store_engine import count, insert, item, new_id


async def execute(url: str, statement: str) -> object:
    connection = await connect(url, "test")
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def wait_for(url: str, condition: str) -> None:
    """Ask until the server says yes; it has no way to tell us by itself."""
    async with asyncio.timeout(60):
        while not await execute(url, condition):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def kill(tx: Tx, name: str) -> None:
    await tx.all("kill_others", name=name)


async def test_a_deadlock_is_run_again(postgres_items_url: str, queries: Queries) -> None:
    left, right = new_id(), new_id()
    runs: list[str] = []
    both = asyncio.Barrier(2)

    async def cross(tx: Tx, first: str, second: str) -> None:
        runs.append(first)
        await tx.run("item_add", more=1, id=first)
        if len(runs) <= 2:
            await both.wait()
        await tx.run("item_add", more=1, id=second)

    async with open_store(postgres_items_url, Clock(), queries=queries) as store:
        await store.write(insert, left, 0)
        await store.write(insert, right, 0)
        await asyncio.gather(store.write(cross, left, right), store.write(cross, right, left))
        assert len(runs) == 3
        for key in (left, right):
            row = await store.read(item, key)
            assert row is not None
            assert row["n"] == 2


async def test_what_always_conflicts_is_given_up(postgres_items_url: str, queries: Queries) -> None:
    runs = 0

    async def conflict(tx: Tx) -> None:
        nonlocal runs
        runs += 1
        await insert(tx, new_id())
        raise asyncpg.SerializationError("could not serialize access")

    async with open_store(postgres_items_url, Clock(), queries=queries) as store:
        with pytest.raises(StoreUnavailable, match="gave up after 3 retries") as caught:
            await store.write(conflict)
        assert not caught.value.outcome_unknown
        assert runs == 4
        assert await store.read(count) == 0


async def test_a_lost_connection_is_retryable_and_the_next_unit_gets_another(
    postgres_items_url: str, queries: Queries
) -> None:
    async def insert_and_die(tx: Tx, key: str) -> None:
        await insert(tx, key)
        await tx.all("kill_self")

    @single_statement
    async def die(tx: Tx) -> None:
        await tx.all("kill_self")

    async with open_store(postgres_items_url, Clock(), queries=queries) as store:
        for _ in range(3):
            with pytest.raises(StoreUnavailable) as caught:
                await store.write(insert_and_die, new_id())
            assert not caught.value.outcome_unknown
            with pytest.raises(StoreUnavailable):
                await store.read(die)
        assert await store.write(insert, new_id()) == 1
        assert await store.read(count) == 1


async def test_a_lost_answer_to_commit_is_an_unknown_outcome(
    private_postgres: PrivatePostgres, queries: Queries
) -> None:
    """Two commits that wait for a standby that is not there, and a server that is killed meanwhile."""
    url, keys = private_postgres.url, [new_id(), new_id()]
    await migrate(url, SQL / "migrations")

    async def add(tx: Tx, key: str) -> int:
        return await tx.run("item_add", id=key, more=1)

    @single_statement
    async def add_alone(tx: Tx, key: str) -> int:
        return await add(tx, key)

    async with open_store(url, Clock(), queries=queries) as store:
        for key in keys:
            await store.write(insert, key, 0)
        await execute(url, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        await execute(url, "SELECT pg_reload_conf()")
        await wait_for(url, "SELECT current_setting('synchronous_standby_names') = 'nobody'")
        writing = [
            asyncio.create_task(store.write(add, keys[0])),
            asyncio.create_task(store.write(add_alone, keys[1])),
        ]
        await wait_for(url, "SELECT count(*) = 2 FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
        private_postgres.kill()
        for outcome in await asyncio.gather(*writing, return_exceptions=True):
            assert isinstance(outcome, StoreUnavailable)
            assert outcome.outcome_unknown

        with pytest.raises(StoreUnavailable) as caught:
            await store.write(add, keys[0])
        assert not caught.value.outcome_unknown
        with pytest.raises(StoreUnavailable):
            await store.read(count)

        private_postgres.restart()
        rows = [await store.read(item, key) for key in keys]
        assert [row["n"] for row in rows if row] == [1, 1]


async def test_no_free_connection_is_retryable(
    postgres_items_url: str, queries: Queries, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, enough = asyncio.Event(), asyncio.Event()

    async def hold(tx: Tx) -> None:
        await count(tx)
        held.set()
        await enough.wait()

    async with open_store(postgres_items_url, Clock(), queries=queries, pool_size=1) as store:
        holding = asyncio.create_task(store.write(hold))
        await held.wait()
        with monkeypatch.context() as patched:
            patched.setattr("gateway.store.postgres.CONNECT_SECONDS", 0.1)
            with pytest.raises(StoreUnavailable, match="TimeoutError"):
                await store.write(insert, new_id())
        enough.set()
        await holding
        assert await store.write(insert, new_id()) == 1


async def test_a_read_only_database_is_retryable(postgres_items_url: str, queries: Queries) -> None:
    name = postgres_items_url.rpartition("/")[2]
    await execute(postgres_items_url, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    async with open_store(postgres_items_url, Clock(), queries=queries) as store:
        with pytest.raises(StoreUnavailable):
            await store.write(insert, new_id())


async def test_a_database_that_is_away_is_retryable(queries: Queries) -> None:
    (port,) = free_ports(1)
    url = f"postgresql://someone:secret@127.0.0.1:{port}/nothing"
    async with open_store(url, Clock(), queries=queries) as store:
        with pytest.raises(StoreUnavailable) as caught:
            await store.write(insert, new_id())
        assert "secret" not in str(caught.value)
        with pytest.raises(StoreUnavailable):
            await store.read(count)


def hear_goodbye(connection: Any) -> None:
    """The server says that it ends this connection, and has not hung up yet.

    The driver refuses every statement until then, with an error of a kind of its own.
    """
    said = b"SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0"
    connection._protocol.data_received(b"E" + (len(said) + 4).to_bytes(4) + said)


async def test_a_server_that_has_said_goodbye_is_away(postgres_items_url: str, queries: Queries) -> None:
    async def count_after_goodbye(tx: Tx) -> int:
        assert isinstance(tx, PostgresTx)
        hear_goodbye(tx._connection)
        return await count(tx)

    async with open_store(postgres_items_url, Clock(), queries=queries) as store:
        for run in (store.read, store.write):
            with pytest.raises(StoreUnavailable, match="InternalClientError"):
                await run(count_after_goodbye)


async def test_a_notify_after_a_goodbye_goes_over_another_connection(
    postgres_items_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    heard = asyncio.Event()
    listening = await connect(postgres_items_url, "test")
    teller = WakeTeller(postgres_items_url)
    try:
        await listening.add_listener(f"gateway_{Wake.OUTBOX.value}", lambda *_: heard.set())
        async with asyncio.timeout(60):
            teller.tell({Wake.OUTBOX})
            await heard.wait()
            hear_goodbye(teller._connection)
            teller.tell({Wake.OUTBOX})
            while "could not be woken" not in caplog.text:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            heard.clear()
            teller.tell({Wake.OUTBOX})
            await heard.wait()
    finally:
        await teller.close()
        await listening.close()


async def ring(tx: Tx) -> None:
    await insert(tx, new_id())
    tx.after_commit(Wake.OUTBOX)


async def test_a_commit_elsewhere_wakes_us_also_after_a_reconnect(
    postgres_items_url: str, queries: Queries
) -> None:
    woken = asyncio.Event()
    async with (
        open_store(postgres_items_url, Clock(), queries=queries) as here,
        open_store(postgres_items_url, Clock(), queries=queries) as there,
        asyncio.timeout(60),
    ):
        here.on_wake(Wake.OUTBOX, woken.set)
        await woken.wait()  # listening has begun
        woken.clear()
        await there.write(ring)
        await woken.wait()

        woken.clear()
        await there.write(kill, "gateway wakes")
        await woken.wait()  # it is back, and woke us for what was missed
        woken.clear()
        await there.write(ring)
        await woken.wait()


async def test_statements_are_prepared_once(postgres_items_url: str, queries: Queries) -> None:
    async with PostgresStore(postgres_items_url, queries=queries, pool_size=1) as store:

        async def prepared(tx: Tx) -> int:
            rows = await tx.all("prepared")
            return len(rows)

        sql = "SELECT name FROM pg_prepared_statements"
        queries["prepared"] = Query("prepared", "", sql, sql, (), frozenset())
        await store.read(prepared)
        before = await store.read(prepared)
        for _ in range(5):
            await store.read(count)
        assert await store.read(prepared) == before + 1
