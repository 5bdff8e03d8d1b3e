"""The ingress spool on a real disk: ordered, bounded, one slot a process, nothing left behind."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from gateway.domain.clock import Clock
from gateway.store.engine import StoreUnavailable
from gateway.store.spool import Spool, SpoolEntry, spooled

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def fill(spool: Spool, *bodies: str) -> None:
    """Put messages into it."""
    for body in bodies:
        await spool.put("message", body.encode(), TRACE)


async def emptied(spool: Spool, page: int = 2) -> list[str]:
    """Everything in it, taken out page by page."""
    taken: list[SpoolEntry] = []
    while entries := await spool.page(page):
        taken += entries
        await spool.done(entries[-1])
    assert spool.waiting == 0
    return [entry.body.decode() for entry in taken]


async def test_what_was_put_comes_out_in_order_and_once(tmp_path: Path) -> None:
    async with Spool(tmp_path / "spool", Clock()) as spool:
        await fill(spool, "a", "b", "c")
        assert spool.waiting == spooled(tmp_path / "spool") == 3
        (first, *_) = await spool.page(10)
        assert (first.kind, first.body, first.traceparent) == ("message", b"a", TRACE)
        await spool.done(first)
        await fill(spool, "d")
        assert await emptied(spool) == ["b", "c", "d"]
        assert spooled(tmp_path / "spool") == 0


async def test_it_is_there_again_after_a_restart(tmp_path: Path) -> None:
    async with Spool(tmp_path, Clock()) as spool:
        await fill(spool, "a", "b")
    async with Spool(tmp_path, Clock()) as spool:
        await fill(spool, "c")
        assert await emptied(spool) == ["a", "b", "c"]


async def test_each_process_has_its_own_and_inherits_from_those_that_are_gone(tmp_path: Path) -> None:
    async with Spool(tmp_path, Clock()) as first:
        await fill(first, "old")
        async with Spool(tmp_path, Clock()) as second:
            await fill(second, "older than nothing")
            await first.inherit()
            assert (first.waiting, second.waiting) == (1, 1)
        await first.inherit()
        assert first.waiting == spooled(tmp_path) == 2
        assert await emptied(first) == ["old", "older than nothing"]
        async with Spool(tmp_path, Clock()) as third:  # an inherited slot that is empty is free again
            assert third.waiting == 0
            await fill(third, "new")
            assert first.waiting == 0


async def test_inherited_entries_come_out_by_age(tmp_path: Path) -> None:
    async with Spool(tmp_path, Clock()) as first, Spool(tmp_path, Clock()) as second:
        await fill(second, "a")
        await fill(first, "b")
    async with Spool(tmp_path, Clock()) as both:
        await fill(both, "c")
        assert await emptied(both, page=10) == ["a", "b", "c"]


async def test_a_full_spool_refuses_and_takes_again_when_there_is_room(tmp_path: Path) -> None:
    async with Spool(tmp_path, Clock(), max_bytes=128 * 1024) as spool:
        stored = 0
        with pytest.raises(StoreUnavailable):  # noqa: PT012 -- how many fit is not the point
            while True:
                await fill(spool, "x" * 8000)
                stored += 1
        assert 5 < stored < 20
        assert spool.full
        assert spool.waiting == stored
        assert len(await emptied(spool)) == stored
        await fill(spool, "y" * 8000)
        assert not spool.full


async def test_who_no_longer_waits_takes_nothing_back(tmp_path: Path) -> None:
    async with Spool(tmp_path, Clock()) as spool:
        putting = asyncio.create_task(spool.put("message", b"a", TRACE))
        await asyncio.sleep(0)
        assert spool.waiting == 1
        putting.cancel()
        await asyncio.gather(putting, return_exceptions=True)
    async with Spool(tmp_path, Clock()) as spool:
        assert await emptied(spool) == ["a"]


async def test_a_folder_that_is_of_no_use_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "spool" / "0").mkdir(parents=True)
    (tmp_path / "spool" / "0" / "spool.db").write_bytes(b"no database" * 1000)
    for folder in (tmp_path / "file", tmp_path / "spool"):
        with pytest.raises(StoreUnavailable, match="GATEWAY_SPOOL_DIR"):
            async with Spool(folder, Clock()):
                pass
    with pytest.raises(sqlite3.Error):
        spooled(tmp_path / "spool")
