"""Work that belongs together, one after the other in the order in which it came; the rest beside it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Queues:
    """A queue for each key, as long as somebody stands in it."""

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def of(self, key: str) -> AsyncIterator[None]:
        """Wait until it is one's turn."""
        lock, standing = self._waiting.get(key, (asyncio.Lock(), 0))
        self._waiting[key] = (lock, standing + 1)
        try:
            async with lock:
                yield
        finally:
            lock, standing = self._waiting[key]
            if standing > 1:
                self._waiting[key] = (lock, standing - 1)
            else:
                del self._waiting[key]
