"""HTML mail to lines of text that know what they are: one pass over the tags, in linear time on any input.

The libraries that were tried take quadratic time on deep or unclosed elements, or lose what lies deeper than
256 of them; so tags are found here, by the rules of the HTML standard's tokenizer that matter for mail, and
the open elements are a stack of bounded depth. Block elements become lines, list items get a dash, what a
`blockquote` holds is marked with `> `, and each line carries what the elements around it are (`html_zones`).
"""

import html
import re

from channels.email.html_zones import MAX_ATTRIBUTES, PLAIN, Element, element_of
from channels.email.lines import MAX_LINES, Line, Zone, line_of, text_of

_PLAIN_TAG = re.compile(r"""<(/?[a-zA-Z][^\s/>]{0,30}+)([^<>"']*+)>""")
"""A tag whose end is plain to see: nothing in it is quoted."""
_TAG_NAME = re.compile(r"/?[a-zA-Z][^\s/>]{0,30}")
_QUOTE = re.compile(r"[\"']")
_IN_TAG = re.compile(r"""[>"']""")
_LONG_REFERENCE = re.compile(r"&#(?:[xX][0-9a-fA-F]{7,}+|[0-9]{8,}+);?")
_SPACE = re.compile(r"[ \t\n\r\f\u00a0]+")

_PARAGRAPHS = frozenset({"p", "ul", "ol", "dl", "table", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "hr"})
_BLOCKS = _PARAGRAPHS | frozenset(
    {"div", "li", "tr", "blockquote", "address", "article", "section", "header", "footer", "dt", "dd", "body"}
)
_CELLS = frozenset({"td", "th"})
_BEGUN = {"li": "- ", "td": " ", "th": " ", "pre": ""}
"""What the text of an element begins with."""
_VOID = frozenset({"br", "hr", "img", "meta", "link", "input", "wbr", "col", "area", "base", "source"})
_NOT_IN_ITSELF = frozenset({"p", "li", "tr", "td"})
"""Elements of which a second one ends the first."""
_UNSEEN = frozenset({"script", "style", "title"})
"""Elements that show nothing and hold no HTML: only their own end tag ends them."""
_UNSEEN_ENDS = {name: re.compile(f"</{name}", re.IGNORECASE) for name in _UNSEEN}
_MAX_QUOTE = 10
"""Quote marks in front of a line, at most."""
_MAX_OPEN = 200
"""Elements within each other that are told apart; deeper ones count as part of the last."""


def html_to_text(source: str) -> str:
    """The text a reader sees, as plain lines."""
    return text_of(html_lines(source))


