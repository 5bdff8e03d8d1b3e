"""Reads the files of a knowledge folder, Markdown, text and HTML, into chunks under their headings."""

import re
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from pathlib import PurePosixPath

from markdown_it import MarkdownIt
from markdown_it.token import Token

from gateway.domain.knowledge import Document
from workers.knowledge.outline import MAX_HEADING, Outline

_FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(.{0,20000}?)\r?\n---[ \t]*(?:\r?\n|\Z)", re.DOTALL)
_TITLE = re.compile(r"^title:[ \t]*(?P<quote>[\"']?)(?P<title>.+?)(?P=quote)[ \t]*$", re.MULTILINE)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_UNSEEN = frozenset({"script", "style", "template", "noscript", "svg", "head", "nav"})
_BLOCK_TAGS = """
address article aside blockquote br dd div dl dt figure footer form header hr li main ol p pre section table
tr ul
"""
_BLOCKS = frozenset(_BLOCK_TAGS.split())
_CELLS = frozenset({"td", "th"})


class UnreadableError(Exception):
    """A file that cannot be read; its text says why, without anything of the contents."""


def read_markdown(content: bytes, name: str) -> Document:
    """CommonMark with tables; a title in the front matter, else the first heading."""
    source = _text_of(content)
    title = None
    front = _FRONT_MATTER.match(source)
    if front is not None:
        found = _TITLE.search(front[1])
        title = found["title"] if found else None
        source = source[front.end() :]
    outline = Outline()
    lines = source.split("\n")
    tokens = MarkdownIt("commonmark").enable("table").parse(source)
    for index, token in enumerate(tokens):
        if token.level == 0 and token.type == "heading_open":
            outline.heading(int(token.tag[1]), _plain(tokens[index + 1]))
        elif token.level == 0 and token.map is not None and token.nesting >= 0:
            outline.text("\n".join(lines[token.map[0] : token.map[1]]).strip("\n"))
    return _document(title or outline.first_heading or name, outline)


def _plain(inline: Token) -> str:
    return "".join(child.content for child in inline.children or () if child.type in ("text", "code_inline"))


def read_text(content: bytes, name: str) -> Document:
    """Paragraphs; there are no headings."""
    outline = Outline()
    outline.text(_text_of(content))
    return _document(name, outline)


def read_html(content: bytes, name: str) -> Document:
    """What a reader sees, under its h1 to h6; the title is that of the page."""
    page = _Page()
    page.feed(_text_of(content))
    page.close()
    page.end_block()
    return _document(" ".join(page.title.split()) or page.outline.first_heading or name, page.outline)


class _Page(HTMLParser):
    """Follows the tags of a page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.outline = Outline()
        self.title = ""
        self._block: list[str] = []
        self._heading: int | None = None
        self._unseen: str | None = None
        self._depth = 0
        self._in_title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "title":
            self._in_title = True
        if self._unseen is not None:
            self._depth += tag == self._unseen
        elif tag in _UNSEEN:
            self._unseen, self._depth = tag, 1
        elif tag in _HEADINGS:
            self.end_block()
            self._heading = _HEADINGS[tag]
        elif tag in _BLOCKS:
            self.end_block()
        elif tag in _CELLS:
            self._block.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag == "title":
            self._in_title = False
        if self._unseen is not None:
            self._depth -= tag == self._unseen
            self._unseen = self._unseen if self._depth else None
        elif tag in _HEADINGS or tag in _BLOCKS:
            self.end_block()

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title = (self.title + data)[:MAX_HEADING]
        elif self._unseen is None:
            self._block.append(data)

    def end_block(self) -> None:
        """A block of text, or a heading, is whole."""
        text = " ".join("".join(self._block).split())
        self._block = []
        if self._heading is not None:
            self.outline.heading(self._heading, text)
            self._heading = None
        elif text:
            self.outline.text(text)


def _text_of(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnreadableError("it is not UTF-8") from None


def _document(title: str, outline: Outline) -> Document:
    return Document(title.replace("\x00", "\ufffd")[:MAX_HEADING], outline.finish())


READERS: Mapping[str, Callable[[bytes, str], Document]] = {
    ".md": read_markdown,
    ".markdown": read_markdown,
    ".txt": read_text,
    ".html": read_html,
    ".htm": read_html,
}
"""By the ending of a file's name; PDF is read in a process of its own (`workers.knowledge.pdf`)."""


def name_of(path: str) -> str:
    """What a document without a title is called."""
    return PurePosixPath(path).stem.replace("_", " ").replace("-", " ")
