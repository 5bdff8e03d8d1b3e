"""What only the SQLite engine has: group commit, one writer, a full disk, other processes on the file."""

import asyncio
import os
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest

from gateway.domain.clock import Clock
from gateway.domain.ports.store import Tx, Wake
from gateway.store import group_commit
from gateway.store.engine import StoreUnavailable, open_store
from gateway.store.queries import Queries, Query
from tests.integration.store.test_store_engine import count, insert, item, new_id

CHILD = """
import asyncio, sys
from pathlib import Path
from uuid import uuid4
from gateway.domain.clock import Clock
from gateway.store.engine import open_store
from gateway.store.queries import load_queries
from tests.integration.store.test_store_engine import insert

async def confirm(store):
    while True:
        key = str(uuid4())
        await store.write(insert, key)
        print(key, flush=True)

async def main(url, folder):
    async with open_store(url, Clock(), queries=load_queries(Path(folder))) as store:
        await asyncio.gather(*(confirm(store) for _ in range(20)))

asyncio.run(main(*sys.argv[1:]))
"""


def open_files() -> set[Path]:
    """What this process holds."""
    return {descriptor.resolve() for descriptor in Path("/proc/self/fd").iterdir()}


def log_frames(path: Path) -> int:
    """Commits are counted where they land: each leaves one commit frame (a size, not 0) in the log."""
    content = path.with_name(path.name + "-wal").read_bytes()
    page = int.from_bytes(content[8:12], "big")
    step = page + 24
    sizes = (content[start + 4 : start + 8] for start in range(32, len(content) - step + 1, step))
    return sum(size != b"\0\0\0\0" for size in sizes)


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """No batch is cut short because the machine is slow."""
    monkeypatch.setattr(group_commit, "MAX_BATCH_SECONDS", 600.0)


@pytest.mark.usefixtures("unhurried")
async def test_concurrent_units_share_a_commit(sqlite_url: str, queries: Queries, tmp_path: Path) -> None:
    async with open_store(sqlite_url, Clock(), queries=queries) as store:
        await store.write(insert, new_id())
        before = log_frames(tmp_path / "store.db")
        await asyncio.gather(*(store.write(insert, new_id()) for _ in range(200)))
        commits = log_frames(tmp_path / "store.db") - before
        assert await store.read(count) == 201
    assert 1 <= commits <= 20


@pytest.mark.usefixtures("unhurried")
async def test_a_burst_wakes_once_and_a_failure_nobody(sqlite_url: str, queries: Queries) -> None:
    woken: list[int] = []

    async def add(tx: Tx, key: str, *, fail: bool = False) -> None:
        tx.after_commit(Wake.OUTBOX)
        await insert(tx, key)
        if fail:
            raise LookupError

    async with open_store(sqlite_url, Clock(), queries=queries) as store:
        store.on_wake(Wake.OUTBOX, lambda: woken.append(1))
        with pytest.raises(LookupError):
            await store.write(add, new_id(), fail=True)
        await store.write(insert, new_id())
        assert woken == []
        await asyncio.gather(*(store.write(add, new_id()) for _ in range(100)))
        await store.write(insert, new_id())
        assert 1 <= len(woken) <= 10


