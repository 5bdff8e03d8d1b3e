"""How near passages are in meaning to a question, by an embedding model. Importing this loads pydantic-ai."""

import asyncio
from array import array
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from math import sqrt
from operator import mul
from typing import Any

from pydantic_ai.embeddings import Embedder, EmbeddingResult, TestEmbeddingModel, infer_embedding_model
from pydantic_ai.exceptions import UserError
from pydantic_ai.providers import Provider, infer_provider

from gateway.domain.agent import AgentFailed, EvidenceItem
from gateway.settings import LlmAgent
from gateway.settings.llm import OFFLINE
from workers.agents.llm.failures import failure_of
from workers.agents.tools.knowledge import Found

KEPT = 2_000
"""Passages whose vectors are kept; the one that was not asked for the longest goes first."""
MAX_QUESTION = 2_000
"""Characters of a question that are compared."""
RANKS = 60
"""How little a rank counts beside the next (Cormack et al., 2009, "Reciprocal Rank Fusion")."""


class Nearness:
    """Ranks by words and by meaning together."""

    def __init__(self, definition: LlmAgent) -> None:
        """Raises AgentFailed where the model cannot be used, such as without a key."""
        name = definition.embeddings or OFFLINE
        self._connections: AbstractAsyncContextManager[object] = nullcontext()
        if name == OFFLINE:
            self._embedder = Embedder(TestEmbeddingModel())
        else:
            try:
                self._connections = provider = _provider(name.partition(":")[0], definition.base_url)
                self._embedder = Embedder(infer_embedding_model(name, provider_factory=lambda _: provider))
            except UserError as error:
                raise AgentFailed(f"the embedding model cannot be used: {error}") from None
        self._vectors: OrderedDict[str, array[float]] = OrderedDict()

    @property
    def connections(self) -> AbstractAsyncContextManager[object]:
        """To the model's provider."""
        return self._connections

    async def ranked(self, question: str, items: Sequence[EvidenceItem]) -> Found:
        """Passages that were ranked by words, the best of both rankings first. Raises AgentFailed."""
        # looked up before the model is asked: other searches may put theirs in the place of these meanwhile
        known = {i.chunk_id: self._vectors[i.chunk_id] for i in items if i.chunk_id in self._vectors}
        new = [item for item in items if item.chunk_id not in known]
        try:
            asked, told = await asyncio.gather(
                self._embedder.embed_query(question[:MAX_QUESTION]),
                self._told_of(new),
            )
            wanted = _unit(asked.embeddings[0])
            vectors_told = told.embeddings if told is not None else ()
            known |= {item.chunk_id: _unit(vector) for item, vector in zip(new, vectors_told, strict=True)}
        except Exception as error:  # also an answer that lacks a vector
            raise failure_of(error) from error
        vectors = [known[item.chunk_id] for item in items]
        self._keep(items, vectors)
        near = sorted(range(len(items)), key=lambda n: -sum(map(mul, wanted, vectors[n])))
        scores = [1 / (RANKS + n) for n in range(len(items))]
        for rank, n in enumerate(near):
            scores[n] += 1 / (RANKS + rank)
        order = sorted(range(len(items)), key=lambda n: -scores[n])
        tokens = sum(result.usage.input_tokens for result in (asked, told) if result is not None)
        ranked = [items[n].model_copy(update={"score": float(f"{scores[n]:.6g}")}) for n in order]
        return Found(ranked, tokens)

    async def _told_of(self, items: Sequence[EvidenceItem]) -> EmbeddingResult | None:
        return await self._embedder.embed_documents([_read(item) for item in items]) if items else None

    def _keep(self, items: Sequence[EvidenceItem], vectors: "Sequence[array[float]]") -> None:
        for item, vector in zip(items, vectors, strict=True):
            self._vectors[item.chunk_id] = vector
            self._vectors.move_to_end(item.chunk_id)
        while len(self._vectors) > KEPT:
            self._vectors.popitem(last=False)


def _read(item: EvidenceItem) -> str:
    """A passage with the headings that it stands under."""
    return f"{item.label}\n{item.text}" if item.label else item.text


def _unit(vector: Sequence[float]) -> "array[float]":
    length = sqrt(sum(map(mul, vector, vector))) or 1.0
    return array("f", (value / length for value in vector))


def _provider(name: str, base_url: str | None) -> Provider[Any]:
    if base_url is not None and name == "openai":
        from pydantic_ai.providers.openai import OpenAIProvider

        return OpenAIProvider(base_url=base_url)
    return infer_provider(name)
