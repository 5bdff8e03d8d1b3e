"""Wakes held-open polls and event streams: something was written to a timeline, or the process ends."""

import asyncio
from contextlib import suppress

from gateway.domain.ports.store import Store, Wake


class TimelineBell:
    """Rings for everybody at once; who is woken looks whether it was for them."""

    def __init__(self, store: Store) -> None:
        self._rung = asyncio.Event()
        self._store = store
        self._connected = False
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether the process ends: what is held open is to be let go."""
        return self._closed

    def close(self) -> None:
        """Let everybody go who waits, now and from now on."""
        self._closed = True
        self._ring()

    def _ring(self) -> None:
        self._rung.set()
        self._rung = asyncio.Event()

    def next(self) -> asyncio.Event:
        """What the next ring sets; to be asked for before looking, so that no ring is missed."""
        if not self._connected:  # not before somebody waits: on PostgreSQL it costs a connection
            self._connected = True
            self._store.on_wake(Wake.TIMELINE, self._ring)
        return self._rung


async def rung(event: asyncio.Event, seconds: float) -> None:
    """Until the bell rings, at most `seconds`."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
