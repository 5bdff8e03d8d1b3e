"""What a flow needs of a model: that it chooses."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from gateway.domain.agent import TurnRequest
from gateway.settings import FlowAgent, LlmAgent
from workers.agents.http import HttpAgents
from workers.agents.llm.loaded import Loaded


class Choose(Protocol):
    """Has a model choose among options."""

    async def __call__(self, turn: TurnRequest, question: str, options: Mapping[str, str]) -> str | None:
        """The name of one of the options (with what each is about), or None. Raises AgentFailed."""
        ...


class Chooser(Choose, Protocol):
    """The same, once its libraries are loaded."""

    @property
    def connections(self) -> AbstractAsyncContextManager[object]:
        """To the model's provider."""
        ...


def chooser_of(definition: FlowAgent, http: HttpAgents) -> Choose | None:
    """The model of a flow; None where it declares none."""
    if definition.model is None:
        return None
    model = LlmAgent(model=definition.model, base_url=definition.base_url)
    loaded: Loaded[Chooser] = Loaded(
        "workers.agents.flow.choice", lambda module: module.ModelChoice(model), http
    )

    async def choose(turn: TurnRequest, question: str, options: Mapping[str, str]) -> str | None:
        chooser = await loaded.get()
        return await chooser(turn, question, options)

    return choose
