"""What loads pydantic-ai with its first use: seconds of importing, which the event loop does not wait for."""

import asyncio
import importlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from types import ModuleType
from typing import Generic, Protocol, TypeVar

from workers.agents.http import HttpAgents


class Connected(Protocol):
    """Something that asks a model."""

    @property
    def connections(self) -> AbstractAsyncContextManager[object]:
        """To the model's provider."""
        ...


Made = TypeVar("Made", bound=Connected)


async def load(module: str) -> ModuleType:
    """Import a module, beside the event loop."""
    return await asyncio.to_thread(importlib.import_module, module)


class Loaded(Generic[Made]):
    """Made of a module with its first use; its connections are closed with those of the other agents."""

    def __init__(self, module: str, make: Callable[[ModuleType], Made], http: HttpAgents) -> None:
        self._module = module
        self._make = make
        self._http = http
        self._made: Made | None = None
        self._loading = asyncio.Lock()

    async def get(self) -> Made:
        """It. Raises AgentFailed where it cannot be made, such as without a key; the next use tries again."""
        async with self._loading:
            if self._made is None:
                made = self._make(await load(self._module))
                await self._http.keep(made.connections)
                self._made = made
        return self._made
