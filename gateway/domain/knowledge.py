"""Knowledge: documents cut into chunks, and where in a document each stands."""

from dataclasses import dataclass

from gateway.domain.ids import named_id

MAX_CHUNK = 1_200
"""Characters of a chunk's text."""
MAX_CHUNKS = 5_000
"""Chunks of one document."""


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading above a chunk."""

    title: str
    number: str
    """Such as `2.1`, by its place among its neighbours; empty where the document has no headings."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document, with the headings above it, the outermost first."""

    headings: tuple[Heading, ...]
    text: str
    page: int | None = None
    """From 1, in documents that have pages."""


@dataclass(frozen=True, slots=True)
class Document:
    """A document as it is indexed."""

    title: str
    chunks: tuple[Chunk, ...]


def knowledge_base_id(organization_id: str, folder: str) -> str:
    """The id of a folder of documents, as gateway.toml names it."""
    return named_id(organization_id, "knowledge", folder)
