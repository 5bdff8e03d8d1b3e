"""The new text of a reply: what its sender wrote, without the history and the signature around it.

General rules over lines, each line looked at a fixed number of times, so the time is in proportion to the
text. Where a rule is in doubt the text is kept: an agent can read past a quote, but not what was cut.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from channels.email.attribution import Attributions
from channels.email.header_block import (
    block_start,
    field_of,
    is_block,
    is_forward_mark,
    is_separator,
)
from channels.email.lines import Line, Zone, plain_lines, text_of
from channels.email.phrases import FORWARD_SUBJECT, Field
from channels.email.signature import is_mobile, without_banner, without_signature

REPLY_MARKER = "-- reply above this line --"
"""Our own line above a quoted mail: what stands below it is history in any language."""

_NEAR = 8
"""Lines below a header within which its quotation begins."""
_WRAPPED = 60
"""Characters from which on a mail program may have wrapped a quoted line."""

_OLD_ZONES = (Zone.HEADER, Zone.FRAME, Zone.HISTORY)


@dataclass(frozen=True, slots=True)
class Trimmed:
    """A mail's text, taken apart."""

    new_text: str
    """What was written now; the whole text where nothing would be left."""
    quoted_text: str
    """The history that was cut; empty where none was."""
    forwarded: bool
    """The mail passes another one on: it is kept whole."""


def trim(text: str, subject: str = "") -> Trimmed:
    """Tell the new text of a plain text with LF line ends; `subject` tells a forward from a reply."""
    return trim_lines(plain_lines(text), subject)


def trim_lines(lines: Sequence[Line], subject: str = "") -> Trimmed:
    """The same for lines of which the mail's HTML may have told more."""
    marker = _marker(lines)
    above = lines if marker is None else lines[:marker]
    history = _History(above)
    if history.is_forward(subject):
        return Trimmed(text_of(lines), "", True)
    new, quoted = history.divided()
    if marker is not None:
        quoted = [*quoted, *lines[marker:]]
    new = without_signature(without_banner(new))
    if all(line.blank for line in new):
        return Trimmed(text_of(lines), "", False)
    return Trimmed(text_of(new), text_of(quoted), False)


def _marker(lines: Sequence[Line]) -> int | None:
    """Where our own line stands. It does not count where it is quoted and something is written below it."""
    at = next((i for i, line in enumerate(lines) if line.bare.strip("> ").lower() == REPLY_MARKER), None)
    if at is None or not lines[at].quoted:
        return at
    below = (not (line.quoted or line.blank) and line.zone is Zone.OWN for line in lines[at:])
    return None if any(below) else at


