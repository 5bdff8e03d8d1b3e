"""The tool with which a model searches its agent's documents; what it finds is the reply's evidence."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.domain.agent import EvidenceItem
from gateway.domain.errors import Unavailable
from gateway.domain.tool import ToolContext, ToolFailedError, ToolSpec
from workers.agents.tools.arguments import ArgumentCheck

FOUND = 5
"""Chunks that one search gives."""
NAME = "search_knowledge"


@dataclass(frozen=True, slots=True)
class Found:
    """What a search has come to."""

    items: Sequence[EvidenceItem]
    tokens: int = 0
    """That an embedding model has read for it."""


Search = Callable[[str, int], Awaitable[Found]]
"""The best chunks of the agent's folders, for a question, at most so many."""

_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "question": {
            "type": "string",
            "minLength": 1,
            "maxLength": 1000,
            "description": "What to look for, in the words of the documents where you know them.",
        }
    },
    "required": ["question"],
    "additionalProperties": False,
}


class KnowledgeTool:
    """Searches. Who calls it gives each chunk a marker, which the reply puts after what rests on it."""

    def __init__(self, search: Search) -> None:
        self._search = search
        self._check = ArgumentCheck(_SCHEMA, NAME)
        self._spec = ToolSpec(
            name=NAME,
            description=(
                "Search the documents of the company. Answer questions about it only from what is found, and "
                "say so where nothing is. In writing, put the marker of a passage, such as [1], after what "
                "you take from it; never speak markers on a phone call."
            ),
            parameters=_SCHEMA,
        )

    @property
    def spec(self) -> ToolSpec:
        """What the model is told of it."""
        return self._spec

    def check(self, arguments: dict[str, Any]) -> None:
        """Whether there is a question."""
        self._check.check(arguments)

    async def search(self, arguments: dict[str, Any]) -> Found:
        """Search. Raises ToolFailedError where the index does not answer."""
        try:
            return await self._search(arguments["question"], FOUND)
        except Unavailable:
            raise ToolFailedError("the documents cannot be searched at the moment") from None

    async def call(self, arguments: dict[str, Any], _context: ToolContext) -> object:
        """The same, as a tool's result."""
        return passages((await self.search(arguments)).items)


def passages(items: Sequence[EvidenceItem]) -> dict[str, Any]:
    """What is found as the tool's result."""
    return {"passages": [item.model_dump(mode="json") for item in items]}


def marked(items: Sequence[EvidenceItem], before: int) -> list[EvidenceItem]:
    """With the markers that follow on `before` others of the turn."""
    return [
        item.model_copy(update={"citation_marker": f"[{number}]"})
        for number, item in enumerate(items, before + 1)
    ]


def cited(output: object) -> list[EvidenceItem]:
    """The evidence in a result of the tool, as it was kept."""
    found = output.get("passages") if isinstance(output, dict) else None
    return [EvidenceItem.model_validate(item) for item in found or ()]
