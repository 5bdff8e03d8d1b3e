"""A mail's text as lines that know what they are, whichever way the mail says so.

In plain text a line is quoted when it begins with `>`. In HTML the elements tell, and the mail program that
made them has often named what they are: that is the `zone`.
"""

import re
from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

MAX_LINES = 5_000
"""Lines told apart in one text; nobody writes more, and what is beyond stays with the last of them."""
MAX_BARE = 1_000
"""Characters; a longer line is never a header or a signature, and no rule looks into it."""

_QUOTED = re.compile(
    r"\s{0,3}>(?!\s{0,3}[:：]?\s*$|\s?(?:wrote|schrieb|a écrit|escribió|ha scritto)\b.{0,9}$)"
)
_TOWER = re.compile(r"(?:\s{0,3}>){50}")
"""Nobody quotes so deep."""
_EMPTY_QUOTE = re.compile(r"\s{0,3}>[>\s]*$")
_UNSEEN = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_ENTITIES = {"&lt;": "<", "&gt;": ">", "&quot;": '"', "&#39;": "'", "&amp;": "&"}
_ENTITY = re.compile("|".join(_ENTITIES))


class Zone(Enum):
    """What the mail's HTML says of a line."""

    OWN = "own"
    HEADER = "header"
    """The line that introduces a quotation."""
    FRAME = "frame"
    """Around a quotation: what stands before it introduces it, what stands behind it may be an answer."""
    BLOCK = "block"
    """Drawn as mail programs draw the copied headers of a quoted mail."""
    INDENTED = "indented"
    """In a quotation that no mail program has marked as its own: it may be the sender's."""
    HISTORY = "history"
    SIGNATURE = "signature"


class Line(NamedTuple):
    """One line of a mail."""

    text: str
    """As it is shown, `> ` of quotations included."""
    bare: str
    """What rules look at: without decoration and invisible characters; empty where it is too long for any."""
    quoted: bool
    zone: Zone = Zone.OWN

    @property
    def blank(self) -> bool:
        """Whether there is nothing to read."""
        return not self.text or self.text.isspace()


def line_of(text: str, *, quoted: bool = False, zone: Zone = Zone.OWN) -> Line:
    """A line with what the rules look at."""
    return Line(text, bare(text), quoted, zone)


def plain_lines(text: str) -> list[Line]:
    """The lines of a plain text with LF line ends; what is beyond `MAX_LINES` is one long line."""
    return [line_of(line, quoted=is_quoted(line)) for line in text.split("\n", MAX_LINES - 1)]


def text_of(lines: Iterable[Line]) -> str:
    """The lines as text, without blanks at their ends and blank lines around."""
    return "\n".join(line.text.rstrip() for line in lines).strip("\n")


def is_quoted(text: str) -> bool:
    """Whether a line is marked with `>`. The end of a wrapped `<address>:` is none."""
    if ">" not in text[:4] or _TOWER.match(text):
        return False
    return _QUOTED.match(text) is not None or _EMPTY_QUOTE.match(text) is not None


def bare(text: str) -> str:
    """A line without decoration: one kind of blank, no emphasis around, nothing invisible."""
    if len(text) > MAX_BARE:
        return ""
    if "&" in text:
        text = _ENTITY.sub(lambda match: _ENTITIES[match[0]], text)
    if not text.isascii():
        text = _UNSEEN.sub("", text.replace("\u00a0", " ").replace("\u202f", " "))
    return text.strip(" \t*")
