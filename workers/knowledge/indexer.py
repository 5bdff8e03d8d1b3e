"""Looks at the knowledge folders and indexes what has changed.

A folder that is not there leaves its index as it is: another process may have it.
"""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.domain.knowledge import Document, knowledge_base_id
from gateway.domain.ports.store import Store
from gateway.service.knowledge import (
    Indexed,
    Place,
    count_words,
    indexed_documents,
    put_document,
    remove_document,
)
from workers.knowledge.folders import PDF, File, Folder, files_of
from workers.knowledge.formats import READERS, UnreadableError, name_of
from workers.knowledge.outline import TooManyChunksError
from workers.knowledge.pdf import read_pdf

MAX_TEXT_BYTES = 5_000_000
MAXPDF_BYTES = 30_000_000
_CUT = "1"
"""How documents are cut; another way of cutting is another content."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Looked:
    """What a look at the folders came to."""

    indexed: int = 0
    removed: int = 0
    refused: int = 0
    """Files that cannot be read; each was told of."""


class Indexer:
    """Keeps the index of some folders up to date; `look` may run in several processes at once."""

    def __init__(self, store: Store, organization_id: str, folders: Callable[[], Sequence[Folder]]) -> None:
        """`folders`: those of the configuration in force."""
        self._store = store
        self._organization_id = organization_id
        self._folders = folders
        self._seen: dict[Path, tuple[int, int]] = {}
        self._missing: set[str] = set()
        self._counted: set[str] = set()

    async def look(self) -> Looked:
        """Index what has changed since the last look. Raises Unavailable."""
        looked = Looked()
        for folder in self._folders():
            await self._look_at(folder, looked)
        if looked.indexed or looked.removed:
            _log.info(
                "knowledge was indexed",
                extra={
                    "action": "knowledge.indexed",
                    "documents": looked.indexed,
                    "removed": looked.removed,
                    "refused": looked.refused,
                },
            )
        return looked

    async def _look_at(self, folder: Folder, looked: Looked) -> None:
        files = await asyncio.to_thread(files_of, folder.path)
        if files is None:
            if folder.name not in self._missing:
                self._missing.add(folder.name)
                _told("a knowledge folder is not there", "knowledge.missing", folder.name, "no such folder")
            return
        self._missing.discard(folder.name)
        kb_id = knowledge_base_id(self._organization_id, folder.name)
        known = await self._store.read(indexed_documents, kb_id)
        changes = looked.indexed + looked.removed
        for file in files:
            if self._seen.get(file.path) == file.stamp and file.name in known:
                continue
            place = Place(self._organization_id, kb_id, file.name)
            await self._take(file, place, known.get(file.name), looked)
        for path in known.keys() - {file.name for file in files}:
            await remove_document(self._store, known[path].id)
            looked.removed += 1
        # after a start, too: what changed the folder before may have been killed before it counted
        if looked.indexed + looked.removed > changes or kb_id not in self._counted:
            await self._store.write(count_words, kb_id)
            self._counted.add(kb_id)

    async def _take(self, file: File, place: Place, known: Indexed | None, looked: Looked) -> None:
        if known is None and self._seen.get(file.path) == file.stamp:
            return  # it was refused
        try:
            content = await asyncio.to_thread(_content, file)
            content_hash = hashlib.sha256(_CUT.encode() + content).hexdigest()
            if known is None or known.content_hash != content_hash:
                await put_document(self._store, place, content_hash, await _document(file, content))
                looked.indexed += 1
        except (UnreadableError, OSError) as error:
            looked.refused += 1
            reason = error.strerror if isinstance(error, OSError) else str(error)
            _told("a document was not indexed", "knowledge.refused", file.name, reason or "it cannot be read")
        self._seen[file.path] = file.stamp


def _told(what: str, action: str, name: str, reason: str) -> None:
    _log.warning(what, extra={"action": action, "document": name, "reason": reason})


async def _document(file: File, content: bytes) -> Document:
    ending = file.path.suffix.lower()
    try:
        if ending == PDF:
            return await read_pdf(content, name_of(file.name))
        return await asyncio.to_thread(READERS[ending], content, name_of(file.name))
    except TooManyChunksError:
        raise UnreadableError("it is too long") from None


def _content(file: File) -> bytes:
    limit = MAXPDF_BYTES if file.path.suffix.lower() == PDF else MAX_TEXT_BYTES
    with file.path.open("rb") as opened:
        content = opened.read(limit + 1)
    if len(content) > limit:
        raise UnreadableError(f"it is larger than {limit} bytes")
    return content
