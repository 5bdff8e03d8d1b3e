"""The pauses of a call: what it goes on with after each."""

import asyncio
from collections.abc import Awaitable, Callable


class Pauses:
    """Those that have begun. Stop them when the network stops."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, seconds: float, go_on: Callable[[], Awaitable[None]]) -> None:
        """Go on like this after so many seconds."""

        async def later() -> None:
            await asyncio.sleep(seconds)
            await go_on()

        task = asyncio.create_task(later())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Nothing goes on any more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
