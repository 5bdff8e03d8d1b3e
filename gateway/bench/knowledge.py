"""What a question to the knowledge index costs, over few chunks and over many, on SQLite and PostgreSQL.

Documents and questions are made of words as frequent as those of a language are (the n-th one n times as
rare as the first), so that questions have frequent words as well as rare ones.
"""

import asyncio
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from gateway.bench.machine import Machine, this_machine
from gateway.bench.private_server import ServiceFailed, ServiceMissing
from gateway.bench.report import table
from gateway.bench.servers import databases
from gateway.domain.clock import Clock
from gateway.domain.ids import named_id
from gateway.domain.knowledge import Chunk, Document, Heading, knowledge_base_id
from gateway.service.knowledge import KnowledgeIndex, Place, count_words, put_document
from gateway.store.engine import open_store
from gateway.store.migrate import migrate

_ORGANIZATION = named_id("bench")
_WORDS = 5_000
_FIRST = 5
_CHUNK_WORDS = 150
_IN_DOCUMENT = 100
_FOUND = 8
_NAMES = {"sqlite": "SQLite", "postgres": "PostgreSQL"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured."""

    few: int
    """Chunks."""
    many: int
    questions: int
    words: int = 8
    """Of a question."""


FULL = Size(few=100, many=10_000, questions=200)
QUICK = Size(few=100, many=200, questions=3)


@dataclass(frozen=True, slots=True)
class KnowledgeFigures:
    """Milliseconds of each question, by database and the number of chunks it was asked of."""

    size: Size
    machine: Machine
    waited: dict[str, dict[int, list[float]]]
    skipped: str | None
    """Why PostgreSQL was not measured."""

    def ratio(self, database: str) -> float:
        """What a question of many costs, beside one of few."""
        waited = self.waited[database]
        return median(waited[self.size.many]) / median(waited[self.size.few])


def measure(size: Size) -> KnowledgeFigures:
    """Index, then ask, the same questions of each."""
    load_before = os.getloadavg()[0]
    waited = {"sqlite": _measured(_sqlite, size)}
    version, skipped = None, None
    try:
        with databases() as found:
            version = found.version
            waited["postgres"] = _measured(found.fresh, size)
    except (ServiceMissing, ServiceFailed) as missing:
        skipped = str(missing)
    return KnowledgeFigures(size, this_machine(None, load_before, postgresql=version), waited, skipped)


def _measured(fresh: Callable[[], AbstractContextManager[str]], size: Size) -> dict[int, list[float]]:
    waited = {}
    for chunks in (size.few, size.many):
        with fresh() as url:
            waited[chunks] = asyncio.run(_asked(url, chunks, size))
    return waited


@contextmanager
def _sqlite() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as folder:
        yield f"sqlite:///{folder}/gateway.db"


def as_object(figures: KnowledgeFigures) -> dict[str, Any]:
    """Everything, for JSON."""
    return {
        "scenario": "knowledge",
        "machine": asdict(figures.machine),
        "size": asdict(figures.size),
        "subjects": {
            f"{database}_{chunks}_chunks": {"milliseconds": [round(one, 3) for one in waited]}
            for database, by_chunks in figures.waited.items()
            for chunks, waited in by_chunks.items()
        },
        "skipped": figures.skipped,
        "ratios": {
            f"{database}_many_to_few": round(figures.ratio(database), 3) for database in figures.waited
        },
    }


def as_text(figures: KnowledgeFigures) -> str:
    """A table, with what it was measured on and how."""
    rows = [
        (
            f"{_NAMES[database]}, {chunks} chunks",
            f"{median(waited):.1f}",
            f"{sorted(waited)[int(len(waited) * 0.95)]:.1f}",
        )
        for database, by_chunks in figures.waited.items()
        for chunks, waited in by_chunks.items()
    ]
    ratios = [
        f"{_NAMES[database]}, many to few: {figures.ratio(database):.2f}" for database in figures.waited
    ]
    return "\n".join(
        [
            figures.machine.line,
            f"{figures.size.questions} questions of {figures.size.words} words, one by one",
            "",
            *table([("", "median ms", "95 % ms"), *rows]),
            "",
            *ratios,
            *([f"PostgreSQL was left out: {figures.skipped}"] if figures.skipped else []),
        ]
    )


async def _asked(url: str, chunks: int, size: Size) -> list[float]:
    await migrate(url)
    chance = random.Random(1)  # noqa: S311 - the same every time
    words = [f"{chance.choice('bdfgklmnprst')}a{n:x}o" for n in range(_WORDS)]
    weights = [1 / (n + _FIRST) for n in range(_WORDS)]

    def said(count: int) -> str:
        return " ".join(chance.choices(words, weights, k=count))

    kb_id = knowledge_base_id(_ORGANIZATION, "docs")
    waited: list[float] = []
    async with open_store(url, Clock()) as store:
        for number in range(chunks // _IN_DOCUMENT):
            cut = tuple(Chunk((Heading(said(4), str(n)),), said(_CHUNK_WORDS)) for n in range(_IN_DOCUMENT))
            document = Document(f"Document {number}", cut)
            await put_document(store, Place(_ORGANIZATION, kb_id, f"{number}.md"), "1", document)
        await store.write(count_words, kb_id)
        index = KnowledgeIndex(store)
        for _ in range(size.questions):
            question = said(size.words)
            began = time.perf_counter()
            await index.search(_ORGANIZATION, ["docs"], question, _FOUND)
            waited.append((time.perf_counter() - began) * 1000)
    return waited
