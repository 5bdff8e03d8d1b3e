"""The ingress spool: what was accepted while the database was away, on this machine's disk, in order.

A folder serves any number of processes: each holds a slot of its own in it, a folder with a small SQLite
file. A process also takes over the slots of processes that are gone, so that nothing is left behind.
"""

import asyncio
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Self

import aiosqlite

from gateway.domain.clock import Clock
from gateway.store.engine import StoreUnavailable
from gateway.store.lock import DataFolderLocked, lock_data_folder

MAX_BYTES = 512 * 1024 * 1024
"""Of one slot's file: some hundred thousand text messages."""
_FILE = "spool.db"
_PAGE_BYTES = 4096
_COUNT = "SELECT COUNT(*) FROM entries"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    body BLOB NOT NULL,
    traceparent TEXT NOT NULL,
    spooled_at INTEGER NOT NULL
)
"""


@dataclass(frozen=True, slots=True)
class SpoolEntry:
    """One thing that was accepted. `spooled_at` in µs; `body` is the affair of who put it there."""

    slot: str
    number: int
    kind: str
    body: bytes
    traceparent: str
    spooled_at: int


@dataclass(slots=True)
class _Slot:
    """One folder that this process holds, and the connection to its file."""

    folder: Path
    connection: aiosqlite.Connection
    stored: int
    held: ExitStack
    writing: int = 0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def add(self, kind: str, body: bytes, traceparent: str, at: int) -> None:
        """Returns once it is on the disk; it has been counted in already. sqlite3.Error where it is not."""
        try:
            await self.connection.execute_fetchall(
                "INSERT INTO entries (kind, body, traceparent, spooled_at) VALUES (?, ?, ?, ?)",
                (kind, body, traceparent, at),
            )
            self.stored += 1
        finally:
            self.writing -= 1

    async def page(self, limit: int) -> list[SpoolEntry]:
        """The oldest entries."""
        rows = await self.connection.execute_fetchall(
            "SELECT number, kind, body, traceparent, spooled_at FROM entries ORDER BY number LIMIT ?",
            (limit,),
        )
        return [SpoolEntry(self.folder.name, *row) for row in rows]

    async def remove(self, up_to: int) -> None:
        """Everything up to a number has been stored where it belongs."""
        cursor = await self.connection.execute("DELETE FROM entries WHERE number <= ?", (up_to,))
        self.stored -= cursor.rowcount
        await cursor.close()

    async def close(self) -> None:
        """Let the folder go, whatever is in it."""
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.connection.close()
        self.held.close()


class Spool:
    """This process's part of the spool in `folder`; an async context."""

    def __init__(self, folder: Path, clock: Clock, *, max_bytes: int = MAX_BYTES) -> None:
        self._folder = folder
        self._clock = clock
        self._max_bytes = max_bytes
        self._own: _Slot | None = None
        self._inherited: list[_Slot] = []
        self._full = False

    async def __aenter__(self) -> Self:
        """Hold a slot, and those nobody holds any more. StoreUnavailable where the folder is of no use."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for number in count():
                try:
                    self._own = await _take(self._folder / str(number), self._max_bytes)
                except DataFolderLocked:
                    continue
                break
            await self.inherit()
        except (OSError, sqlite3.Error) as error:
            await self.__aexit__()
            raise StoreUnavailable(f"GATEWAY_SPOOL_DIR: {self._folder} cannot be used: {error}") from error
        return self

    async def __aexit__(self, *_: object) -> None:
        slots = list(self._slots())
        self._own, self._inherited = None, []
        for slot in slots:
            await slot.close()

    @property
    def waiting(self) -> int:
        """Entries that are not in the database yet, those being written included."""
        return sum(slot.stored + slot.writing for slot in self._slots())

    @property
    def full(self) -> bool:
        """Whether the last entry found no room."""
        return self._full

    async def put(self, kind: str, body: bytes, traceparent: str) -> None:
        """Keep an entry behind all others; it is on the disk when this returns. Cancelling takes none back.

        Raises StoreUnavailable where there is no room.
        """
        slot = self._own
        if slot is None:
            raise StoreUnavailable("the spool is closed")
        slot.writing += 1  # now: whoever comes next must find it waiting
        task = asyncio.create_task(slot.add(kind, body, traceparent, self._clock.now()))
        slot.tasks.add(task)
        task.add_done_callback(slot.tasks.discard)
        try:
            await asyncio.shield(task)
        except sqlite3.Error as error:
            self._full = True
            raise StoreUnavailable(f"the database is away and the spool takes no more: {error}") from error
        self._full = False

    async def page(self, limit: int) -> Sequence[SpoolEntry]:
        """The oldest entries, all of one slot; empty when nothing waits."""
        pages = [await slot.page(limit) for slot in self._slots() if slot.stored]
        return min(filter(None, pages), key=lambda page: page[0].spooled_at, default=[])

    async def done(self, last: SpoolEntry) -> None:
        """An entry and those before it in its slot are in the database."""
        for slot in self._slots():
            if slot.folder.name == last.slot:
                await slot.remove(last.number)
        for slot in [slot for slot in self._inherited if not slot.stored]:
            self._inherited.remove(slot)
            await slot.close()

    async def inherit(self) -> None:
        """Hold the slots with entries whose processes are gone. Raises OSError, sqlite3.Error."""
        held = {slot.folder for slot in self._slots()}
        for folder in sorted(self._folder.iterdir()):
            if folder in held or not (folder / _FILE).exists():
                continue
            try:
                slot = await _take(folder, self._max_bytes)
            except DataFolderLocked:
                continue
            if slot.stored:
                self._inherited.append(slot)
            else:
                await slot.close()

    def _slots(self) -> Iterator[_Slot]:
        yield from (*([self._own] if self._own else []), *self._inherited)


async def _take(folder: Path, max_bytes: int) -> _Slot:
    """Hold a folder, made where there is none. Raises DataFolderLocked, OSError, sqlite3.Error."""
    with ExitStack() as stack:
        await asyncio.to_thread(folder.mkdir, exist_ok=True)
        stack.enter_context(lock_data_folder(folder))
        connection = await aiosqlite.connect(folder / _FILE, isolation_level=None)
        stack.callback(connection.stop)
        pages = max(8, max_bytes // _PAGE_BYTES)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", f"max_page_count={pages}"):
            await connection.execute_fetchall(f"PRAGMA {pragma}")
        await connection.execute_fetchall(_SCHEMA)
        ((stored,),) = await connection.execute_fetchall(_COUNT)
        await asyncio.to_thread(_sync_names, folder)
        return _Slot(folder, connection, stored, stack.pop_all())
    raise AssertionError("the block returns or raises")


def _sync_names(folder: Path) -> None:
    """The file and the folder are found again after a power cut."""
    for place in (folder, folder.parent):
        descriptor = os.open(place, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def spooled(folder: Path) -> int:
    """How many entries wait over all slots of a folder, whoever holds them. Raises OSError, sqlite3.Error."""
    return sum(_waiting(file) for file in sorted(folder.glob(f"*/{_FILE}")))


def _waiting(file: Path) -> int:
    connection: Any = sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=2)
    try:
        (found,) = connection.execute(_COUNT).fetchone()
        return int(found)
    finally:
        connection.close()
