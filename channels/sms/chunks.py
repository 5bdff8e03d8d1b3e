"""A long reply as parts: each one text message of a few segments, cut where a reader would pause.

The rule for each cut, given that the rest must still fit into the parts that are left: the highest boundary
wins (paragraph, sentence, clause or line, word; a grapheme only inside a word too large for a part), and of
several the last. A cut that leaves more than half of the part unused is taken only if it costs no additional
part, so that a one-line greeting does not travel alone.

The encoding is each part's own. From three parts on they are numbered, `(1/3) `, and every part reserves room
for the widest number. Text beyond `max_parts` is dropped, the last part then ends in an ellipsis (three dots
where it is otherwise GSM-7) and the result says so.

An atom too large for a part, counted with its number, goes alone up to `max_units`, however many segments
that takes; a larger one is cut between graphemes, because no message could carry it and a reply that fails as
a whole helps nobody.
"""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from channels.sms.boundaries import Piece, Span, atoms, fragments, pieces
from channels.sms.segments import Encoding, Segments, is_gsm7, measure, utf16_units

NUMBERED_FROM = 3
"""The least number of parts that are numbered."""

MESSAGE_UNITS = 1600
"""Twilio's limit of a message body, in UTF-16 code units (error 21617)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps of one reply: segments and UTF-16 units of a part, number of parts. ValueError outside the ranges.

    More than 10 segments may be refused by carriers (Twilio error 30019).
    """

    max_segments: int = 4
    max_parts: int = 5
    max_units: int = MESSAGE_UNITS

    def __post_init__(self) -> None:
        for name, least, most in (("segments", 1, 10), ("parts", 1, 999), ("units", 70, MESSAGE_UNITS)):
            value = getattr(self, f"max_{name}")
            if not least <= value <= most:
                raise ValueError(f"max_{name} must be between {least} and {most}, not {value}")


@dataclass(frozen=True, slots=True)
class Part:
    """One text message of a reply; `index` counts from 1."""

    index: int
    text: str
    encoding: Encoding
    segments: int


@dataclass(frozen=True, slots=True)
class Chunked:
    """The parts of a reply in sending order; `truncated` if text was dropped to keep to `max_parts`."""

    parts: tuple[Part, ...]
    truncated: bool


def split(text: str, *, limits: Limits | None = None, number_parts: bool = True) -> Chunked:
    """The parts of a text that is already plain and transliterated; none for one without visible characters.

    Deterministic. Nothing but white space at the cuts is lost unless the result is truncated.
    """
    text = text.strip()
    if not text:
        return Chunked((), truncated=False)
    limits = limits or Limits()
    whole = _cost(text, limits)
    if whole is not None:
        return Chunked((_part(1, text, whole),), truncated=False)
    plan = _Plan(text, limits, number_width=0)
    cuts = plan.cuts()
    if number_parts and len(cuts) >= NUMBERED_FROM:
        width = 0
        while len(str(len(cuts))) > width:
            width += 1
            plan = _Plan(text, limits, number_width=width)
            cuts = plan.cuts()
    numbered = number_parts and len(cuts) >= NUMBERED_FROM
    bodies = [plan.body(first, last) for first, last in cuts]
    texts = (
        f"({number}/{len(bodies)}) {body}" if numbered else body for number, body in enumerate(bodies, 1)
    )
    return Chunked(
        tuple(_part(index, text, measure(text)) for index, text in enumerate(texts, 1)),
        truncated=plan.truncated,
    )


def _capacity(limits: Limits) -> int:
    """Characters of a part, at the very most."""
    return max(160, 153 * limits.max_segments)


def _cost(message: str, limits: Limits) -> Segments | None:
    """What this costs as one message; None where it may not be one."""
    if len(message) > _capacity(limits) or utf16_units(message) > limits.max_units:
        return None
    cost = measure(message)
    return cost if cost.segments <= limits.max_segments else None


def _part(index: int, text: str, cost: Segments) -> Part:
    return Part(index, text, cost.encoding, cost.segments)


def _ellipsis(text: str) -> str:
    return "..." if is_gsm7(text) else "…"


