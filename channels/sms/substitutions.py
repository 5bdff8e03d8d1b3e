"""The characters that stand in for others so that a text fits GSM-7, as data.

`SMART_ENCODING` holds the substitutions of Twilio's Smart Encoding (271 code points, as its calculator 1.3.0
makes them), `OURS` what we do before a text is sent: the same with a few differences and additions.
"""

from collections.abc import Iterable

# replacement, the code points it replaces
_SMART_ROWS = (
    ('"', "00AB 00BB 02BA 02EE 201C 201D 201E 201F 275D 275E 301D 301E"),
    ("'", "0060 00B4 02B9 02BB 02BC 02BD 02C8 02CA 02CB 0313 0314 2017 2018 2019 201B 275B 275C FE10 FE11"),
    (",", "0326 201A 3001 FE50 FE51 FF64"),
    (".", "3002 FE52 FF61"),
    ("...", "2026"),
    (":", "02D0 02F8 2982 A789 FE13"),
    (";", "204F FE14 FE54"),
    ("!", "01C3 FE15 FE57"),
    ("!!", "203C"),
    ("?", "FE16 FE56"),
    ("-", "2010 2013 2014 2015 2022 2043 23BC 23BD FE63"),
    ("_", "0332"),
    ("~", "02DC 02F7 0303 0330 0334 223C"),
    ("^", "02C6 0302 1DCD"),
    (
        "*",
        "204E 2217 229B 2722 2723 2724 2725 2731 2732 2733 273A 273B 273C 273D 2743 2749 274A 274B 29C6 FE61",
    ),
    ("+", "02D6 FE62"),
    ("=", "0347 A78A FE66"),
    ("<", "2039 FE64"),
    (">", "203A FE65"),
    ("/", "00F7 0337 0338 2044 2215 29F8"),
    ("\\", "20E5 29F5 29F9 FE68"),
    ("|", "20D2 20D3 2223 239C 239F 23B8 23B9 23D0"),
    ("(", "2768 276A 27EE 2985 FE59"),
    (")", "2769 276B 27EF 2986 FE5A"),
    ("{", "2774 FE5B"),
    ("}", "2775 FE5C"),
    ("@", "FE6B"),
    ("#", "FE5F"),
    ("$", "FE69"),
    ("%", "FE6A"),
    ("&", "FE60"),
    ("1/4", "00BC"),
    ("1/2", "00BD"),
    ("3/4", "00BE"),
    (" ", "2001 2028 2029"),
    ("  ", "0080 008D 0090 009B 009F 00A0 2000 2002 2003 2004 2005 2006 2007 2008 2009 200A 202F 205F 3000"),
    ("       ", "0009"),
    ("", "0000 0003 0004 0010 0011 0012 0013 0014 0017 0019 200B 200C 2060 FEFF"),
)

_SMALL_CAPITALS = {
    "A": 0x1D00, "B": 0x0299, "C": 0x1D04, "D": 0x1D05, "E": 0x1D07, "F": 0xA730, "G": 0x0262, "H": 0x029C,
    "I": 0x026A, "J": 0x1D0A, "K": 0x1D0B, "L": 0x029F, "M": 0x1D0D, "N": 0x0274, "O": 0x1D0F, "P": 0x1D18,
    "R": 0x0280, "S": 0xA731, "T": 0x1D1B, "U": 0x1D1C, "V": 0x1D20, "W": 0x1D21, "Y": 0x028F, "Z": 0x1D22,
}  # fmt: skip

# Full-width forms stand 0xFEE0 above ASCII. Smart Encoding leaves the grave accent and small letters alone.
_FULLWIDTH = {chr(code): code + 0xFEE0 for code in range(0x21, 0x7F) if not 0x60 <= code <= 0x7A}

# One space for a no-break space (Twilio makes two), and what language models write but Smart Encoding forgot:
# no-break hyphen, figure dash, minus, bullets and middle dot, primes, multiplication sign, invisible marks.
_OUR_ROWS = (
    (" ", "0009 00A0 2000 2002 2003 2004 2005 2006 2007 2008 2009 200A 202F 205F"),
    ("-", "2011 2012 2212 2023 25AA 25CF 25E6 00B7"),
    ("'", "2032"),
    ('"', "2033"),
    ("x", "00D7"),
    ("", "00AD 200E FE0F"),
)


def _by_code_point(rows: Iterable[tuple[str, str]]) -> dict[int, str]:
    return {int(code, 16): replacement for replacement, codes in rows for code in codes.split()}


SMART_ENCODING: dict[int, str] = (
    _by_code_point(_SMART_ROWS)
    | {code: letter for letter, code in _SMALL_CAPITALS.items()}
    | {code: char for char, code in _FULLWIDTH.items()}
)

OURS: dict[int, str] = SMART_ENCODING | _by_code_point(_OUR_ROWS)
