"""Cuts a document into chunks: along its headings, its paragraphs, its sentences, in this order."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from gateway.domain.knowledge import MAX_CHUNK, MAX_CHUNKS, Chunk, Heading

MAX_HEADING = 300
"""Characters of a heading that are kept."""
_LEVELS = 6

_PARAGRAPH = re.compile(r"\n[ \t]*\n\s*")
_SENTENCE = re.compile(r"(?<=[.!?…。！？])\s+")


class TooManyChunksError(Exception):
    """A document that is cut into more than MAX_CHUNKS."""


@dataclass
class Outline:
    """A document while it is read, from its beginning to its end."""

    _open: list[tuple[int, Heading]] = field(default_factory=list)
    _counts: list[int] = field(default_factory=lambda: [0] * _LEVELS)
    _text: list[str] = field(default_factory=list)
    _chunks: list[Chunk] = field(default_factory=list)
    _page: int | None = None
    first_heading: str | None = None

    def heading(self, level: int, title: str) -> None:
        """A heading (1: the highest) begins: what follows stands under it."""
        self._close()
        shown = " ".join(title.split())[:MAX_HEADING]
        if not shown:
            return
        if self.first_heading is None:
            self.first_heading = shown
        while self._open and self._open[-1][0] >= level:
            self._open.pop()
        depth = len(self._open)
        self._counts[depth] += 1
        self._counts[depth + 1 :] = [0] * (_LEVELS - depth - 1)
        number = ".".join(map(str, self._counts[: depth + 1]))
        self._open.append((level, Heading(shown, number)))

    def page(self, number: int) -> None:
        """A page begins."""
        self._close()
        self._page = number

    def text(self, text: str) -> None:
        """Text under the heading, or on the page, that began last; blank lines part paragraphs."""
        self._text.append(text)

    def finish(self) -> tuple[Chunk, ...]:
        """All chunks. Raises TooManyChunksError."""
        self._close()
        return tuple(self._chunks)

    def _close(self) -> None:
        headings = tuple(heading for _, heading in self._open)
        for piece in pieces("\n\n".join(self._text)):
            if len(self._chunks) == MAX_CHUNKS:
                raise TooManyChunksError
            self._chunks.append(Chunk(headings, piece, self._page))
        self._text = []


def pieces(text: str) -> Iterator[str]:
    """A text in pieces of at most MAX_CHUNK characters, as few as its paragraphs and sentences allow."""
    return _joined(_fitting(text.replace("\x00", "\ufffd")))


def _fitting(text: str) -> Iterator[tuple[str, str]]:
    """(What stood before it, part), each short enough."""
    for paragraph in _PARAGRAPH.split(text.strip()):
        if len(paragraph) <= MAX_CHUNK:
            yield "\n\n", paragraph
            continue
        before = "\n\n"
        for sentence in _SENTENCE.split(paragraph):
            for start in range(0, len(sentence), MAX_CHUNK):
                yield before, sentence[start : start + MAX_CHUNK]
                before = " " if start + MAX_CHUNK >= len(sentence) else ""


def _joined(parts: Iterable[tuple[str, str]]) -> Iterator[str]:
    whole = ""
    for before, part in parts:
        if whole and len(whole) + len(before) + len(part) > MAX_CHUNK:
            yield whole
            whole = part
        else:
            whole = f"{whole}{before}{part}" if whole else part
    if whole.strip():
        yield whole
