"""The index of knowledge: documents put in, replaced and taken out in bounded steps, and searched."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations

from gateway.domain.agent import EvidenceItem, EvidenceSection
from gateway.domain.ids import named_id
from gateway.domain.knowledge import Chunk, Document, knowledge_base_id
from gateway.domain.ports.store import Param, Row, Store, Tx
from gateway.domain.words import common_words
from gateway.store.records import pack, unpack

MAX_DOCUMENTS = 5_000
"""Of one knowledge base."""
MAX_ASKED = 24
"""Different words of a question that are looked for."""
MAX_FOUND = 50
"""Chunks that one search gives."""
_ROWS = 100
"""Chunks that one unit writes."""
_READ = 2_000
"""Hits that a search goes through: the rarest words first, and frequent ones only where there is room."""
_IN_PART = 400
"""Hits of each word that PostgreSQL goes through where even the rarest has more than `_READ`."""
_TOGETHER = 4
"""The rarest words, of which it looks for each two together then."""
_COUNTED = 20_000
"""Chunks of a knowledge base in which words are counted; where there are more it is an estimate."""


@dataclass(frozen=True, slots=True)
class Indexed:
    """A document that is in the index."""

    id: str
    path: str
    content_hash: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a document belongs."""

    organization_id: str
    kb_id: str
    path: str
    """Within its folder, with slashes."""

    @property
    def document_id(self) -> str:
        """Follows from the knowledge base and the path."""
        return named_id(self.kb_id, self.path)


async def indexed_documents(tx: Tx, kb_id: str) -> dict[str, Indexed]:
    """What is in the index of a knowledge base, by path."""
    rows = await tx.all("knowledge_documents_of_kb", kb_id=kb_id, limit=MAX_DOCUMENTS)
    return {row["path"]: Indexed(row["id"], row["path"], row["content_hash"]) for row in rows}


async def put_document(store: Store, place: Place, content_hash: str, document: Document) -> None:
    """Index a document, or its new contents; until all of them are there the old ones are found.

    May be killed anywhere and done again, also by two at once. Raises Unavailable.
    """
    rows = [_row(place, content_hash, n, chunk, document) for n, chunk in enumerate(document.chunks)]
    for start in range(0, len(rows), _ROWS):
        await store.write(_put_chunks, rows[start : start + _ROWS])
    await store.write(_publish, place, content_hash, document)
    await _sweep(store, place.document_id, content_hash)


async def count_words(tx: Tx, kb_id: str) -> None:
    """Count how many chunks have each word, for searches that follow; seconds where there are many."""
    await tx.run("knowledge_vocabulary_forget", kb_id=kb_id)
    await tx.run("knowledge_vocabulary_count", kb_id=kb_id, most=_COUNTED)


async def remove_document(store: Store, document_id: str) -> None:
    """Take a document out. Raises Unavailable."""
    await store.write(_remove, document_id)
    await _sweep(store, document_id, "")


async def _put_chunks(tx: Tx, rows: Sequence[dict[str, Param]]) -> None:
    await tx.many("knowledge_chunk_insert", rows)


async def _publish(tx: Tx, place: Place, content_hash: str, document: Document) -> None:
    await tx.run(
        "knowledge_document_publish",
        id=place.document_id,
        organization_id=place.organization_id,
        kb_id=place.kb_id,
        path=place.path,
        title=document.title,
        content_hash=content_hash,
        chunks=len(document.chunks),
    )


async def _remove(tx: Tx, document_id: str) -> None:
    await tx.run("knowledge_document_delete", id=document_id)


async def _sweep(store: Store, document_id: str, keep: str) -> None:
    while await store.write(_delete_chunks, document_id, keep) == _ROWS:
        pass


async def _delete_chunks(tx: Tx, document_id: str, keep: str) -> int:
    return await tx.run("knowledge_chunks_delete", document_id=document_id, keep=keep, limit=_ROWS)


def _row(
    place: Place, content_hash: str, position: int, chunk: Chunk, document: Document
) -> dict[str, Param]:
    titles = [document.title, *(heading.title for heading in chunk.headings)]
    return {
        "id": named_id(place.document_id, content_hash, str(position)),
        "document_id": place.document_id,
        "content_hash": content_hash,
        "position": position,
        "section": pack({"headings": [asdict(heading) for heading in chunk.headings], "page": chunk.page}),
        "text": chunk.text,
        "kb_id": place.kb_id,
        "heading_words": " ".join(common_words(" ".join(titles))),
        "body_words": " ".join(common_words(chunk.text)),
    }


class KnowledgeIndex:
    """The knowledge that is in the database, to be searched."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def search(
        self, organization_id: str, folders: Sequence[str], question: str, limit: int
    ) -> Sequence[EvidenceItem]:
        """The best chunks for a question (`ports.Knowledge`)."""
        words = list(dict.fromkeys(common_words(question)))[:MAX_ASKED]
        if not words or not folders:
            return ()
        kb_ids = [knowledge_base_id(organization_id, folder) for folder in folders]
        return await self._store.read(_search, kb_ids, words, min(limit, MAX_FOUND))


async def _search(tx: Tx, kb_ids: Sequence[str], words: Sequence[str], limit: int) -> Sequence[EvidenceItem]:
    counted = await tx.all("knowledge_words", words=words, kb_ids=kb_ids, most=_READ + 1)
    chunks = {row["word"]: row["chunks"] for row in counted if row["chunks"]}
    rare = _rare(chunks)
    if not rare:
        return ()
    in_part = chunks[rare[0]] > _READ
    together = _pairs(chunks) if in_part else ()
    # in the language of FTS5, every word quoted: https://sqlite.org/fts5.html#full_text_query_syntax
    match = " OR ".join(f'"{word}"' for word in rare)
    rows = await tx.all(
        "knowledge_search",
        match=match,
        words=[*rare, *together],
        kb_ids=kb_ids,
        most=_IN_PART if in_part else _READ,
        limit=limit,
    )
    return [_item(row) for row in rows]


def _by_rarity(chunks: Mapping[str, int]) -> list[str]:
    return sorted(chunks, key=lambda word: (chunks[word], word))


def _pairs(chunks: Mapping[str, int]) -> list[str]:
    """The rarest words two by two, for a search that reads none of them to its end."""
    return [" ".join(pair) for pair in combinations(_by_rarity(chunks)[:_TOGETHER], 2)]


def _rare(chunks: Mapping[str, int]) -> list[str]:
    """The words to look for: what stands everywhere tells little, and costs most."""
    kept: list[str] = []
    read = 0
    for word in _by_rarity(chunks):
        read += chunks[word]
        if kept and read > _READ:
            break
        kept.append(word)
    return kept


def _item(row: Row) -> EvidenceItem:
    section = unpack(row["section"], {})
    headings = section["headings"]
    titles = [heading["title"] for heading in headings]
    numbers = [heading["number"] for heading in headings if heading["number"]]
    page = None if section["page"] is None else f"page {section['page']}"
    shown = " ".join([*numbers[-1:], *titles[-1:]]) or page
    title: str = row["title"]
    return EvidenceItem(
        chunk_id=row["id"],
        kb_id=row["kb_id"],
        score=float(f"{row['score']:.6g}"),
        text=row["text"],
        label=", ".join(part for part in (title, " › ".join(titles) or page) if part),
        short_label=" ".join(part for part in (title, *(numbers[-1:] or [page or ""])) if part),
        document_title=title,
        version_number=row["version_number"],
        section=EvidenceSection(
            path_titles=titles,
            path_numbers=numbers,
            display_label=shown,
            confidence="high" if titles else "low" if page is None else "medium",
        ),
    )
