"""An agent that is handed passages of its documents with each turn: one behind a URL, or a Python function.

A model asks for them itself, by a tool (`tools.knowledge`).
"""

from collections.abc import AsyncIterator
from contextlib import aclosing

from gateway.domain.agent import TurnRequest
from gateway.domain.ports.agent import Agent
from gateway.domain.steps import AgentStep
from workers.agents.tools.knowledge import FOUND, Search, marked

MAX_QUESTION = 2_000
"""Characters of the input that are looked for."""


class KnowingAgent:
    """Asks the documents before the agent, with the words of the end user."""

    def __init__(self, agent: Agent, search: Search) -> None:
        self._agent = agent
        self._search = search

    async def answer(self, turn: TurnRequest) -> AsyncIterator[AgentStep]:
        """The agent's answer. Who was never proven to write is told nothing of the documents."""
        question = turn.input_text[:MAX_QUESTION] if turn.proven else ""
        found = (await self._search(question, FOUND)).items if question.strip() else ()
        knowing = turn.model_copy(update={"knowledge": marked(found, 0)})
        async with aclosing(self._agent.answer(knowing)) as steps:  # type: ignore[type-var]
            async for step in steps:
                yield step
