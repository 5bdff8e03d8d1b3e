"""Bytes of a mail to clean text: the charset ladder, encoded words (RFC 2047), and what never gets through.

Nothing here raises on any bytes, and everything takes time in proportion to its input.
"""

import codecs
import re
from binascii import Error as Base64Error
from binascii import a2b_base64, a2b_qp
from encodings.aliases import aliases

_NOT_TEXT = {"base64_codec", "bz2_codec", "hex_codec", "quopri_codec", "rot_13", "uu_codec", "zlib_codec"}
_TEXT = {name: codec for name, codec in aliases.items() if codec not in _NOT_TEXT | {"mbcs"}}
_LABELS = {
    **{f"iso_8859_{part}_{order}": f"iso8859_{part}" for part in (6, 8) for order in "ei"},
    **{f"x_cp125{page}": f"cp125{page}" for page in range(9)},
    **dict.fromkeys(("koi8_u", "koi8_ru"), "koi8_u"),
    **dict.fromkeys(("windows_874", "dos_874"), "cp874"),
    **dict.fromkeys(("x_sjis", "windows_31j"), "cp932"),
    **dict.fromkeys(("x_gbk", "gb_2312_80", "csgb2312"), "gbk"),
    **dict.fromkeys(("windows_949", "ks_c_5601_1989", "ksc_5601", "cseuckr"), "cp949"),
    **dict.fromkeys(("cn_big5", "x_x_big5"), "big5"),
    "x_euc_jp": "euc_jp",
    "x_mac_roman": "mac_roman",
    "x_mac_cyrillic": "mac_cyrillic",
    "unicode_1_1_utf_8": "utf_8",
}
"""Labels that Python does not know (WHATWG Encoding Standard, §4.2; RFC 1556 for the order of Hebrew)."""
_KNOWN = {*_TEXT, *_TEXT.values(), *_LABELS.values()}
"""Charset names that are looked up at all: Python remembers every name it was ever asked for."""

_SUPERSETS = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
}
"""What mail labelled so is really written in (WHATWG Encoding Standard, "names and labels")."""

_STATEFUL = ("iso2022", "hz", "utf-7")
"""Charsets whose bytes are all below 0x80, so that looking like ASCII means nothing."""

_UNWANTED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufeff]")
_ENCODED_WORD = re.compile(r"=\?([^?\s]{1,60})\?([bBqQ])\?([^?\s]*+)\?=")


def clean(text: str) -> str:
    """The text with line ends as LF and without control characters, NUL and lone surrogates."""
    return _UNWANTED.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def one_line(text: str) -> str:
    """The text on one line: what a header may hold without becoming two (no header injection)."""
    return " ".join(clean(text).split())


def decode(content: bytes, declared: str | None = None) -> str:
    """Clean text of a body: UTF-8 if it is, else as declared, else windows-1252, which takes anything.

    Labels lie more often than bytes happen to be valid UTF-8, so a label is believed second.
    """
    codec = _codec(declared)
    if content.isascii() and not (codec and codec.startswith(_STATEFUL)):
        return clean(content.decode("ascii"))
    if codec and codec.startswith(("utf-16", "utf-32", *_STATEFUL)):
        order: tuple[str | None, ...] = (codec, "utf-8")
    else:
        order = ("utf-8", codec)
    for candidate in order:
        text = candidate and _strictly(content, candidate)
        if text:
            return clean(text)
    return clean(_leniently(content, codec or "utf-8"))


def decode_words(header: str) -> str:
    """A header's text with its encoded words decoded, on one line.

    Neighbouring words of one charset are joined before decoding: senders cut characters in two.
    """
    out: list[str] = []
    pending = b""
    charset = ""
    end = 0
    for word in _ENCODED_WORD.finditer(header):
        between = header[end : word.start()]
        name = word[1].partition("*")[0].lower()
        if pending and (between.strip() or name != charset):
            out.append(decode(pending, charset))
            pending = b""
        if between.strip() or (end == 0 and between):
            out.append(between)
        pending += _word_bytes(word[2], word[3])
        charset = name
        end = word.end()
    if pending:
        out.append(decode(pending, charset))
    out.append(header[end:])
    return one_line("".join(out))


def decode_base64(content: bytes) -> bytes:
    """The bytes behind base64, as far as it is: foreign characters and a missing end are overlooked."""
    try:
        return a2b_base64(content)
    except Base64Error:
        digits = re.sub(rb"[^A-Za-z0-9+/]", b"", content)
        return a2b_base64(digits[: len(digits) - len(digits) % 4])


def _word_bytes(encoding: str, text: str) -> bytes:
    raw = text.encode("utf-8", "surrogatepass")
    return decode_base64(raw) if encoding in "bB" else a2b_qp(raw, header=True)


def _codec(declared: str | None) -> str | None:
    """Python's name of a declared charset, or None where it is not one of text."""
    name = (declared or "").strip().lower().replace("-", "_").replace(" ", "_")
    name = _LABELS.get(name, name)
    if name not in _KNOWN:
        return None
    codec = codecs.lookup(name).name
    return _SUPERSETS.get(codec, codec)


def _strictly(content: bytes, codec: str) -> str | None:
    try:
        return content.decode(codec)
    except (UnicodeError, ValueError):
        return None


def _leniently(content: bytes, codec: str) -> str:
    """As `codec` where little of it is broken (a character cut in two), else windows-1252."""
    text = content.decode(codec, "replace")
    if text.count("\ufffd") * 50 <= len(text):
        return text
    return content.decode("cp1252", "replace").replace("\ufffd", "")
