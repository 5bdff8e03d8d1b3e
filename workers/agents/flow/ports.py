"""What a flow needs of others: tools to call, and a model that chooses."""

import asyncio
import importlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

from gateway.domain.agent import TurnRequest
from gateway.domain.tool import Tool
from gateway.settings import FlowAgent, LlmAgent, SettingsError
from workers.agents.http import HttpAgents
from workers.agents.tools.python import PythonTool


class Choose(Protocol):
    """Has a model choose among options."""

    async def __call__(self, turn: TurnRequest, question: str, options: Mapping[str, str]) -> str | None:
        """The name of one of the options (with what each is about), or None. Raises AgentFailed."""
        ...


def functions_of(targets: Sequence[str]) -> Mapping[str, Tool]:
    """The tools of a flow, by name. SettingsError with every one that cannot be used."""
    tools: dict[str, Tool] = {}
    problems: list[str] = []
    for target in targets:
        try:
            tool = PythonTool(target)
        except SettingsError as error:
            problems += [f"tools: {problem}" for problem in error.problems]
        else:
            tools[tool.spec.name] = tool
    if problems:
        raise SettingsError(problems)
    return MappingProxyType(tools)


def chooser_of(definition: FlowAgent, http: HttpAgents) -> Choose | None:
    """The model of a flow; None where it declares none."""
    if definition.model is None:
        return None
    return _Chooser(LlmAgent(model=definition.model, base_url=definition.base_url), http)


class _Chooser:
    """Loads the model with the first choice: its libraries take seconds."""

    def __init__(self, model: LlmAgent, http: HttpAgents) -> None:
        self._model = model
        self._http = http
        self._choose: Choose | None = None
        self._loading = asyncio.Lock()

    async def __call__(self, turn: TurnRequest, question: str, options: Mapping[str, str]) -> str | None:
        async with self._loading:
            if self._choose is None:
                module = await asyncio.to_thread(importlib.import_module, "workers.agents.flow.choice")
                choice = module.ModelChoice(self._model)
                await self._http.keep(choice.connections)
                self._choose = choice
        return await self._choose(turn, question, options)
