"""Where a long text may be divided: its pieces, the rank of the boundary after each, and what is never cut.

An atom is a URL, an e-mail address, a phone number, a code or digit run, an amount with its currency. Every
search here is linear in the text: repetitions are possessive, bounded, or over disjoint characters.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum

from channels.sms.segments import graphemes


class Boundary(IntEnum):
    """How good a place to divide is, best last. A line or list item ends like a clause."""

    GRAPHEME = 1
    WORD = 2
    CLAUSE = 3
    SENTENCE = 4
    PARAGRAPH = 5


@dataclass(frozen=True, slots=True)
class Piece:
    """text[start:end], neither beginning nor ending in white space, and the boundary after it."""

    start: int
    end: int
    after: Boundary


Span = tuple[int, int]

LARGEST_GRAPHEME = 30
"""Code points of the largest grapheme that is never divided; families and flags of emoji have up to 10."""

_NO_BREAK = "\u00a0\u2007\u202f"
_CURRENCY = r"(?:[$£¥€¤₠-⃏]|(?<![A-Za-z])[A-Z]{3}(?![A-Za-z])|(?<!\w)(?:kr|zł|Kč|Ft|руб|лв)\b|[元円원]|%)"
_GAP = f"[ {_NO_BREAK}\u2009]"
_ATOM = re.compile(
    # ASCII and the alphabets written with spaces; an ideograph or a Thai letter ends a URL
    r"(?:https?://|www\.)[!#-;=?-\[\]-_a-~\u00a1-\u0dff\u1e00-\u1fff]++"
    r"|(?<![\w.+-])[\w.+-]++@[\w-]++(?:\.[\w-]++)*+"
    # a number of at most 13 groups with, before or after it, its currency; `+` and `(` begin phone numbers
    rf"|(?:{_CURRENCY}{_GAP}?)?[+(]{{0,2}}\d++(?:(?:[-.,'’/]|{_GAP}|\){_GAP}?|{_GAP}\()\d++){{0,12}}(?:{_GAP}?{_CURRENCY})?"
)
# White space, and the marks after which Chinese and Japanese may be divided without any.
_BREAK = re.compile(r"\s++|[。！？｡]++[」』”’）】》]*+|[，、；：]")
_SENTENCE_END = re.compile(r"[.!?…。！？][\"'”’»)\]」』）】》]{0,4}$")
_LIST_MARK = re.compile(r"[-*•‣▪–—]|\(?(?:\d{1,3}|[A-Za-z])[.)]")
_CLAUSE_END = (",", ";", ":", "–", "—", " -", "，", "、", "；", "：")
_LINE_ENDS = ("\n", "\r", "\u2028", "\u2029")


def atoms(text: str) -> Iterator[Span]:
    """The spans of the text that must stay whole, in order, not overlapping."""
    return (match.span() for match in _ATOM.finditer(text))


def pieces(text: str, whole: list[Span]) -> Iterator[Piece]:
    """The text divided at every boundary of rank WORD or better that is not inside one of the spans `whole`.

    Only white space lies between pieces. The text must not begin or end with white space.
    """
    start = index = 0
    piece: Piece | None = None
    for match in _BREAK.finditer(text):
        while index < len(whole) and whole[index][1] <= match.end():
            index += 1
        if index < len(whole) and whole[index][0] < match.end():
            continue
        rank = _rank(text, match)
        if rank is None or match.end() == len(text):
            continue
        stop = match.start() if match[0].isspace() else match.end()
        if piece and stop == start:  # white space after a mark that divides by itself
            piece = replace(piece, after=max(piece.after, rank))
        else:
            if piece:
                yield piece
            piece = Piece(start, stop, rank)
        start = match.end()
    if piece:
        yield piece
    yield Piece(start, len(text), Boundary.PARAGRAPH)


def fragments(text: str, piece: Piece, whole: list[Span]) -> Iterator[Piece]:
    """A piece too large for a part, divided between graphemes; the spans `whole` in it remain undivided."""
    start = position = piece.start
    index = bisect_left(whole, (start, start))
    for cluster in _clusters(text[piece.start : piece.end]):
        position += len(cluster)
        while index < len(whole) and whole[index][1] <= position:
            index += 1
        if index < len(whole) and whole[index][0] < position:
            continue
        after = piece.after if position == piece.end else Boundary.GRAPHEME
        if not text[start:position].isspace():
            yield Piece(start, position, after)
            start = position


def _clusters(text: str) -> Iterator[str]:
    """Graphemes; one so large that it might not fit into a segment is divided into its code points."""
    for grapheme in graphemes(text):
        if len(grapheme) > LARGEST_GRAPHEME:
            yield from grapheme
        else:
            yield grapheme


def _rank(text: str, match: re.Match[str]) -> Boundary | None:
    """The boundary this break makes, or None where there must be none."""
    start, end = match.span()
    following = text[end : end + 1]
    if following >= "\u0300" and len(next(graphemes(text[end - 1 : end + 1]))) > 1:
        return None  # the next character combines with this one
    gap = match[0]
    if not gap.isspace():
        return Boundary.CLAUSE if gap in _CLAUSE_END else Boundary.SENTENCE
    if not gap.strip(_NO_BREAK) or _is_list_mark(text, start):
        return None
    lines = gap.count("\n") or sum(gap.count(mark) for mark in _LINE_ENDS)
    if lines >= 2:
        return Boundary.PARAGRAPH
    before = text[max(0, start - 6) : start]
    if _SENTENCE_END.search(before) and (lines or not following.islower()):
        return Boundary.SENTENCE
    return Boundary.CLAUSE if lines or before.endswith(_CLAUSE_END) else Boundary.WORD


def _is_list_mark(text: str, end: int) -> bool:
    """Whether what precedes `end` on its line is only `-`, `1.`, `a)` or the like."""
    earliest = max(0, end - 10)
    line = text.rfind("\n", earliest, end) + 1
    at_line_start = line > 0 or earliest == 0
    return at_line_start and _LIST_MARK.fullmatch(text[line:end].strip()) is not None