class _Plan:
    """One attempt at dividing a text, with room in each part for a number of so many digits (0: none)."""

    def __init__(self, text: str, limits: Limits, number_width: int) -> None:
        self.truncated = False
        self._text = text
        self._limits = limits
        digits = "9" * number_width
        self._number = f"({digits}/{digits}) " if digits else ""
        self._capacity = _capacity(limits)
        whole = [span for span in atoms(text) if self._sendable(span)]
        self._atom_ends = {end for _, end in whole}
        self._pieces = self._divided(pieces(text, whole), whole)
        self._ends = [piece.end for piece in self._pieces]

    def body(self, first: int, last: int) -> str:
        """The text of the pieces from `first` to `last`, with the mark of the cut if it comes after them."""
        end = self._ends[last]
        text = self._text[self._pieces[first].start : end].strip()
        if not self.truncated or last < len(self._pieces) - 1:
            return text
        # The dots would become part of a link.
        return f"{text} {_ellipsis(text)}" if end in self._atom_ends else text + _ellipsis(text)

    def cuts(self) -> list[Span]:
        """First and last piece of every part."""
        self._drop_overflow()
        latest = self._latest_starts()
        cuts: list[Span] = []
        first = 0
        while first < len(self._pieces):
            last = self._furthest(first)
            if last < len(self._pieces) - 1:
                left = self._limits.max_parts - len(cuts) - 1
                last = self._best(first, last, latest, left)
            cuts.append((first, last))
            first = last + 1
        return cuts

    def _best(self, first: int, furthest: int, latest: list[int], parts_left: int) -> int:
        """Where the part that begins with `first` ends: see the rule of this module.

        `latest[n]` is the first piece from which on the rest fits into n parts.
        """
        needed = next(n for n, start in enumerate(latest) if start <= first)
        half = (self._pieces[first].start + self._ends[furthest]) // 2
        wanted = min(latest[needed - 1] - 1, bisect_right(self._ends, half))
        required = latest[min(parts_left, len(latest) - 1)] - 1
        earliest = min(furthest, max(first, wanted, required))
        return max(range(earliest, furthest + 1), key=lambda last: (self._pieces[last].after, last))

    def _latest_starts(self) -> list[int]:
        """For 0, 1, 2… parts, the first piece from which on the rest fits into so many (0: past the end)."""
        starts = [len(self._pieces)]
        while starts[-1] > 0:
            last = starts[-1] - 1
            starts.append(self._earliest(last))
        return starts

    def _drop_overflow(self) -> None:
        """Forget the pieces that do not fit into `max_parts` even if every part is filled."""
        first = 0
        for _ in range(self._limits.max_parts - 1):
            first = self._furthest(first) + 1
            if first >= len(self._pieces):
                return
        if self._furthest(first) == len(self._pieces) - 1:
            return
        self.truncated = True
        kept, last = self._pieces, self._furthest(first)
        while last >= first:
            self._pieces = kept[: last + 1]
            if last == first or self._fits(first, last):
                break
            last -= 1
        self._ends = self._ends[: len(self._pieces)]

    def _furthest(self, first: int) -> int:
        """The last piece of the fullest part that begins with `first`; `first` if not even that one fits."""
        low = first
        high = bisect_right(self._ends, self._pieces[first].start + self._capacity)
        while low + 1 < high:
            middle = (low + high) // 2
            if self._fits(first, middle):
                low = middle
            else:
                high = middle
        return low

    def _earliest(self, last: int) -> int:
        """The first piece of the fullest part that ends with `last`, or `last` if not even that one fits."""
        low = bisect_right(self._ends, self._ends[last] - self._capacity) - 1
        high = last
        while low + 1 < high:
            middle = (low + high) // 2
            if self._fits(middle, last):
                high = middle
            else:
                low = middle
        return high

    def _fits(self, first: int, last: int) -> bool:
        return self._fits_text(self.body(first, last))

    def _fits_text(self, body: str) -> bool:
        return _cost(self._number + body, self._limits) is not None

    def _sendable(self, atom: Span) -> bool:
        """Whether an atom can be sent in one message, with a number and the mark of a cut."""
        return utf16_units(self._text[slice(*atom)]) + len(self._number) + 4 <= self._limits.max_units

    def _divided(self, found: Iterable[Piece], whole: list[Span]) -> list[Piece]:
        """The pieces, those too large for a part divided further; none beyond what any parts could hold."""
        divided: list[Piece] = []
        room = self._limits.max_parts * self._limits.max_units
        for piece in found:
            text = self._text[piece.start : piece.end]
            if self._fits_text(text + _ellipsis(text)):
                divided.append(piece)
            else:
                divided += islice(fragments(self._text, piece, whole), room + 1)
            room -= len(text)
            if room < 0:
                break
        return divided
