"""Agents in Python: an async generator function of this installation, kept from harming its turn."""

import asyncio
import importlib
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import cast

from gateway.domain.agent import AgentEvent, AgentFailed, TurnRequest
from gateway.settings import SettingsError
from workers.agents.events import read_event

CLOSE_SECONDS = 2.0
"""How long a cancelled agent may take to clean up before its turn goes on without it."""

_running: set[asyncio.Task[None]] = set()
"""Agents at work. One that ignores its cancellation is left behind here until it ends."""


def load_target(target: str) -> Callable[[TurnRequest], AsyncGenerator[object, None]]:
    """The function that `package.module:function` names; SettingsError if it cannot be used."""
    module_name, _, name = target.partition(":")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        problem = f"{target}: importing {module_name} failed: {type(error).__name__}: {error}"
        raise SettingsError([problem]) from error
    function = getattr(module, name, None)
    if function is None:
        raise SettingsError([f"{target}: {module_name} has no {name}"])
    if not inspect.isasyncgenfunction(function):
        raise SettingsError([f"{target}: must be an async generator function (async def, with yield)"])
    return cast("Callable[[TurnRequest], AsyncGenerator[object, None]]", function)


class PythonAgent:
    """One agent that is a function.

    It runs in a task of its own, going on only when its next event is wanted. So whatever it enters
    and leaves stays in one task, and one that cannot be cancelled does not hold up its turn.
    What blocks the event loop blocks the worker; nothing can be done about that here.
    """

    def __init__(self, target: str) -> None:
        """Imports the target (`package.module:function`); SettingsError if it cannot be used."""
        self._function = load_target(target)

    async def answer(self, turn: TurnRequest) -> AsyncIterator[AgentEvent]:
        """Run the function; whatever it raises is AgentFailed. Closing the iterator cancels it."""
        run = _Run(self._function(turn))
        try:
            while (event := await run.next()) is not None:
                yield event
        finally:
            await run.close()


class _Run:
    """One answer in the making."""

    def __init__(self, stream: AsyncGenerator[object, None]) -> None:
        self._stream = stream
        self._wanted = asyncio.Semaphore(0)
        self._events: asyncio.Queue[AgentEvent | AgentFailed | None] = asyncio.Queue()
        self._task = asyncio.create_task(self._work())
        _running.add(self._task)
        self._task.add_done_callback(_running.discard)

    async def next(self) -> AgentEvent | None:
        """The next event; None at the end."""
        self._wanted.release()
        event = await self._events.get()
        if isinstance(event, AgentFailed):
            raise event
        return event

    async def close(self) -> None:
        """Cancel what still runs, and wait for it, though not for ever."""
        self._task.cancel()
        await asyncio.wait({self._task}, timeout=CLOSE_SECONDS)

    async def _work(self) -> None:
        end: AgentFailed | None = AgentFailed("the agent cancelled itself")
        try:
            async with aclosing(self._stream):
                await self._wanted.acquire()
                async for raw in self._stream:
                    self._events.put_nowait(read_event(raw))
                    await self._wanted.acquire()
            end = None
        except AgentFailed as failed:
            end = failed
        except (Exception, SystemExit) as error:  # an agent must not end its worker
            end = AgentFailed(f"the agent raised {type(error).__name__}")
            end.__cause__ = error
        finally:
            self._events.put_nowait(end)