async def test_a_caller_that_leaves_early_takes_its_unit_along(sqlite_url: str, queries: Queries) -> None:
    async with open_store(sqlite_url, Clock(), queries=queries) as store:
        tasks = [asyncio.create_task(store.write(insert, new_id())) for _ in range(20)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert await store.read(count) == 10


async def test_a_caller_that_leaves_late_disturbs_nobody(sqlite_url: str, queries: Queries) -> None:
    """The unit has run when its caller is cancelled: one that succeeded is committed."""
    callers: list[asyncio.Task[None]] = []

    async def leave(tx: Tx, key: str, number: int, *, fail: bool) -> None:
        await insert(tx, key)
        callers[number].cancel()
        if fail:
            raise LookupError

    async with open_store(sqlite_url, Clock(), queries=queries) as store:
        for number in range(2):
            leaving = store.write(leave, new_id(), number, fail=bool(number))
            callers.append(asyncio.ensure_future(leaving))
        outcomes = await asyncio.gather(*callers, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError] * 2
        assert await store.write(insert, new_id()) == 1
        assert await store.read(count) == 2


async def test_a_unit_that_fails_half_way_takes_nobody_along(
    sqlite_url: str, queries: Queries, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those before it run once more and are told once; one that had written nothing undoes nothing."""
    monkeypatch.setattr(group_commit, "MAX_BATCH_SECONDS", 600.0)
    ran: list[str] = []

    async def add(tx: Tx, key: str) -> str:
        ran.append(key)
        await insert(tx, key)
        return key

    async def fail(tx: Tx, key: str, *, after_writing: bool) -> None:
        ran.append(key)
        if after_writing:
            await insert(tx, key)
        else:
            await item(tx, key)
        raise LookupError(key)

    async with open_store(sqlite_url, Clock(), queries=queries) as store:
        keys = [new_id() for _ in range(6)]
        outcomes = await asyncio.gather(
            store.write(add, keys[0]),
            store.write(fail, keys[1], after_writing=False),
            store.write(add, keys[2]),
            store.write(fail, keys[3], after_writing=True),
            store.write(add, keys[4]),
            store.write(fail, keys[5], after_writing=True),
            return_exceptions=True,
        )
        assert list(outcomes[::2]) == keys[::2]
        assert [repr(outcome) for outcome in outcomes[1::2]] == [repr(LookupError(key)) for key in keys[1::2]]
        assert [await store.read(item, key) is not None for key in keys] == [True, False] * 3
    assert [ran.count(key) for key in keys] == [2, 2, 2, 1, 2, 1]


async def test_a_unit_that_fails_only_when_it_runs_again_is_undone_alone(
    sqlite_url: str, queries: Queries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "MAX_BATCH_SECONDS", 600.0)
    tries: list[str] = []

    async def second_time_unlucky(tx: Tx, key: str) -> None:
        tries.append(key)
        await insert(tx, key)
        if tries.count(key) > 1:
            raise LookupError

    async def fail(tx: Tx, key: str) -> None:
        await insert(tx, key)
        raise KeyError

    async with open_store(sqlite_url, Clock(), queries=queries) as store:
        keys = [new_id() for _ in range(3)]
        outcomes = await asyncio.gather(
            store.write(insert, keys[0]),
            store.write(second_time_unlucky, keys[1]),
            store.write(fail, keys[2]),
            return_exceptions=True,
        )
        assert outcomes[0] == 1
        assert [type(outcome) for outcome in outcomes[1:]] == [LookupError, KeyError]
        assert [await store.read(item, key) is not None for key in keys] == [True, False, False]


async def test_commits_survive_a_power_cut(sqlite_url: str, queries: Queries) -> None:
    """As far as SQLite promises it: `synchronous=FULL` in WAL mode."""

    async def settings(tx: Tx) -> dict[str, object]:
        found: dict[str, object] = {}
        for name in ("synchronous", "journal_mode"):
            found |= await tx.one(name) or {}
        return found

    for name in ("synchronous", "journal_mode"):
        queries[name] = Query(name, "", f"PRAGMA {name}", "SELECT 1", (), frozenset())
    async with open_store(sqlite_url, Clock(), queries=queries) as store:
        assert await store.write(settings) == {"synchronous": 2, "journal_mode": "wal"}


async def test_killed_it_loses_nothing_it_confirmed(sqlite_url: str, queries: Queries) -> None:
    sql = Path(__file__).parent / "sql" / "queries"
    confirmed: list[str] = []
    for _ in range(3):
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", CHILD, sqlite_url, str(sql), stdout=asyncio.subprocess.PIPE
        )
        assert child.stdout is not None
        confirmed += [(await child.stdout.readline()).decode().strip() for _ in range(15)]
        os.kill(child.pid, signal.SIGKILL)
        rest = (await child.stdout.read()).decode()
        confirmed += [line for line in rest.splitlines() if len(line) == 36]
        await child.wait()

    async with open_store(sqlite_url, Clock(), queries=queries) as store:
        lost = [key for key in confirmed if await store.read(item, key) is None]
    assert len(confirmed) >= 3 * 15
    assert lost == []


async def test_a_unit_may_await_nothing_but_its_tx(sqlite_url: str, queries: Queries) -> None:
    cleaned: list[str] = []

    async def dawdle(tx: Tx, key: str) -> None:
        await insert(tx, key)
        try:
            await asyncio.sleep(0.01)
        finally:
            cleaned.append(key)

    async def stubborn(tx: Tx, key: str) -> None:
        await insert(tx, key)
        while True:
            try:
                await asyncio.sleep(0)
            except GeneratorExit:
                await asyncio.sleep(0)

    async with open_store(sqlite_url, Clock(), queries=queries) as store:
        key = new_id()
        with pytest.raises(RuntimeError, match="something other than its Tx"):
            await store.write(dawdle, key)
        with pytest.raises(RuntimeError, match="something other than its Tx"):
            await store.write(stubborn, new_id())
        assert cleaned == [key]
        assert await store.read(count) == 0
        assert await store.write(insert, key) == 1


async def test_a_full_disk_fails_the_batch_and_passes(sqlite_url: str, queries: Queries) -> None:
    async def ask(tx: Tx, query: str) -> None:
        await tx.all(query)

    async with open_store(sqlite_url, Clock(), queries=queries) as store:
        await store.write(ask, "cap_pages")
        big = '{"a": "%s"}' % ("x" * 9000)
        outcomes = await asyncio.gather(
            *(store.write(insert, str(uuid4()), 1, big) for _ in range(60)), return_exceptions=True
        )
        refused = [outcome for outcome in outcomes if outcome != 1]
        assert refused
        assert all(isinstance(o, StoreUnavailable) and not o.outcome_unknown for o in refused)
        assert await store.read(count) == 60 - len(refused)

        await store.write(ask, "uncap_pages")
        assert await store.write(insert, str(uuid4()), 1, big) == 1


async def test_a_lost_transaction_fails_everybody_in_the_batch(sqlite_url: str, queries: Queries) -> None:
    """As after SQLITE_FULL or an I/O error that made SQLite roll back by itself."""

    async def lose(tx: Tx) -> None:
        await tx.run("roll_back")

    more = Queries(queries)
    more["roll_back"] = Query("roll_back", "", "ROLLBACK", "ROLLBACK", (), frozenset())
    async with open_store(sqlite_url, Clock(), queries=more) as store:
        outcomes = await asyncio.gather(
            store.write(insert, new_id()),
            store.write(lose),
            store.write(insert, new_id()),
            return_exceptions=True,
        )
        assert [type(outcome) for outcome in outcomes[:2]] == [StoreUnavailable] * 2
        assert await store.read(count) == outcomes.count(1)
        assert await store.write(insert, new_id()) == 1


async def test_another_process_may_hold_the_file_for_a_while(
    sqlite_url: str, queries: Queries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_store(sqlite_url, Clock(), queries=queries) as store:
        with closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None)) as tool:
            tool.execute("BEGIN IMMEDIATE")
            writing = asyncio.create_task(store.write(insert, new_id()))
            assert await store.read(count) == 0  # the loop goes on, and so do readers
            assert not writing.done()
            tool.execute("COMMIT")
            assert await writing == 1

            monkeypatch.setattr(group_commit, "BUSY_SECONDS", 0.05)
            tool.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreUnavailable, match="cannot begin"):
                await store.write(insert, new_id())
            tool.execute("COMMIT")
        assert await store.write(insert, new_id()) == 1


async def test_too_many_waiting_are_refused(
    sqlite_url: str, queries: Queries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "MAX_WAITING", 10)
    async with open_store(sqlite_url, Clock(), queries=queries) as store:
        outcomes = await asyncio.gather(
            *(store.write(insert, new_id()) for _ in range(30)), return_exceptions=True
        )
        assert outcomes.count(1) == 10
        assert sum(isinstance(outcome, StoreUnavailable) for outcome in outcomes) == 20


async def test_closing_commits_what_waits_and_refuses_the_rest(sqlite_url: str, queries: Queries) -> None:
    async with open_store(sqlite_url, Clock(), queries=queries) as store:
        tasks = [asyncio.create_task(store.write(insert, new_id())) for _ in range(50)]
        await asyncio.sleep(0)
    assert await asyncio.gather(*tasks) == [1] * 50
    with pytest.raises(StoreUnavailable, match="closed"):
        await store.write(insert, new_id())
    with pytest.raises(StoreUnavailable, match="closed"):
        await store.read(count)


async def test_the_clock_is_ours(sqlite_url: str, queries: Queries) -> None:
    now = [5]
    async with open_store(sqlite_url, Clock(now=lambda: now[0]), queries=queries) as store:
        keys = [new_id(), new_id()]
        await store.write(insert, keys[0])
        now[0] = 99
        await store.write(insert, keys[1])
        rows = [await store.read(item, key) for key in keys]
    assert [row["at"] for row in rows if row] == [5, 99]


async def test_a_folder_that_is_not_there_is_said(tmp_path: Path, queries: Queries) -> None:
    with pytest.raises(StoreUnavailable, match="cannot be opened"):
        async with open_store(f"sqlite:///{tmp_path}/no/store.db", Clock(), queries=queries):
            pass


async def test_a_file_that_is_no_database_is_said_and_let_go(tmp_path: Path, queries: Queries) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(b"no database" * 1_000)
    with pytest.raises(StoreUnavailable, match="not a database"):
        async with open_store(f"sqlite:///{path}", Clock(), queries=queries):
            pass
    assert path not in open_files()


@pytest.mark.parametrize("url", ["sqlite:", "sqlite:///", "sqlite:///:memory:", "mysql://x/y"])
async def test_other_urls_are_refused(url: str, queries: Queries) -> None:
    with pytest.raises(ValueError, match="sqlite:///"):
        async with open_store(url, Clock(), queries=queries):
            pass


async def test_one_write_alone_takes_one_commit(sqlite_url: str, queries: Queries, tmp_path: Path) -> None:
    async with open_store(sqlite_url, Clock(), queries=queries) as store:
        await store.write(insert, new_id())
        before = log_frames(tmp_path / "store.db")
        for _ in range(10):
            await store.write(insert, new_id())
        assert log_frames(tmp_path / "store.db") - before == 10
