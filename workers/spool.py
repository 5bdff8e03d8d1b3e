"""Drains the ingress spool: replays its entries into the database, oldest first, until it is empty."""

import asyncio
import logging
import sqlite3
from contextlib import suppress

from gateway.domain.errors import Unavailable
from gateway.log import place_of
from gateway.service.spooling import Replay
from gateway.store.spool import Spool, SpoolEntry
from gateway.telemetry import SPOOL_WAITING

_PAGE = 100
_LOOK_SECONDS = 1.0
"""Between two tries while the database is away, and between two looks at an empty spool."""
_INHERIT_EVERY = 30
"""Looks at an empty spool between two at the slots of processes that are gone."""

_log = logging.getLogger(__name__)


class SpoolDrain:
    """One loop, in each process that spools."""

    def __init__(self, spool: Spool, replay: Replay) -> None:
        self._spool = spool
        self._replay = replay
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to drain."""
        self._task = asyncio.create_task(self._run(), name="spool-drain")

    async def stop(self) -> None:
        """Leave what waits to the next start."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        looks = 0
        while True:
            try:
                moved = await self._page()
                if not moved:
                    looks += 1
                    if looks % _INHERIT_EVERY == 0:
                        await self._spool.inherit()
            except Unavailable:
                moved = False
            except (OSError, sqlite3.Error) as error:
                moved = False
                _log.error(
                    "the spool cannot be read",
                    extra={"action": "spool.unreadable", "reason": type(error).__name__},
                )
            except Exception as error:  # a fault of ours, whose text may quote what a person wrote
                moved = False
                _log.error(
                    "draining the spool failed",
                    extra={"action": "spool.failed", "error": type(error).__name__, "at": place_of(error)},
                )
            SPOOL_WAITING.set(self._spool.waiting)
            if not moved:
                await asyncio.sleep(_LOOK_SECONDS)

    async def _page(self) -> bool:
        """Replay the oldest entries; False where there are none."""
        entries = await self._spool.page(_PAGE)
        last: SpoolEntry | None = None
        try:
            for entry in entries:
                await self._replay(entry)
                last = entry
        finally:
            if last is not None:
                await self._spool.done(last)
        if entries and not self._spool.waiting:
            _log.info("the spool is empty again", extra={"action": "spool.end"})
        return bool(entries)
