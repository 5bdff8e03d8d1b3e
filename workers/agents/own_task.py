"""Runs an agent's generator in a task of its own.

So whatever the agent enters and leaves stays in one task, what cancels it does not cancel the turn,
and one that cannot be cancelled does not hold its turn up.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Generic, TypeVar

from gateway.domain.agent import AgentFailed

CLOSE_SECONDS = 2.0
"""How long a cancelled agent may take to clean up before its turn goes on without it."""

Raw = TypeVar("Raw")
Step = TypeVar("Step")

_running: set[asyncio.Task[None]] = set()
"""Agents at work. One that ignores its cancellation is left behind here until it ends."""


class TaskOfItsOwn(Generic[Raw, Step]):
    """One answer in the making. It goes on only when its next step is wanted."""

    def __init__(self, stream: AsyncGenerator[Raw, None], read: Callable[[Raw], Step]) -> None:
        """`read` makes a step of what the stream yields, or raises AgentFailed."""
        self._stream = stream
        self._read = read
        self._loop = asyncio.get_running_loop()
        # two bare futures: a semaphore and a queue would take twice the time of an agent that says one thing
        self._wanted: asyncio.Future[None] = self._loop.create_future()
        self._answer: asyncio.Future[Step | AgentFailed | None] = self._loop.create_future()
        self._task = asyncio.create_task(self._work())
        _running.add(self._task)
        self._task.add_done_callback(_running.discard)

    async def next(self) -> Step | None:
        """The next step; None at the end. Raises AgentFailed, whatever the agent raises."""
        if not self._wanted.done():
            self._wanted.set_result(None)
        answer = await self._answer
        if isinstance(answer, AgentFailed):
            raise answer
        return answer

    async def close(self) -> None:
        """Cancel what still runs, and wait for it, though not for ever."""
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=CLOSE_SECONDS)

    async def _work(self) -> None:
        end: AgentFailed | None = AgentFailed("the agent cancelled itself")
        try:
            async with aclosing(self._stream):
                await self._wanted
                async for raw in self._stream:
                    self._tell(self._read(raw))
                    await self._wanted
            end = None
        except AgentFailed as failed:
            end = failed
        except (Exception, SystemExit) as error:  # an agent must not end its worker
            end = AgentFailed(f"the agent raised {type(error).__name__}")
            end.__cause__ = error
        finally:
            if self._answer.done():  # whoever waited for it has gone
                self._answer = self._loop.create_future()
            self._answer.set_result(end)

    def _tell(self, step: Step) -> None:
        """Hand over what was wanted; the next answer is another one."""
        answer, self._answer = self._answer, self._loop.create_future()
        self._wanted = self._loop.create_future()
        if not answer.done():
            answer.set_result(step)
