"""The seam to what answers turns, and to the knowledge that it may search."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from gateway.domain.agent import EvidenceItem, TurnRequest
from gateway.domain.steps import AgentStep


class Agent(Protocol):
    """Answers turns."""

    def answer(self, turn: TurnRequest) -> AsyncIterator[AgentStep]:
        """Stream the answer; raises AgentFailed. Closing the iterator cancels the agent."""
        ...


class Knowledge(Protocol):
    """What an organisation has written down, searched by agents."""

    async def search(
        self, organization_id: str, folders: Sequence[str], question: str, limit: int
    ) -> Sequence[EvidenceItem]:
        """The chunks of these folders (as gateway.toml names them) that fit a question best, the best first.

        Scores compare within one answer only. Where nothing fits, or is indexed yet, it is empty. Raises
        Unavailable.
        """
        ...
