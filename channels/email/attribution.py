"""The line above a quotation that says who wrote it and when, in any language and wrapped over some lines.

Such a line is known by its signs, not by its wording: a date, an address, a verb such as "wrote", and a colon
at its end. Two of the first three are needed, and where they could as well be a sentence of the sender's, a
quotation must follow.
"""

import re
from collections.abc import Sequence

from channels.email.lines import Line, Zone
from channels.email.phrases import OPENER, SPEAKS, WROTE

MAX_LINES = 5
"""Lines that one attribution may be wrapped into."""
_MAX_LENGTH = 600
_MAX_DATE_LINE = 100
_MAX_UNSURE = 200
"""Characters of a line that counts only because a quotation follows."""

_DATE = re.compile(
    r"(?<!\d)(?:19|20)\d\d(?!\d)"
    r"|(?<!\d)\d{1,4}[./-]\s?\d{1,2}[./-]\s?\d{2,4}(?!\d)"
    r"|(?<!\d)\d{1,2}[:.h]\d\d(?!\d)"
    r"|\d\s?[年년]|\d\s?[月월]\s?\d{1,2}\s?[日일]"
)
_ADDRESS = re.compile(r"[^\s@<>\[\](),;:]@(?:[^\s@<>\[\](),;:]|$)|mailto:")
_ENDS_IN_ADDRESS = re.compile(
    r"(?:^|[<(\[])\s?[^<>()\[\]\s]{1,300}(?:<mailto:[^<>]{1,200}>)?[>)\]]{1,2}\s?[:：]$"
)
_ADDRESS_LAST = re.compile(r"<[^\s<>@]{1,100}@[^\s<>@]{1,200}>$")
_BEGINS_WITH_DATE = re.compile(r"[\[(\"'-]?\s?(?:\w{1,20}[.,]{0,2}\s)?\d")
_DIGIT = re.compile(r"\d")
_TRAILING = " \t-–—_*=~"
_BREAK = re.compile(r"[!?]\s")


# What a line holds of an attribution, a bit each; numbered: it begins like one and has a number.
_DATED, _ADDRESSED, _WRITTEN, _OPENED, _NUMBERED = 1, 2, 4, 8, 16


class Attributions:
    """Finds attributions among lines; what each line holds is looked up once."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self._lines = lines
        self._signs: list[int | None] = [None] * len(lines)

    def start(self, end: int, *, quote_follows: bool) -> int | None:
        """Where the attribution begins whose last line is `end`; None where that line ends none."""
        last = self._lines[end].bare.rstrip(_TRAILING)
        if not last:
            return None
        colon = last.endswith((":", "：")) or _is_framed(self._lines[end].bare)
        if not colon and not self._sign(end) & _WRITTEN:
            return end if quote_follows and _is_date_and_address(last) else None
        named = _ENDS_IN_ADDRESS.search(last) is not None
        found: int | None = None
        signs = 0
        for start in range(end, max(-1, end - MAX_LINES), -1):
            line = self._lines[start]
            if line.quoted or line.zone is not Zone.OWN or not line.bare:
                break
            here = self._sign(start)
            possible = named or quote_follows or (signs | here) & _WRITTEN
            if (
                possible
                and (found is None or _belongs(line.bare, here, signs))
                and self._holds(start, end, signs | here, colon=colon, quote_follows=quote_follows)
            ):
                found = start
            signs |= here & ~(_OPENED | _NUMBERED)
        return found

    def _sign(self, at: int) -> int:
        known = self._signs[at]
        if known is None:
            known = self._signs[at] = _signs_of(self._lines[at].bare)
        return known

    def _holds(self, start: int, end: int, signs: int, *, colon: bool, quote_follows: bool) -> bool:
        """Whether the lines from start to end are an attribution."""
        wrote, dated = bool(signs & _WRITTEN), bool(signs & _DATED)
        if not (wrote or dated) or not (
            quote_follows or (signs & (_DATED | _ADDRESSED | _WRITTEN)).bit_count() >= 2
        ):
            return False
        text = " ".join(line.bare for line in self._lines[start : end + 1]).strip(_TRAILING)
        if len(text) > _MAX_LENGTH:
            return False
        if quote_follows and len(text) <= _MAX_UNSURE and (colon or (wrote and not _is_sentence(text))):
            return True
        return _is_sure(text, signs, colon=colon) and (quote_follows or not _is_sentence(text))


def _is_framed(bare: str) -> bool:
    """Whether a line stands between dashes, as Zoho writes its attributions."""
    return bare.startswith("--") and bare.endswith("--")


def _is_date_and_address(last: str) -> bool:
    """`2026/11/23 Ana <ana@example.com>`, which is one where a quotation follows."""
    return _ADDRESS_LAST.search(last) is not None and re.match(_DATE, last) is not None


def _signs_of(bare: str) -> int:
    signs = 0
    if _DATE.search(bare):
        signs |= _DATED
    if _ADDRESS.search(bare):
        signs |= _ADDRESSED
    if WROTE.search(bare):
        signs |= _WRITTEN
    if OPENER.match(bare.lstrip(_TRAILING)):
        signs |= _OPENED | (_NUMBERED if _DIGIT.search(bare) else 0)
    return signs


def _belongs(above: str, here: int, joined: int) -> bool:
    """Whether a line above an attribution is its beginning: it has what is missing, and is no sentence."""
    if here & _ADDRESSED and not joined & _ADDRESSED:
        return "<" in above or "(" in above or above.endswith(",")
    if here & _NUMBERED and not joined & _DATED and len(above) <= _MAX_DATE_LINE:
        return True
    if not here & _DATED or len(above) > _MAX_DATE_LINE:
        return False
    if joined & _DATED:
        return bool(here & _OPENED) and above.endswith(",")
    return bool(here & _OPENED) or above.endswith((",", "-")) or _BEGINS_WITH_DATE.match(above) is not None


def _is_sure(text: str, signs: int, *, colon: bool) -> bool:
    """Whether these signs together are an attribution, whatever follows."""
    wrote, dated, address = (bool(signs & sign) for sign in (_WRITTEN, _DATED, _ADDRESSED))
    if wrote and dated and address:
        return True
    if not colon:
        return False
    if wrote:
        return dated or address
    begins = bool(signs & _OPENED) or _BEGINS_WITH_DATE.match(text) is not None or text[:1] in "\"'<"
    return begins and _ENDS_IN_ADDRESS.search(text) is not None


def _is_sentence(text: str) -> bool:
    return SPEAKS.search(text) is not None or _BREAK.search(text) is not None
