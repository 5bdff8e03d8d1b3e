"""How many bytes of large requests that bring mail are held at once, whichever provider posts them.

A mail with its files is in memory several times while it is read. So whoever may send much waits until there
is room, and hears 503 where there is none in time: every provider comes again.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from starlette.requests import Request

from channels.contract import MAX_BODY
from channels.webhooks import announced_length
from gateway.domain.errors import Unavailable

HELD: Final = 83_886_080
"""Bytes of all large requests together: the largest that any provider may send, and some of usual size."""
PATIENCE: Final = 10.0
"""Seconds to wait for room; less than the time within which a request must have arrived."""


class Room:
    """Bounds what a process holds of large requests. Belongs to one event loop."""

    def __init__(self, size: int = HELD, patience: float = PATIENCE) -> None:
        self._free = size
        self._patience = patience
        self._freed = asyncio.Condition()

    @asynccontextmanager
    async def of(self, request: Request, limit: int) -> AsyncIterator[None]:
        """Room for a request of at most `limit` bytes, as long as it is held. Raises Unavailable.

        What has no more than any request may have needs none; what is larger than `limit` will not be read.
        """
        announced = announced_length(request)
        size = limit if announced is None else announced
        if not MAX_BODY < size <= limit:
            yield
            return
        await self._take(size)
        try:
            yield
        finally:
            self._free += size
            async with self._freed:
                self._freed.notify_all()

    async def _take(self, size: int) -> None:
        try:
            async with asyncio.timeout(self._patience), self._freed:
                await self._freed.wait_for(lambda: self._free >= size)
                self._free -= size
        except TimeoutError:
            raise Unavailable("too much mail comes in at once; try again") from None
