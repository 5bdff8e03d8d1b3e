"""What a text costs as an SMS: encoding, units and segments, counted as Twilio counts them.

A unit is a septet in GSM-7 (3GPP TS 23.038: characters of the extension table take two, ESC and a code) and a
16-bit code unit in UCS-2 (astral characters take two, a surrogate pair). Packing is greedy and never divides
an ESC pair, a surrogate pair or a grapheme cluster, so the number of segments is not a division.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import regex

GSM_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM_EXTENSION = "\f^{}\\[~]|€"

# Code points that are a grapheme by themselves whatever stands next to them: Latin, Greek, Cyrillic, general
# punctuation, kana, ideographs and full-width forms. Texts made of these need no grapheme search.
PLAIN_RANGES = (
    " -~", "\u00a1-\u00a8", "\u00aa-\u00ac", "\u00af-\u02ff", "\u0370-\u0482", "\u048a-\u0530",
    "\u2010-\u2027", "\u2030-\u203b", "\u2043-\u2048", "\u20a0-\u20cf",
    "\u3001-\u3029", "\u3041-\u3096", "\u30a1-\u30ff", "\u4e00-\u9fff", "\uff01-\uff9d",
)  # fmt: skip

_OUTSIDE_GSM = re.compile(f"[^{re.escape(GSM_BASIC + GSM_EXTENSION)}]")
_EXTENSION = re.compile(f"[{re.escape(GSM_EXTENSION)}]")
_NOT_PLAIN = re.compile(f"[^\n{''.join(PLAIN_RANGES)}]")
_GRAPHEME = regex.compile(r"\X")


class Encoding(StrEnum):
    """The two encodings a text message may have; the names are those of Twilio's calculator."""

    GSM_7 = "GSM-7"
    UCS_2 = "UCS-2"


_SINGLE = {Encoding.GSM_7: 160, Encoding.UCS_2: 70}
# A concatenated segment loses six octets to its header: (140-6)*8/7 septets, (140-6)/2 code units.
_JOINED = {Encoding.GSM_7: 153, Encoding.UCS_2: 67}


@dataclass(frozen=True, slots=True)
class Segments:
    """The cost of one text: `units` over all (headers not counted), `segment_units` for each segment."""

    encoding: Encoding
    units: int
    segments: int
    segment_units: tuple[int, ...]


def is_gsm7(text: str) -> bool:
    """Whether every character of the text is in the GSM-7 alphabet or its extension table."""
    return _OUTSIDE_GSM.search(text) is None


def utf16_units(text: str) -> int:
    """Length in UTF-16 code units, which is how Twilio counts its limit of 1,600 characters."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def graphemes(text: str) -> Iterator[str]:
    """The text's grapheme clusters (UAX #29), in order."""
    return (match.group() for match in _GRAPHEME.finditer(text))


def measure(text: str) -> Segments:
    """Encoding, units and segments of a text exactly as given; an empty text is one segment of no units.

    A grapheme larger than a whole segment is packed by code points, because a carrier has no other choice.
    """
    if is_gsm7(text):
        extended = len(_EXTENSION.findall(text))
        units = len(text) + extended
        widths = (2 if char in GSM_EXTENSION else 1 for char in text)
        return _pack(Encoding.GSM_7, units, widths, uniform=not extended)
    units = utf16_units(text)
    uniform = units == len(text) and _NOT_PLAIN.search(text) is None
    return _pack(Encoding.UCS_2, units, _ucs2_widths(text), uniform=uniform)


def _pack(encoding: Encoding, units: int, widths: Iterable[int], *, uniform: bool) -> Segments:
    """Fill segments greedily with characters of these widths; `uniform` promises that all are 1."""
    if units <= _SINGLE[encoding]:
        return Segments(encoding, units, 1, (units,))
    room = _JOINED[encoding]
    if uniform:
        full, rest = divmod(units, room)
        filled = [room] * full + ([rest] if rest else [])
    else:
        filled = [0]
        for width in widths:
            if filled[-1] + width > room:
                filled.append(0)
            filled[-1] += width
    return Segments(encoding, units, len(filled), tuple(filled))


def _ucs2_widths(text: str) -> Iterator[int]:
    room = _JOINED[Encoding.UCS_2]
    for grapheme in graphemes(text):
        width = utf16_units(grapheme)
        if grapheme == "\r\n" or width > room:
            # Twilio's calculator counts CR and LF on their own.
            yield from (utf16_units(char) for char in grapheme)
        else:
            yield width
