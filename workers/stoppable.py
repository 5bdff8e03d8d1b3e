"""Work that may be ended from outside: by its own time, or by whoever learns that it is for nothing."""

import asyncio
from types import TracebackType


class Stoppable:
    """A block of work, entered once: `async with Stoppable(60) as work`."""

    def __init__(self, seconds: float) -> None:
        """`seconds`: at most so long, or it raises TimeoutError."""
        self._limit = asyncio.timeout(seconds)
        self._why: Exception | None = None

    def stop(self, why: Exception) -> None:
        """Cancel what it does now and have it raise `why`; nothing where it is being ended already."""
        if self._why is None and not self._limit.expired():
            self._why = why
            self._limit.reschedule(asyncio.get_running_loop().time())

    async def __aenter__(self) -> "Stoppable":
        await self._limit.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._limit.__aexit__(kind, error, trace)
        except TimeoutError:
            if self._why is None:
                raise
            raise self._why from None
