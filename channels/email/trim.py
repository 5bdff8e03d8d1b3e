"""The new text of a reply: what its sender wrote, without the history and the signature below it.

General rules over lines, each line looked at a fixed number of times, so the time is in proportion to the
text. Where a rule is in doubt the text is kept: an agent can read past a quote, but not what was cut.
"""

import re
from dataclasses import dataclass

REPLY_MARKER = "-- reply above this line --"
"""Our own line above a quoted mail: what stands below it is history in any language."""

_LONG_LINE = 1_000
"""Characters; a longer line is never a reply header."""
_HEADER_LINES = 4
"""Lines that one `On … wrote:` may be wrapped into."""
_SIGNATURE_LINES = 16

_QUOTED = re.compile(r"\s{0,3}>")
_ADDRESS = re.compile(r"[^\s@<>\[\](),;:]@[^\s@<>\[\](),;:]")
_YEAR = re.compile(r"(?<![0-9])(?:19|20)[0-9]{2}(?![0-9])")
_SHORT_DATE = re.compile(r"(?<![0-9])[0-9]{1,2}[./-][0-9]{1,2}[./-][0-9]{2,4}(?![0-9])")
_TIME = re.compile(r"(?<![0-9])[0-9]{1,2}[:.h][0-9]{2}(?![0-9])")
_OPENER = re.compile(
    r"(?:On|At|Am|Den|Op|Le|El|Il|Em|A|På|Dnia|W dniu|Dne|Pe|Tarihinde|La|Ha)\s(?=.{0,40}[0-9])",
    re.IGNORECASE,
)
_VERB = re.compile(
    r"(?<!\w)(?:wrote|writes|schrieb|geschrieben|(?:a )?écrit|escribió|escreveu|(?:ha )?scritto|schreef|skrev"
    r"|kirjoitti|napisał\(?a?\)?|napsal\(?a?\)?|написал\(?а?\)?|пишет|yazdı|a scris|írta|写道"
    r"|のメール|작성)(?!\w)",
    re.IGNORECASE,
)
_ORIGINAL = re.compile(
    r"[\s>]{0,4}-{2,20}\s{0,3}(?:original message|original appointment|reply message|ursprüngliche nachricht"
    r"|originalnachricht|message d['’]origine|message original|mensaje original|mensagem original"
    r"|messaggio originale|oorspronkelijk bericht|ursprungligt meddelande|oprindelig meddelelse"
    r"|исходное сообщение|原始邮件)\s{0,3}-{2,20}\s{0,9}",
    re.IGNORECASE,
)
_FORWARDED = re.compile(
    r"(?:-{2,20}\s{0,3}(?:forwarded message|weitergeleitete nachricht|message transféré|mensaje reenviado"
    r"|mensagem encaminhada|messaggio inoltrato|doorgestuurd bericht|пересылаемое сообщение)(?: by .{0,80})?"
    r"\s{0,3}-{2,20}\s{0,9}"
    r"|(?:begin forwarded message|anfang der weitergeleiteten (?:nachricht|e-mail)"
    r"|début du message (?:transféré|réexpédié)"
    r"|inicio del mensaje reenviado|inizio messaggio inoltrato)\s?:\s{0,9})",
    re.IGNORECASE,
)
_FORWARD_SUBJECT = re.compile(r"\s{0,9}(?:fwd?|wg|tr|rv|enc|i|doorst|vs|пересл)\s?:", re.IGNORECASE)
_FROM_KEYS = frozenset("from|von|de|da|van|från|fra|od|от|lähettäjä|kimden|发件人|差出人".split("|"))  # noqa: SIM905
_KEYS = _FROM_KEYS | frozenset(
    "sent|date|to|cc|bcc|subject|reply-to|importance|gesendet|datum|an|betreff|kopie|envoyé|à|objet|copie"  # noqa: SIM905
    "|enviado|fecha|para|asunto|data|assunto|inviato|oggetto|a|verzonden|aan|onderwerp|skickat|till|ämne|sendt"
    "|til|emne|wysłano|do|temat|отправлено|дата|кому|тема|lähetetty|vastaanottaja|aihe"
    "|发送时间|收件人|主题|日時|宛先|件名".split("|")
)
"""What mail programs call the headers of a mail they quote."""
_RULE = re.compile(r"\s{0,9}[_=*-]{5,200}\s{0,9}")
_MOBILE = re.compile(
    r"\s{0,3}(?:sent from (?:my|mail for|outlook|yahoo)\b|get outlook for\b|von meinem .{1,30} gesendet"
    r"|gesendet von (?:meinem|mail)\b|envoyé (?:de|depuis) mon\b|enviado desde mi\b|enviado do meu\b"
    r"|inviato da(?:l mio)?\b|verzonden vanaf mijn\b|skickat från min\b|sendt fra min\b)[^,;]{0,60}",
    re.IGNORECASE,
)


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
    """Tell the new text from the history. `text` has LF line ends; `subject` tells a forward from a reply."""
    lines = text.split("\n")
    marker = _find_marker(lines)
    above = lines if marker is None else lines[:marker]
    cut = _find_cut(above)
    if cut is not None and _is_forward(above, cut, subject):
        return Trimmed(text.strip("\n"), "", True)
    new, quoted = _divided(above, cut)
    if marker is not None:
        quoted = [*quoted, *lines[marker:]]
    new = _without_signature(new)
    if not any(line.strip() for line in new):
        return Trimmed(text.strip("\n"), "", False)
    return Trimmed(_joined(new), _joined(quoted), False)


def _joined(lines: list[str]) -> str:
    return "\n".join(line.rstrip() for line in lines).strip("\n")


def _find_marker(lines: list[str]) -> int | None:
    return next((i for i, line in enumerate(lines) if line.strip("> \t*").lower() == REPLY_MARKER), None)


