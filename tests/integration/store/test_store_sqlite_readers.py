"""The readers of a SQLite database: beside the writer, and free again when nobody waits for them."""

import asyncio
import threading

from gateway.domain.clock import Clock
from gateway.domain.ports.store import Tx
from gateway.store.engine import open_store, single_statement
from gateway.store.queries import Queries
from gateway.store.sqlite import SqliteStore
from tests.integration.store.test_store_engine import count, insert, new_id
from tests.waiting import until


async def test_readers_hold_up_neither_writes_nor_the_loop(sqlite_url: str, queries: Queries) -> None:
    async def slow(tx: Tx) -> int:
        row = await tx.one("slow_count", n=2_000_000_000)
        return int(row["n"]) if row else 0

    async with open_store(sqlite_url, Clock(), queries=queries) as store:
        reading = [asyncio.create_task(store.read(slow)) for _ in range(3)]
        await asyncio.sleep(0)
        for _ in range(10):
            await store.write(insert, new_id())
        assert not any(task.done() for task in reading)
        for task in reading:
            task.cancel()
        await asyncio.wait(reading)


async def test_a_reader_given_up_before_its_statement_begins_is_free_again(
    sqlite_url: str, queries: Queries
) -> None:
    @single_statement
    async def slow(tx: Tx) -> None:
        await tx.one("slow_count", n=2_000_000_000)

    async with open_store(sqlite_url, Clock(), queries=queries) as store:
        assert isinstance(store, SqliteStore)
        threads = [reader.connection._tx for reader in store._open]
        held = threading.Event()
        for thread in threads:
            thread.put_nowait((None, held.wait))
        await until(lambda: not any(thread.qsize() for thread in threads))
        reading = [asyncio.create_task(store.read(slow)) for _ in threads]
        await until(lambda: all(thread.qsize() for thread in threads))
        for task in reading:
            task.cancel()
        await asyncio.wait(reading)
        held.set()
        assert await asyncio.gather(*(store.read(count) for _ in threads)) == [0] * len(threads)
