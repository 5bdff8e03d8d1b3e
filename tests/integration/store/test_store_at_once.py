"""Units that are tried as one statement: what they store is the same, in however many statements it is."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.domain.clock import Clock
from gateway.domain.ports.store import Row, Store, Tx
from gateway.store.at_once import AtOnce, Value
from gateway.store.engine import at_once, open_store
from gateway.store.postgres import PostgresTx
from gateway.store.queries import Queries, Query
from tests.integration.store.test_store_engine import count, insert, item, new_id, values


@pytest.fixture
async def postgres(postgres_items_url: str, queries: Queries) -> AsyncIterator[Store]:
    """Where units are tried."""
    async with open_store(postgres_items_url, Clock(), queries=queries) as opened:
        yield opened


async def number_of(store: Store, key: str) -> int | None:
    row = await store.read(item, key)
    return None if row is None else int(row["n"])


@at_once
async def add_and_copy(tx: Tx, key: str, copy: str, assumed: int | None = None) -> int:
    """Add 5 to an item, and store another one that has 1 more."""
    row = await tx.expect("item_add_returning", None if assumed is None else {"n": assumed}, id=key, more=5)
    if row is None:
        return -1
    await tx.later("item_insert", id=copy, n=row["n"] + 1, body=None, flag=True)
    return int((await tx.known(row))["n"])


async def test_later_statements_use_what_earlier_ones_return(store: Store) -> None:
    key, copy = new_id(), new_id()
    await store.write(insert, key, 7)
    assert await store.write(add_and_copy, key, copy) == 12
    assert await number_of(store, copy) == 13


@pytest.mark.parametrize("assumed", [12, 99])
async def test_an_assumption_may_be_wrong(store: Store, assumed: int) -> None:
    key, copy = new_id(), new_id()
    await store.write(insert, key, 7)
    assert await store.write(add_and_copy, key, copy, assumed) == 12
    assert await number_of(store, key) == 12
    assert await number_of(store, copy) == 13


async def test_without_the_row_nothing_is_stored(store: Store) -> None:
    assert await store.write(add_and_copy, new_id(), new_id()) == -1
    assert await store.read(count) == 0


async def test_a_unit_that_is_more_than_one_statement_is_a_transaction(store: Store) -> None:
    key = new_id()

    @at_once
    async def unit(tx: Tx) -> int:
        row = await tx.expect("item_insert_returning", id=key, n=1, flag=True)
        assert row is not None
        await tx.run("item_add", id=key, more=1)
        await tx.later("item_insert", **values(new_id(), row["n"]))
        return await count(tx)

    assert await store.write(unit) == 2
    assert await number_of(store, key) == 2


async def test_what_is_not_sent_yet_is_seen_by_who_reads(store: Store) -> None:
    @at_once
    async def unit(tx: Tx) -> int:
        await tx.later("item_insert", **values(new_id(), 1))
        return await count(tx)

    assert await store.write(unit) == 1


async def test_what_a_unit_raises_before_it_is_sent_leaves_nothing(store: Store) -> None:
    @at_once
    async def unit(tx: Tx) -> None:
        await tx.expect("item_insert_returning", id=new_id(), n=1, flag=True)
        raise LookupError

    with pytest.raises(LookupError):
        await store.write(unit)
    assert await store.read(count) == 0


async def test_a_mistake_is_still_one(store: Store) -> None:
    key = new_id()
    await store.write(insert, key)

    @at_once
    async def unit(tx: Tx) -> None:
        await tx.later("item_insert", **values(key, 1))

    with pytest.raises(Exception, match=r"(?i)unique"):
        await store.write(unit)


async def test_many_at_once_each_count(store: Store) -> None:
    key = new_id()
    await store.write(insert, key, 0)
    seen = await asyncio.gather(*(store.write(add_and_copy, key, new_id()) for _ in range(10)))
    assert sorted(seen) == list(range(5, 55, 5))
    assert await store.read(count) == 11


async def test_it_is_one_statement(postgres: Store) -> None:
    key = new_id()
    await postgres.write(insert, key, 7)
    tried: list[bool] = []

    @at_once
    async def unit(tx: Tx) -> int:
        assert isinstance(tx, PostgresTx)
        tried.append(tx.trying)
        assert await count(tx) == 1
        return await add_and_copy(tx, key, new_id())

    assert await postgres.write(unit) == 12
    assert tried == [True]


async def test_after_it_was_sent_nothing_can_be_written(postgres: Store) -> None:
    key = new_id()

    @at_once
    async def unit(tx: Tx) -> None:
        row = await tx.expect("item_insert_returning", id=key, n=1, flag=True)
        assert row is not None
        assert (await tx.known(row))["n"] == 1
        assert await count(tx) == 1
        await tx.run("item_add", id=key, more=1)

    with pytest.raises(RuntimeError, match="has been committed"):
        await postgres.write(unit)
    assert await number_of(postgres, key) == 1


async def test_a_value_that_is_not_there_yet_cannot_be_looked_at(postgres: Store) -> None:
    @at_once
    async def unit(tx: Tx) -> bool:
        row = await tx.expect("item_insert_returning", id=new_id(), n=1, flag=True)
        assert row is not None
        return bool(row["n"] == 1)

    with pytest.raises(TypeError, match="n is known only when"):
        await postgres.write(unit)


def test_a_value_says_nothing_of_itself() -> None:
    value = Value(0, "n")
    for look in (bool, str, repr, int, hash):
        with pytest.raises(TypeError):
            look(value)
    for text in ("{}", "{:>5}"):
        with pytest.raises(TypeError):
            text.format(value)


def test_parameters_give_way_to_values() -> None:
    first = Query("a", "", "", "UPDATE t SET n = $2 WHERE x = $1 RETURNING n, s", ("x", "n"), frozenset("xn"))
    second = Query("b", "", "", "INSERT INTO u VALUES ($1, $2, $3, $1)", ("x", "y", "z"), frozenset("xyz"))
    whole = AtOnce(Queries())
    row: Row = whole.expect(first, {"x": "1", "n": 2}, {"s": "on", "e": None})
    whole.add(second, {"x": "3", "y": row["n"] - 1, "z": row["s"]})
    text, given = whole.statement()
    assert text == (
        "WITH late_0 AS (UPDATE t SET n = $2 WHERE x = $1 RETURNING n, s), "
        "late_1 AS (INSERT INTO u VALUES ($3, (SELECT late_0.n - 1 FROM late_0), $4, $3)) "
        "SELECT checked.fine, late_0.* FROM (SELECT 1 / ((SELECT COUNT(*) FROM late_0"
        " WHERE late_0.s = $5 AND late_0.e IS NULL)) AS fine) AS checked LEFT JOIN late_0 ON TRUE"
    )
    assert given == ["1", 2, "3", "on", "on"]
