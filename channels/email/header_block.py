"""What stands above a quoted or forwarded mail: its headers as Outlook copies them, and separators.

The headers are known by their names (`phrases.FIELDS`) and by standing together: no single `From:` is one.
"""

import re
from collections.abc import Sequence

from channels.email.lines import Line, Zone
from channels.email.phrases import FIELDS, FORWARDED, ORIGINAL, Field

WINDOW = 10
"""Lines within which the headers of one block stand."""
_MAX_NAME = 40
_DECORATION = " \t*_>|-–—=~#"
_RULE = re.compile(r"[_=*~–—-]{3,}(?:\s[_=*~–—-]+)*")
_DATED = re.compile(r"\d{1,4}[./: -]\d{1,2}|(?<!\d)(?:19|20)\d\d(?!\d)|\d\s?[年月년월]")
_NAME_FIRST = re.compile(r"[^\s:：][^:：]{0,39}[:：]")
_NAMED = re.compile(r"(?<!\w)([^\W\d_][\w.’' -]{0,30}?)\*?\s?[:：]")


def is_separator(line: Line) -> bool:
    """`-----Original Message-----` in any language."""
    core = _core(line, 4)
    return core in ORIGINAL


def is_forward_mark(line: Line) -> bool:
    """`---------- Forwarded message ---------`, or `Begin forwarded message:`."""
    core = _core(line, 4)
    if (
        core in FORWARDED
        or core.partition(" by ")[0] in FORWARDED
        or core.partition(" from ")[0] in FORWARDED
    ):
        return True
    return line.bare.endswith((":", "：")) and line.bare.rstrip(" :：").lower() in FORWARDED


def is_rule(line: Line) -> bool:
    """A drawn line."""
    return _RULE.fullmatch(line.bare) is not None


def field_of(line: Line) -> Field | None:
    """Which header of a quoted mail a line is, if it is one."""
    if line.quoted or line.zone not in (Zone.OWN, Zone.BLOCK):
        return None
    name, colon, _ = line.bare[:_MAX_NAME].replace("：", ":").partition(":")
    return FIELDS.get(name.strip(_DECORATION).lower()) if colon else None


def is_block(lines: Sequence[Line], fields: Sequence[Field | None], at: int) -> bool:
    """Whether a block of headers begins with this line."""
    first = fields[at]
    if lines[at].zone is Zone.BLOCK:
        return _names_three(lines, at)
    if first is None or first in (Field.CC, Field.OTHER):
        return False
    if first is Field.FROM and _fields_within(lines[at].bare) >= 3:
        return True
    window = fields[at : at + WINDOW]
    found = set(window)
    if Field.FROM not in found:
        return _is_senderless(lines, window, at)
    if first is not Field.FROM and Field.DATE not in found:
        return False
    if len(found - {Field.OTHER, None}) >= 3:
        return True
    if Field.DATE not in found or window.index(Field.DATE) > 3:
        return False
    sender, date = lines[at + window.index(Field.FROM)], lines[at + window.index(Field.DATE)]
    return "@" in sender.bare and _DATED.search(date.bare) is not None


def _is_senderless(lines: Sequence[Line], window: Sequence[Field | None], at: int) -> bool:
    """Whether it is a block without its sender: date, recipient and subject together, each with its like."""
    if not {Field.DATE, Field.TO, Field.SUBJECT} <= set(window[:4]):
        return False
    date, to = lines[at + window.index(Field.DATE)], lines[at + window.index(Field.TO)]
    return _DATED.search(date.bare) is not None and "@" in to.bare


def _names_three(lines: Sequence[Line], at: int) -> bool:
    """Whether lines that are drawn as copied headers have at least three names, in whatever language."""
    drawn = (line for line in lines[at : at + WINDOW] if line.zone is Zone.BLOCK)
    return sum(_NAME_FIRST.match(line.bare) is not None for line in drawn) >= 3


def block_start(lines: Sequence[Line], at: int) -> int:
    """Where what introduces a block begins: a drawn line or a title above it belong to it."""
    above = at - 1
    while above >= 0 and above > at - 4 and lines[above].blank:
        above -= 1
    if above >= 0 and (is_rule(lines[above]) or _title(lines[above]) in ORIGINAL):
        return above
    return at


def _fields_within(bare: str) -> int:
    """How many different headers one line holds: some programs put the whole block on it."""
    found = set()
    for match in _NAMED.finditer(bare):
        words = match[1].strip(_DECORATION).lower().split()
        found |= {FIELDS.get(" ".join(words[-count:])) for count in (1, 2, 3)}
    return len(found - {None})


def _core(line: Line, decoration: int) -> str:
    """What stands between the dashes of a line that has at least so many of them; else nothing."""
    bare = line.text.strip(" \t>*") if line.bare else ""
    core = bare.strip(_DECORATION)
    return core.rstrip(" :：").lower() if core and len(bare) - len(core) >= decoration else ""


def _title(line: Line) -> str:
    return line.bare.strip(_DECORATION).rstrip(" :：").lower()