def _find_cut(lines: list[str]) -> int | None:
    """The first line of the history, by its header; None where no header is known."""
    keys = [_header_key(line) for line in lines]
    seen: dict[int, int] = {}
    for i, line in enumerate(lines):
        if len(line) > _LONG_LINE or _QUOTED.match(line):
            continue
        if _ORIGINAL.fullmatch(line) or _FORWARDED.fullmatch(line):
            return i
        if keys[i] in _FROM_KEYS and _is_header_block(keys[i : i + 7]):
            return i - 1 if i and _RULE.fullmatch(lines[i - 1]) else i
        if line.rstrip().endswith((":", "：")):
            start = _reply_header_start(lines, i, seen)
            if start is not None:
                return start
    return None


def _header_key(line: str) -> str:
    """The name before a line's colon, if it is that of a header; else nothing."""
    name, colon, _ = line[:40].replace("：", ":").partition(":")
    key = name.strip("> \t\xa0*_").lower() if colon else ""
    return key if key in _KEYS else ""


def _is_header_block(keys: list[str]) -> bool:
    """Three different known keys within seven lines, as Outlook writes them."""
    return len({key for key in keys if key}) >= 3


def _reply_header_start(lines: list[str], end: int, seen: dict[int, int]) -> int | None:
    """Where the reply header begins that ends with line `end`, if it is one."""
    found: int | None = None
    signs = 0
    for start in range(end, max(-1, end - _HEADER_LINES), -1):
        line = lines[start]
        if not line.strip() or len(line) > _LONG_LINE or _QUOTED.match(line):
            break
        if start not in seen:
            seen[start] = _signs(line)
        signs |= seen[start]
        if found is None and signs.bit_count() >= 2:
            found = start
        if found is not None and _OPENER.match(line.strip()):
            return start
    return found


def _signs(line: str) -> int:
    """What of a reply header a line holds, a bit each: a date, an address, a verb such as "wrote"."""
    dated = any(pattern.search(line) for pattern in (_YEAR, _SHORT_DATE, _TIME))
    return dated | bool(_ADDRESS.search(line)) << 1 | bool(_VERB.search(line)) << 2


def _is_forward(lines: list[str], cut: int, subject: str) -> bool:
    if _FORWARDED.fullmatch(lines[cut]):
        return True
    block = _header_key(lines[cut]) or _RULE.fullmatch(lines[cut]) or _ORIGINAL.fullmatch(lines[cut])
    return bool(block) and _FORWARD_SUBJECT.match(subject) is not None


def _divided(lines: list[str], cut: int | None) -> tuple[list[str], list[str]]:
    """(new, quoted). Text between and below quoted blocks is the sender's own, so there nothing is cut."""
    if cut is not None and not _has_quote_marks(lines, cut):
        return _without_quoted_tail(lines[:cut], lines[cut:])
    if cut is None:
        return _without_quoted_tail(lines, [])
    own_below = _own_lines(lines, cut)
    if not own_below:
        return lines[:cut], lines[cut:]
    written_above = any(line.strip() for line in lines[:cut])
    first, last = own_below[0], own_below[-1]
    if not written_above and not any(_QUOTED.match(line) for line in lines[first:last]):
        return lines[first:], lines[:first]
    return lines, []


def _has_quote_marks(lines: list[str], cut: int) -> bool:
    """Whether the history below its header is marked with `>`."""
    following = (line for line in lines[cut + 1 : cut + 1 + _HEADER_LINES * 2] if line.strip())
    return any(_QUOTED.match(line) for line in following)


def _own_lines(lines: list[str], cut: int) -> list[int]:
    """Lines below the first quoted block that are not quoted, blank or a reply header."""
    first_quote = next(i for i in range(cut + 1, len(lines)) if _QUOTED.match(lines[i]))
    signature = next((i for i in range(first_quote, len(lines)) if lines[i].rstrip() == "--"), len(lines))
    own = [i for i in range(first_quote, signature) if lines[i].strip() and not _QUOTED.match(lines[i])]
    return [i for i in own if not _is_wrapped_quote(lines, i)]


def _is_wrapped_quote(lines: list[str], at: int) -> bool:
    """One short line between two quoted ones: the end of a quoted line that a mail program wrapped."""
    before, after = lines[at - 1], lines[at + 1] if at + 1 < len(lines) else ""
    return bool(_QUOTED.match(before) and _QUOTED.match(after)) and len(before) > 60 and len(lines[at]) < 40


def _without_quoted_tail(lines: list[str], quoted: list[str]) -> tuple[list[str], list[str]]:
    """Cut a block of `>` lines at the end, unless own text stands between such blocks (inline reply)."""
    end = len(lines)
    while end and not lines[end - 1].strip():
        end -= 1
    start = end
    while start and (not lines[start - 1].strip() or _QUOTED.match(lines[start - 1])):
        start -= 1
    if start == end or any(_QUOTED.match(line) for line in lines[:start]):
        return lines, quoted
    return lines[:start], [*lines[start:], *quoted]


def _without_signature(lines: list[str]) -> list[str]:
    """Cut below the last `-- ` where little follows, and the line a telephone adds."""
    last = len(lines) - 1
    while last >= 0 and not lines[last].strip():
        last -= 1
    kept = lines[: last + 1]
    for i in range(last, max(-1, last - _SIGNATURE_LINES - 1), -1):
        if kept[i] in ("--", "-- ") and not any(_QUOTED.match(line) for line in kept[i:]):
            kept = kept[:i]
            break
    while kept and not kept[-1].strip():
        kept.pop()
    if kept and _MOBILE.fullmatch(kept[-1]):
        kept.pop()
    return kept
