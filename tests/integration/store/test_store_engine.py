"""What both engines promise, case by case the same on SQLite and PostgreSQL."""

import asyncio
from uuid import uuid4

import pytest

from gateway.domain.ports.store import Param, Row, Store, Tx, Wake
from gateway.store.engine import single_statement
from gateway.store.postgres import PostgresStore
from tests.waiting import until


async def insert(tx: Tx, key: str, n: int = 1, body: str | None = None, *, flag: bool = True) -> int:
    return await tx.run("item_insert", id=key, n=n, body=body, flag=flag)


def values(key: str, n: int) -> dict[str, Param]:
    return {"id": key, "n": n, "body": None, "flag": True}


async def insert_and_fail(tx: Tx, key: str) -> None:
    await insert(tx, key)
    raise LookupError(key)


async def item(tx: Tx, key: str) -> Row | None:
    return await tx.one("item", id=key)


async def count(tx: Tx) -> int:
    row = await tx.one("items_count")
    assert row is not None
    return int(row["n"])


def new_id() -> str:
    return str(uuid4())


async def test_values_come_back_as_they_are_on_either_database(store: Store, moment: list[int]) -> None:
    key = new_id()
    assert await store.write(insert, key, 7, '{"a": 1}', flag=False) == 1

    row = await store.read(item, key)

    assert isinstance(row, dict)
    assert list(row) == ["id", "n", "body", "flag", "at"]
    assert (row["id"], row["n"], row["body"]) == (key, 7, '{"a": 1}')
    assert not row["flag"]
    assert isinstance(row["at"], int)
    assert row["at"] >= moment[0]
    assert await store.read(item, new_id()) is None


async def test_none_is_null(store: Store) -> None:
    key = new_id()
    await store.write(insert, key, body=None)
    row = await store.read(item, key)
    assert row is not None
    assert row["body"] is None


async def test_lists_are_parameters(store: Store) -> None:
    keys = [new_id() for _ in range(3)]

    async def add(tx: Tx) -> None:
        await tx.many("item_insert", [values(k, n) for n, k in enumerate(keys)])

    async def among(tx: Tx, ids: list[str], ns: list[int]) -> list[str]:
        return [row["id"] for row in await tx.all("items_in", ids=ids, ns=ns)]

    await store.write(add)
    assert await store.read(among, [keys[2], keys[0], new_id()], [0, 1, 2]) == [keys[0], keys[2]]
    assert await store.read(among, keys, []) == []
    assert await store.write(among, keys, [1]) == [keys[1]]


async def test_run_counts_the_rows_it_touched(store: Store) -> None:
    keys = [new_id() for _ in range(3)]
    for n, key in enumerate(keys):
        await store.write(insert, key, n % 2)

    async def add(tx: Tx, query: str, /, **params: str | int) -> int:
        return await tx.run(query, **params)

    assert await store.write(add, "items_add", more=0) == 3
    assert await store.write(add, "item_add", more=1, id=new_id()) == 0
    assert await store.write(add, "items_add_like", more=0, id=keys[0]) == 2


async def test_one_may_return_what_it_wrote(store: Store) -> None:
    async def add(tx: Tx, key: str) -> Row | None:
        return await tx.one("item_insert_returning", id=key, n=5, flag=True)

    key = new_id()
    row = await store.write(add, key)
    assert row is not None
    assert (row["id"], row["n"]) == (key, 5)
    assert await store.read(item, key) is not None


