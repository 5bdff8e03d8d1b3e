"""Late statements: run before whoever looks, and part of their unit like any other."""

import pytest

from gateway.domain.ports.store import Store, Tx
from gateway.store.at_once import AtOnce
from gateway.store.postgres import MAX_LATE
from gateway.store.queries import Queries, Query
from tests.integration.store.test_store_engine import count, item, new_id, values


async def late_inserts(tx: Tx, keys: list[str]) -> int:
    for number, key in enumerate(keys):
        await tx.later("item_insert", **values(key, number))
    return await count(tx)


async def test_the_next_statement_sees_them(store: Store) -> None:
    keys = [new_id() for _ in range(2 * MAX_LATE + 1)]
    assert await store.write(late_inserts, keys) == len(keys)
    row = await store.read(item, keys[-1])
    assert row is not None
    assert row["n"] == len(keys) - 1


async def test_they_are_committed_when_nothing_follows(store: Store) -> None:
    async def unit(tx: Tx) -> None:
        await tx.later("item_insert", **values(new_id(), 1))
        await tx.later("item_insert", **values(new_id(), 2))

    await store.write(unit)
    assert await store.read(count) == 2


async def test_one_that_fails_fails_its_unit(store: Store) -> None:
    key = new_id()
    await store.write(late_inserts, [key])

    async def unit(tx: Tx) -> None:
        await tx.later("item_insert", **values(new_id(), 1))
        await tx.later("item_insert", **values(key, 1))

    with pytest.raises(Exception, match=r"(?i)unique"):
        await store.write(unit)
    assert await store.read(count) == 1


async def test_an_error_of_the_unit_takes_them_along(store: Store) -> None:
    async def unit(tx: Tx) -> None:
        await tx.later("item_insert", **values(new_id(), 1))
        raise LookupError

    with pytest.raises(LookupError):
        await store.write(unit)
    assert await store.read(count) == 0


async def test_a_unit_that_only_reads_has_none(store: Store) -> None:
    async def unit(tx: Tx) -> None:
        await tx.later("item_insert", **values(new_id(), 1))

    with pytest.raises(RuntimeError, match="may not write"):
        await store.read(unit)


def test_parameters_are_numbered_on() -> None:
    first = Query("a", "", "", "INSERT INTO t VALUES ($1, $2, $1)", ("x", "y"), frozenset("xy"))
    second = Query("b", "", "", "DELETE FROM u WHERE x = $1 AND y = $10", tuple("abcdefghij"), frozenset())
    late = AtOnce(Queries())
    late.add(first, {"x": "1", "y": "2"})
    late.add(second, dict(zip("abcdefghij", range(10), strict=True)))
    text, values = late.statement()
    assert text == (
        "WITH late_0 AS (INSERT INTO t VALUES ($1, $2, $1)), "
        "late_1 AS (DELETE FROM u WHERE x = $3 AND y = $12) SELECT 1"
    )
    assert values == ["1", "2", *range(10)]
