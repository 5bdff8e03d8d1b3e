"""An agent that is a language model, behind the port that every agent has."""

import asyncio
import importlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager
from types import ModuleType
from typing import Protocol

from gateway.domain.agent import TurnRequest
from gateway.domain.steps import AgentStep
from gateway.settings import LlmAgent as LlmDefinition
from workers.agents.http import HttpAgents
from workers.agents.own_task import TaskOfItsOwn
from workers.agents.policies import CallPolicies
from workers.agents.tools.toolbox import Toolbox


async def load() -> ModuleType:
    """What answers turns: seconds of importing, which the event loop does not wait for."""
    return await asyncio.to_thread(importlib.import_module, "workers.agents.llm.turn")


class Mind(Protocol):
    """What answers turns with a model."""

    @property
    def connections(self) -> AbstractAsyncContextManager[object]:
        """To the model's provider."""
        ...

    def steps(self, turn: TurnRequest) -> AsyncGenerator[AgentStep, None]:
        """One turn, step by step. Raises AgentFailed."""
        ...


class LlmAgent:
    """Answers turns with a model. pydantic-ai and the provider's library come with the first."""

    def __init__(
        self, definition: LlmDefinition, toolbox: Toolbox, policies: CallPolicies, http: HttpAgents
    ) -> None:
        """`http`: the connections with which those to the model are closed."""
        self._http = http
        self._definition = definition
        self._toolbox = toolbox
        self._policies = policies
        self._mind: Mind | None = None
        self._loading = asyncio.Lock()

    async def answer(self, turn: TurnRequest) -> AsyncIterator[AgentStep]:
        """Stream the answer, in a task of its own: what bounds a request must not end the turn."""
        mind = await self._load()
        run = TaskOfItsOwn(mind.steps(turn), _as_it_is)
        try:
            while (step := await run.next()) is not None:
                yield step
        finally:
            await run.close()

    async def _load(self) -> Mind:
        async with self._loading:
            if self._mind is None:
                module = await load()
                mind: Mind = module.ModelMind(self._definition, self._toolbox, self._policies)
                await self._http.keep(mind.connections)
                self._mind = mind
        return self._mind


def _as_it_is(step: AgentStep) -> AgentStep:
    return step
