"""HTML mail to plain text: one pass over the tags, in linear time on any input.

The standard library's parser takes quadratic time on unclosed comments and tags in the Python versions this
runs on, so tags are found here, by the rules of the HTML standard's tokenizer that matter for mail.
Block elements become lines, list items get a dash, and what a `blockquote` holds is marked with `> `, so that
the rules for quoted text see it.
"""

import html
import re

_TAG_NAME = re.compile(r"/?[a-zA-Z][^\s/>]{0,30}")
_IN_TAG = re.compile(r"""[>"']""")
_LONG_REFERENCE = re.compile(r"&#(?:[xX][0-9a-fA-F]{7,}+|[0-9]{8,}+);?")
_SPACE = re.compile(r"[ \t\n\r\f\u00a0]+")
_BLANK_LINES = re.compile(r"\n{3,}")

_PARAGRAPHS = frozenset({"p", "ul", "ol", "dl", "table", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "hr"})
_BLOCKS = _PARAGRAPHS | frozenset(
    {"div", "li", "tr", "blockquote", "address", "article", "section", "header", "footer", "dt", "dd", "body"}
)
_UNSEEN = frozenset({"script", "style", "title"})
"""Elements that show nothing and hold no HTML: only their own end tag ends them."""
_UNSEEN_ENDS = {name: re.compile(f"</{name}", re.IGNORECASE) for name in _UNSEEN}
_MAX_QUOTE = 10
"""Quote marks in front of a line, at most."""


def html_to_text(source: str) -> str:
    """The text a reader sees, as plain lines."""
    page = _Page()
    at = 0
    while at < len(source):
        opening = source.find("<", at)
        if opening == -1:
            page.text(source[at:])
            break
        page.text(source[at:opening])
        at = _markup(source, opening, page)
    return page.finish()


class _Page:
    """Collects text as lines."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._line: list[str] = []
        self._quote = 0
        self._pre = 0

    def text(self, source: str) -> None:
        """Text between tags."""
        if not source:
            return
        text = html.unescape(_LONG_REFERENCE.sub("\ufffd", source))
        if not self._pre:
            self._line.append(_SPACE.sub(" ", text))
            return
        first, *more = text.split("\n")
        self._line.append(first)
        for line in more:
            self._break()
            self._line.append(line)

    def start(self, name: str) -> None:
        """A start tag."""
        if name == "br":
            self._break()
        elif name in _BLOCKS:
            self._begin_block(name)
        elif name in ("td", "th"):
            self._line.append(" ")

    def end(self, name: str) -> None:
        """An end tag."""
        if name not in _BLOCKS:
            return
        self._end_line()
        if name == "blockquote":
            self._quote = max(0, self._quote - 1)
        elif name == "pre":
            self._pre = max(0, self._pre - 1)
        if name in _PARAGRAPHS:
            self._blank()

    def finish(self) -> str:
        """The whole text."""
        self._end_line()
        return _BLANK_LINES.sub("\n\n", "\n".join(self._lines)).strip("\n")

    def _begin_block(self, name: str) -> None:
        self._end_line()
        if name in _PARAGRAPHS:
            self._blank()
        if name == "blockquote":
            self._quote += 1
        elif name == "pre":
            self._pre += 1
        elif name == "li":
            self._line.append("- ")

    def _end_line(self) -> None:
        if "".join(self._line).strip():
            self._break()
        self._line.clear()

    def _break(self) -> None:
        text = "".join(self._line)
        self._line.clear()
        self._lines.append(self._marked(text.rstrip() if self._pre else text.strip()))

    def _blank(self) -> None:
        if self._lines and self._lines[-1].strip("> "):
            self._lines.append(self._marked(""))

    def _marked(self, text: str) -> str:
        return ("> " * min(self._quote, _MAX_QUOTE) + text).rstrip() if self._quote else text


def _markup(source: str, at: int, page: _Page) -> int:
    """Read what begins with `<` at this offset; the offset after it."""
    if source.startswith("<!--", at):
        return _after(source, "-->", at + 4)
    if source.startswith(("<!", "<?"), at):
        return _after(source, ">", at + 2)
    name_match = _TAG_NAME.match(source, at + 1)
    if not name_match:
        page.text("<")
        return at + 1
    name = name_match[0].lower()
    end = _tag_end(source, name_match.end())
    if name.startswith("/"):
        page.end(name[1:])
    elif name in _UNSEEN:
        return _after_unseen(source, name, end)
    else:
        page.start(name)
    return end


def _tag_end(source: str, at: int) -> int:
    """The offset after a tag's `>`; one within a quoted value does not count, unless the quote never ends."""
    for mark in _IN_TAG.finditer(source, at):
        if mark.start() < at:
            continue
        if mark[0] == ">":
            return mark.end()
        if source[max(0, mark.start() - 8) : mark.start()].rstrip().endswith("="):
            closing = source.find(mark[0], mark.end())
            at = closing + 1 if closing != -1 else at
    return len(source)


def _after(source: str, mark: str, at: int) -> int:
    end = source.find(mark, at)
    return len(source) if end == -1 else end + len(mark)


def _after_unseen(source: str, name: str, at: int) -> int:
    end = _UNSEEN_ENDS[name].search(source, at)
    return _after(source, ">", end.end()) if end else len(source)
