"""Stops what runs when somebody pauses its agent or its organisation.

The database decides: nothing paused is claimed or committed. This only ends a running agent within a second
or two, so that it neither goes on talking to whoever listens nor costs anything.
"""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from gateway.domain.errors import Braked, Unavailable
from gateway.domain.ports.store import Store
from gateway.log import place_of
from gateway.service.brake import paused_subjects
from workers.stoppable import Stoppable

LOOK_SECONDS = 1.0

_log = logging.getLogger(__name__)


class Brakes:
    """What runs in this process, and whether it still may."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._running: dict[Stoppable, frozenset[str]] = {}
        self._loop: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to look."""
        self._loop = asyncio.create_task(self._run(), name="brakes")

    async def stop(self) -> None:
        """Stop looking."""
        if self._loop is not None:
            self._loop.cancel()
            with suppress(asyncio.CancelledError):
                await self._loop

    @contextmanager
    def obeyed(self, work: Stoppable, *subjects: str) -> Iterator[None]:
        """Stop the work, which the block does, when one of these is paused: it raises Braked then."""
        self._running[work] = frozenset(subjects)
        try:
            yield
        finally:
            del self._running[work]

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if not self._running:
                continue
            try:
                paused = await self._store.read(paused_subjects)
            except Unavailable as error:
                extra = {"action": "brakes.unavailable", "reason": error.message}
                _log.warning("pauses cannot be looked for", extra=extra)
                continue
            except Exception as error:  # a fault of ours, after which nobody would begin anew
                _log.error(
                    "pauses cannot be looked for",
                    extra={"action": "brakes.broken", "error": type(error).__name__, "at": place_of(error)},
                )
                continue
            self._stop(paused)

    def _stop(self, paused: frozenset[str]) -> None:
        for work, subjects in self._running.items():
            if subjects & paused:
                work.stop(Braked("paused while it ran"))