def html_lines(source: str) -> list[Line]:
    """The lines a reader sees."""
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
        self._lines: list[Line] = []
        self._beyond: list[str] = []
        self._gap = False
        """A blank line is due before the next one that is not."""
        self._line: list[str] = []
        self._open: list[tuple[str, Element]] = []
        """The elements that have not ended, by name."""
        self._deeper = 0
        self._quote = 0
        self._last_quote = 0
        self._pre = 0
        self._hidden = 0
        self._zones: list[Zone] = [Zone.OWN]
        self._rest_is_history = False

    def text(self, source: str) -> None:
        """Text between tags."""
        if not source or self._hidden:
            return
        text = html.unescape(_LONG_REFERENCE.sub("\ufffd", source)) if "&" in source else source
        if not self._pre:
            self._line.append(_SPACE.sub(" ", text))
            return
        first, *more = text.split("\n")
        self._line.append(first)
        for line in more:
            self._break()
            self._line.append(line)

    def start(self, name: str, tag: str) -> None:
        """A start tag; `tag` holds its attributes."""
        if name == "br":
            if not self._hidden:
                self._break()
            return
        element = element_of(name, tag)
        if name in _NOT_IN_ITSELF and self._open and self._open[-1][0] == name:
            self._close(self._open.pop())
        if self._line and (name in _BLOCKS or element.zone or element.history_follows):
            self._end_line()
        if name in _PARAGRAPHS:
            self._gap = True
        if element.history_follows:
            self._rest_is_history = True
        if name in _VOID:
            return
        if len(self._open) >= _MAX_OPEN:
            self._deeper += 1
            return
        self._begin(name, element)

    def _begin(self, name: str, element: Element) -> None:
        self._open.append((name, element))
        if element is not PLAIN:
            self._quote += element.quotes
            self._hidden += element.hidden
            if element.zone:
                around = self._zones[-1]
                is_known = element.zone is Zone.INDENTED and around is not Zone.OWN
                self._zones.append(around if is_known else element.zone)
        if name in _BEGUN:
            self._pre += name == "pre"
            self._line.append(_BEGUN[name])

    def end(self, name: str) -> None:
        """An end tag: ends the element it names, and what was left open in it."""
        if self._deeper:
            self._deeper -= 1
            return
        at = self._innermost(name)
        if at is None:
            return
        while len(self._open) > at:
            self._close(self._open.pop())

    def finish(self) -> list[Line]:
        """All lines."""
        self._end_line()
        if self._beyond:
            self._lines.append(self._lines[-1]._replace(text="\n".join(self._beyond), bare=""))
        return self._lines

    def _innermost(self, name: str) -> int | None:
        """Where the element is that an end tag ends: no inline tag ends a block, none its cell."""
        for at in range(len(self._open) - 1, -1, -1):
            found = self._open[at][0]
            if found == name:
                return at
            if (name not in _BLOCKS and found in _BLOCKS) or (
                found in _CELLS and name not in ("tr", "table")
            ):
                return None
        return None

    def _close(self, closed: tuple[str, Element]) -> None:
        name, element = closed
        if self._line and (name in _BLOCKS or element.zone):
            self._end_line()
        if element is not PLAIN:
            self._quote -= element.quotes
            self._hidden -= element.hidden
            if element.zone:
                self._zones.pop()
        if name == "pre":
            self._pre -= 1
        if name in _PARAGRAPHS:
            self._gap = True

    def _end_line(self) -> None:
        text = "".join(self._line)
        self._line.clear()
        if text and not text.isspace():
            self._add(text.rstrip() if self._pre else text.strip())

    def _break(self) -> None:
        text = "".join(self._line)
        self._line.clear()
        self._add(text.rstrip() if self._pre else text.strip())

    def _add(self, text: str) -> None:
        if not text:
            self._gap = True
            return
        quote = min(self._quote, _MAX_QUOTE)
        if self._gap and self._lines:
            self._append("", min(quote, self._last_quote))
        self._gap = False
        self._last_quote = quote
        self._append(text, quote)

    def _append(self, text: str, quote: int) -> None:
        shown = ("> " * quote + text).rstrip()
        if len(self._lines) >= MAX_LINES:
            self._beyond.append(shown)
            return
        zone = Zone.HISTORY if self._rest_is_history else self._zones[-1]
        self._lines.append(line_of(shown, quoted=quote > 0, zone=zone))


def _markup(source: str, at: int, page: _Page) -> int:
    """Read what begins with `<` at this offset; the offset after it."""
    plain = _PLAIN_TAG.match(source, at)
    if plain is not None:
        return _tag(source, plain[1].lower(), plain[2], plain.end(), page)
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
    return _tag(
        source, name, source[name_match.end() : min(end, name_match.end() + MAX_ATTRIBUTES)], end, page
    )


def _tag(source: str, name: str, attributes: str, end: int, page: _Page) -> int:
    """Take a tag that ends at `end`; the offset after it and what it hides."""
    if name[0] == "/":
        page.end(name[1:])
    elif name in _UNSEEN:
        return _after_unseen(source, name, end)
    else:
        page.start(name, attributes)
    return end


def _tag_end(source: str, at: int) -> int:
    """The offset after a tag's `>`; one within a quoted value does not count, unless the quote never ends."""
    closing = source.find(">", at)
    if closing != -1 and not _QUOTE.search(source, at, closing):
        return closing + 1
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
