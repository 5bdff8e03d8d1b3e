"""A search of documents that finds by words, and puts first what is near in meaning, too."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Protocol

from gateway.domain.agent import AgentFailed, EvidenceItem
from gateway.settings import LlmAgent
from workers.agents.http import HttpAgents
from workers.agents.llm.loaded import Loaded
from workers.agents.tools.knowledge import Found, Search

CANDIDATES = 40
"""Passages found by words that are compared with the question."""
SECONDS = 5.0
"""How long a search waits for the embedding model; without it, the order is that of words."""

_log = logging.getLogger(__name__)


class Ranking(Protocol):
    """Ranks passages by words and by meaning together."""

    @property
    def connections(self) -> AbstractAsyncContextManager[object]:
        """To the model's provider."""
        ...

    async def ranked(self, question: str, items: Sequence[EvidenceItem]) -> Found:
        """The best first. Raises AgentFailed."""
        ...


def nearest_first(search: Search, definition: LlmAgent, http: HttpAgents) -> Search:
    """The same search, ranked by the agent's embedding model besides."""
    ranking: Loaded[Ranking] = Loaded(
        "workers.agents.llm.nearness", lambda module: module.Nearness(definition), http
    )

    async def nearest(question: str, limit: int) -> Found:
        found = await search(question, max(limit, CANDIDATES))
        if len(found.items) > 1:
            try:
                async with asyncio.timeout(SECONDS):
                    found = await (await ranking.get()).ranked(question, found.items)
            except (AgentFailed, TimeoutError) as error:
                reason = error.reason if isinstance(error, AgentFailed) else "no answer in time"
                _log.warning(
                    "passages were ranked by words only",
                    extra={"action": "embeddings.failed", "reason": reason},
                )
        return replace(found, items=found.items[:limit])

    return nearest