async def test_a_unit_that_fails_leaves_nothing_and_its_neighbours_stay(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    good, bad = [new_id() for _ in range(10)], [new_id() for _ in range(10)]
    outcomes = await asyncio.gather(
        *(store.write(insert, key) for key in good),
        *(store.write(insert_and_fail, key) for key in bad),
        return_exceptions=True,
    )
    assert outcomes[:10] == [1] * 10
    assert all(isinstance(outcome, LookupError) for outcome in outcomes[10:])
    assert await store.read(count) == 10
    assert caplog.records == []


async def test_a_failed_statement_cannot_be_swallowed(store: Store) -> None:
    async def swallow(tx: Tx, key: str) -> None:
        await insert(tx, key)
        try:
            await tx.all("broken")
        except Exception:
            return

    with pytest.raises(Exception, match="nowhere"):
        await store.write(swallow, new_id())
    assert await store.read(count) == 0


async def test_foreign_keys_hold(store: Store) -> None:
    async def copy(tx: Tx, key: str) -> None:
        await tx.run("copy_insert", id=key)

    with pytest.raises(Exception, match=r"(?i)foreign key"):
        await store.write(copy, new_id())


async def test_parameters_must_fit_the_query(store: Store) -> None:
    async def wrong(tx: Tx) -> None:
        await tx.one("item", key=1)

    async def unknown(tx: Tx) -> None:
        await tx.one("no_such_query")

    with pytest.raises(TypeError, match="item misses id and does not know key"):
        await store.read(wrong)
    with pytest.raises(LookupError, match="no_such_query"):
        await store.write(unknown)


async def test_a_unit_that_only_reads_may_not_write(store: Store) -> None:
    async def returning(tx: Tx, key: str) -> None:
        await tx.one("item_insert_returning", id=key, n=5, flag=True)

    async def many(tx: Tx) -> None:
        await tx.many("items_add", [{"more": 1}])

    async def wake(tx: Tx) -> None:
        tx.after_commit(Wake.OUTBOX)

    for unit in (many, wake):
        with pytest.raises(RuntimeError, match="only reads"):
            await store.read(unit)
    with pytest.raises(RuntimeError, match="only reads"):
        await store.read(insert, new_id())
    with pytest.raises(Exception, match=r"(?i)read-?only"):
        await store.read(returning, new_id())
    assert await store.read(count) == 0


async def test_a_unit_that_only_reads_sees_one_moment(store: Store) -> None:
    began, go_on = asyncio.Event(), asyncio.Event()

    async def count_twice(tx: Tx) -> tuple[int, int]:
        first = await count(tx)
        began.set()
        await go_on.wait()
        return first, await count(tx)

    reading = asyncio.create_task(store.read(count_twice))
    await began.wait()
    await store.write(insert, new_id())
    go_on.set()
    assert await reading == (0, 0)
    assert await store.read(count) == 1


async def test_a_transaction_is_over_when_its_unit_is(store: Store) -> None:
    async def leak(tx: Tx) -> Tx:
        return tx

    for tx in (await store.write(leak), await store.read(leak)):
        with pytest.raises(RuntimeError, match="over"):
            await tx.one("items_count")


async def test_a_single_statement_is_one(store: Store) -> None:
    @single_statement
    async def once(tx: Tx) -> int:
        return await count(tx)

    @single_statement
    async def twice(tx: Tx) -> int:
        return await count(tx) + await count(tx)

    @single_statement
    async def add(tx: Tx, key: str) -> int:
        return await insert(tx, key)

    assert await store.write(add, new_id()) == 1
    assert await store.read(once) == 1
    with pytest.raises(RuntimeError, match="second statement"):
        await store.read(twice)


async def test_wakes_fire_after_the_commit_and_only_then(store: Store) -> None:
    seen: list[int] = []
    tasks: list[asyncio.Task[None]] = []

    async def look() -> None:
        seen.append(await store.read(count))

    async def add(tx: Tx, key: str, *, fail: bool) -> None:
        tx.after_commit(Wake.TIMELINE)
        await insert(tx, key)
        if fail:
            raise LookupError

    store.on_wake(Wake.TIMELINE, lambda: tasks.append(asyncio.create_task(look())))
    if isinstance(store, PostgresStore):  # its listener wakes once when it has connected
        await until(lambda: seen)
    with pytest.raises(LookupError):
        await store.write(add, new_id(), fail=True)
    seen.clear()
    await store.write(add, new_id(), fail=False)
    await until(lambda: seen)
    await asyncio.gather(*tasks)
    assert set(seen) == {1}


async def test_a_cancelled_caller_disturbs_nobody(store: Store) -> None:
    keys = [new_id() for _ in range(60)]
    tasks = [asyncio.create_task(store.write(insert, key)) for key in keys]
    await asyncio.sleep(0)
    for task in tasks[::3]:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)

    for index, (key, outcome) in enumerate(zip(keys, outcomes, strict=True)):
        if index % 3:
            assert outcome == 1
            assert await store.read(item, key) is not None
    assert await store.write(insert, new_id()) == 1


async def test_a_cancelled_reader_gives_its_connection_back(store: Store) -> None:
    async def slow(tx: Tx) -> int:
        row = await tx.one("slow_count", n=2_000_000_000)
        return int(row["n"]) if row else 0

    async with asyncio.timeout(60):
        for _ in range(8):
            task = asyncio.create_task(store.read(slow))
            await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert await asyncio.gather(*(store.read(count) for _ in range(8))) == [0] * 8
