"""An agent that is a language model, behind the port that every agent has; and how it sums up."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from gateway.domain.agent import TurnRequest
from gateway.domain.steps import AgentStep
from gateway.domain.summary import Summary, Transcript
from gateway.settings import LlmAgent as LlmDefinition
from workers.agents.http import HttpAgents
from workers.agents.llm.loaded import Loaded, load
from workers.agents.own_task import TaskOfItsOwn
from workers.agents.policies import CallPolicies, Policy
from workers.agents.tools.toolbox import Toolbox

_TURN = "workers.agents.llm.turn"
_MEMORY = "workers.agents.llm.memory"


async def preload() -> None:
    """Load what answers turns, so that the first one does not wait for it."""
    await load(_TURN)


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
        self._mind: Loaded[Mind] = Loaded(
            _TURN, lambda module: module.ModelMind(definition, toolbox, policies), http
        )

    async def answer(self, turn: TurnRequest) -> AsyncIterator[AgentStep]:
        """Stream the answer, in a task of its own: what bounds a request must not end the turn."""
        mind = await self._mind.get()
        run = TaskOfItsOwn(mind.steps(turn), _as_it_is)
        try:
            while (step := await run.next()) is not None:
                yield step
        finally:
            await run.close()


class Writer(Protocol):
    """What sums up with a model."""

    @property
    def connections(self) -> AbstractAsyncContextManager[object]:
        """To the model's provider."""
        ...

    async def __call__(self, transcript: Transcript) -> Summary:
        """Read, and sum up. Raises AgentFailed."""
        ...


class LlmMemory:
    """Sums up what is over, with the agent's model and its redactions."""

    def __init__(
        self,
        definition: LlmDefinition,
        unread: Sequence[Policy],
        unsaid: Sequence[Policy],
        http: HttpAgents,
    ) -> None:
        """`unread`, `unsaid`: what is redacted before the model reads it, and in what it writes."""
        self._writer: Loaded[Writer] = Loaded(
            _MEMORY, lambda module: module.MemoryWriter(definition, unread, unsaid), http
        )

    async def __call__(self, transcript: Transcript) -> Summary:
        """A summary, and facts about the person. Raises AgentFailed."""
        writer = await self._writer.get()
        return await writer(transcript)


def _as_it_is(step: AgentStep) -> AgentStep:
    return step
