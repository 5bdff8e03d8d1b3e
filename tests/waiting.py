"""Waiting for what happens in its own time: until it has happened, or for a minute in vain."""

import asyncio
from collections.abc import Callable

PATIENCE = 60.0
"""Seconds that a test waits for what must happen."""


async def until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds. Raises TimeoutError."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - what it waits for is in many places
            await asyncio.sleep(0.01)