class _History:
    """Which lines of a mail are history."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self.lines = lines
        self.old = _told_old(lines)
        self.headed = any(
            line.zone not in (Zone.OWN, Zone.INDENTED)
            for line, old in zip(lines, self.old, strict=True)
            if old
        )
        """Whether something says that what follows is another's."""
        self._block: int | None = None
        self._next_quote = _next_quotes(lines)
        self._attributions = Attributions(lines)
        self._find_headers()
        self._find_wrapped()

    def is_forward(self, subject: str) -> bool:
        """Whether the mail passes another one on; Outlook alone writes replies and forwards alike."""
        first = next((i for i, old in enumerate(self.old) if old and not self.lines[i].blank), None)
        if first is None:
            return False
        if any(is_forward_mark(line) for line in self.lines[first : first + 2]):
            return True
        is_block = self._block is not None or self.lines[first].zone in (Zone.HISTORY, Zone.BLOCK)
        return is_block and FORWARD_SUBJECT.match(subject) is not None

    def divided(self) -> tuple[list[Line], list[Line]]:
        """(new, quoted). Own text between quotations is an inline reply, which is kept with them."""
        lines = list(self.lines)
        first_old = next((i for i, old in enumerate(self.old) if old), None)
        if first_old is None:
            return lines, []
        own = self._own_lines()
        if not own or self._is_introduced(first_old):
            return lines, []
        first, last = own[0], own[-1]
        if last < first_old:
            return lines[:first_old], lines[first_old:]
        last_old = next(i for i in range(len(lines) - 1, -1, -1) if self.old[i])
        if first > last_old and self.headed:
            return lines[last_old + 1 :], lines[: last_old + 1]
        end = next((i for i in range(last + 1, len(lines)) if self.old[i]), len(lines))
        return lines[:end], lines[end:]

    def _is_introduced(self, first_old: int) -> bool:
        """Whether the sender's own line leads to what is indented, and nothing says that it is another's."""
        above = next((line for line in reversed(self.lines[:first_old]) if not line.blank), None)
        if self.headed or above is None or not above.bare.endswith((":", "：")):
            return False
        old = (line for line, is_old in zip(self.lines, self.old, strict=True) if is_old and not line.blank)
        return all(line.zone is Zone.INDENTED for line in old)

    def _own_lines(self) -> list[int]:
        """The lines that are the sender's; what only signs off below the last quotation is not counted."""
        last_old = max(i for i, old in enumerate(self.old) if old)
        below = without_signature(self.lines[last_old + 1 :])
        end = last_old + 1 + len(below)
        return [
            i
            for i in range(end)
            if not self.old[i]
            and not self.lines[i].blank
            and self.lines[i].zone is not Zone.SIGNATURE
            and not is_mobile(self.lines[i])
        ]

    def _find_headers(self) -> None:
        lines = self.lines
        fields: list[Field | None] = [field_of(line) for line in lines]
        at = 0
        while at < len(lines):
            line = lines[at]
            if line.blank or line.quoted or line.zone not in (Zone.OWN, Zone.BLOCK):
                at += 1
                continue
            if is_forward_mark(line):
                self._history_from(at)
                return
            if is_separator(line) or is_block(lines, fields, at):
                self._block = at if self._block is None else self._block
                start = block_start(lines, at)
                if not self._is_marked_block(fields, at):
                    self._history_from(start)
                    return
                end = self._next_quote[at]
                self.old[start:end] = [True] * (end - start)
                self.headed = True
                at = end
                continue
            begun = self._attributions.start(at, quote_follows=self._quote_follows(at))
            if begun is not None:
                if not self._is_marked(at):
                    self._history_from(begun)
                    return
                self.old[begun : at + 1] = [True] * (at + 1 - begun)
                self.headed = True
            at += 1

    def _history_from(self, at: int) -> None:
        """Nothing below is marked, so all of it is history."""
        self.old[at:] = [True] * (len(self.lines) - at)
        self.headed = True

    def _quote_follows(self, at: int) -> bool:
        """Whether the next line to be read is quoted."""
        following = self._next_quote[at]
        return following < len(self.lines) and all(line.blank for line in self.lines[at + 1 : following])

    def _is_marked(self, at: int) -> bool:
        """Whether the quotation below this header is marked, near enough to be its own."""
        following = self._next_quote[at]
        if following >= len(self.lines) or following - at > 2 * _NEAR:
            return False
        between = self.lines[at + 1 : following]
        if sum(not line.blank for line in between) >= _NEAR:
            return False
        return not any(
            self._attributions.start(at + 1 + i, quote_follows=False) is not None for i in range(len(between))
        )

    def _is_marked_block(self, fields: Sequence[Field | None], at: int) -> bool:
        """Whether what follows the headers of a block is marked from its first line on."""
        following = self._next_quote[at]
        if following >= len(self.lines) or following - at > 2 * _NEAR:
            return False
        last = max((i for i in range(at, following) if fields[i] is not None), default=at)
        return all(line.blank for line in self.lines[last + 1 : following])

    def _find_wrapped(self) -> None:
        """The end of a quoted line that a mail program wrapped stands unmarked between two marked ones."""
        lines = self.lines
        for i in range(1, len(lines) - 1):
            if self.old[i] or lines[i].blank or not (lines[i - 1].quoted and lines[i + 1].quoted):
                continue
            above = lines[i - 1].text.rstrip()
            if len(above) > _WRAPPED and above[-1] not in ".?!:;" and len(lines[i].text) < _WRAPPED:
                self.old[i] = True


def _told_old(lines: Sequence[Line]) -> list[bool]:
    """What the marks and the HTML alone say is history."""
    old: list[bool] = []
    quoted_in_frame = False
    for line in lines:
        if line.zone is not Zone.FRAME:
            quoted_in_frame = False
        quoted_in_frame = quoted_in_frame or line.quoted
        answered = line.zone is Zone.FRAME and quoted_in_frame
        old.append(line.quoted or (line.zone in _OLD_ZONES and not answered))
    return old


def _next_quotes(lines: Sequence[Line]) -> list[int]:
    """For each line, where the next quoted one below it is."""
    found = [len(lines)] * len(lines)
    for i in range(len(lines) - 2, -1, -1):
        found[i] = i + 1 if lines[i + 1].quoted else found[i + 1]
    return found
