"""Agents in Python: an async generator function of this installation, kept from harming its turn."""

import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import cast

from gateway.domain.agent import AgentEvent, TurnRequest
from gateway.settings import SettingsError
from workers.agents.events import read_event
from workers.agents.own_task import TaskOfItsOwn
from workers.agents.targets import load_function


def load_target(target: str) -> Callable[[TurnRequest], AsyncGenerator[object, None]]:
    """The function that `package.module:function` names; SettingsError if it cannot be used."""
    function = load_function(target)
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
        run = TaskOfItsOwn(self._function(turn), read_event)
        try:
            while (event := await run.next()) is not None:
                yield event
        finally:
            await run.close()
