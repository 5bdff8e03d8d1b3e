"""Markdown made plain: what a phone shows of a reply that a language model wrote for a screen.

Line by line and in linear time; whatever is not recognised stays as it is. Emphasis goes, links become
`text (url)`, list marks become `-`, a table row becomes `Heading: cell, Heading: cell`.
"""

import re
from collections.abc import Iterator
from html import unescape
from itertools import chain

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_HEADING = re.compile(r" {0,3}#{1,6}[ \t]+(\S.*)")
_BULLET = re.compile(r"([ \t]*)[-*+•‣][ \t]+(?=\S)")
_QUOTE = re.compile(r"(?: {0,3}>)+ ?")
_DEFINITION = re.compile(r" {0,3}\[([^\[\]^][^\[\]]{0,300})\]:[ \t]+<?([^\s<>]+)")
_RULES = (set("-"), set("*"), set("_"), set("="))
# What every text has of which something below would be changed: most replies have none of it.
_MARK = re.compile(r"[`\\\[<>&*_~|#=•‣]|^[^\S\n]*[-+]", re.MULTILINE)

_LABEL = r"\[(?P<label>[^\[\]\n]{0,500})\]"
_TARGET = (
    r"\( ?<?(?P<target>[^\s()<>]*(?:\([^\s()<>]*\)[^\s()<>]*)*)>?(?: {1,3}(?:\"[^\"\n]*\"|'[^'\n]*'))? ?\)"
)
_INLINE = re.compile(
    r"``(?P<code2>(?:[^`\n]|`(?!`)){1,500})``"
    r"|`(?P<code>[^`\n]{1,500})`"
    r"|\\(?P<escaped>[!-/:-@\[-`{-~])"
    rf"|!?{_LABEL}(?:{_TARGET}|\[(?P<ref>[^\[\]\n]{{0,300}})\])"
    r"|<(?P<auto>(?:https?://|mailto:|tel:)[^\s<>]+|[\w.+-]{1,64}@[\w.-]{1,255})>"
    r"|(?P<url>(?:https?://|www\.)[^\s<>`*\]]*[^\s<>`*\]_~.,;:!?'\")])"
    r"|(?P<break><br ?/?>)"
    r"|(?P<tag></?(?:a|b|i|u|s|p|em|strong|del|ins|mark|small|sub|sup|kbd|code|span|div)"
    r"(?: [^<>\n]{0,300})?>)"
    r"|(?P<entity>&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z]{2,31});)"
)
_EMPHASIS = re.compile(r"\*{1,3}|_{1,3}|~~")
# Stands for a part of a line that is already final while emphasis is looked for around it.
_FINAL = "\ufffc"


def plain(markdown: str) -> str:
    """The text without its Markdown; line ends become LF, at most one blank line, none at the ends."""
    text = markdown.replace("\r\n", "\n").replace("\r", "\n").replace(_FINAL, "")
    lines = text.split("\n")
    shown: list[str] = []
    for line in _blocks(lines) if _MARK.search(text) else lines:
        line = line.rstrip()
        if line or (shown and shown[-1]):
            shown.append(line)
    return "\n".join(shown).strip()


def _blocks(lines: list[str]) -> Iterator[str]:
    """The lines with block marks removed; what is inside a code fence stays as it is."""
    targets = {match[1].casefold(): match[2] for match in map(_DEFINITION.match, lines) if match is not None}
    fence = ""
    headings: list[str] | None = None
    for number, line in enumerate(lines):
        opened = _FENCE.match(line)
        if fence:
            if opened and opened[1].startswith(fence) and line.strip() == opened[1]:
                fence = ""
            else:
                yield line
        elif opened:
            fence = opened[1]
        elif headings is None and _is_table_rule(lines[number + 1 : number + 2]) and "|" in line:
            headings = [_inline(cell, targets) for cell in _cells(line)]
        elif headings is not None and "|" in line:
            if not _is_table_rule([line]):
                yield _row(headings, [_inline(cell, targets) for cell in _cells(line)])
        else:
            headings = None
            yield from _text_line(line, targets)


def _text_line(line: str, targets: dict[str, str]) -> Iterator[str]:
    """One line outside code and tables; rules, underlines of headings and link definitions give none."""
    if _DEFINITION.match(line):
        return
    compact = "".join(line.split())
    if len(compact) >= 3 and set(compact) in _RULES:
        yield ""
        return
    quote = _QUOTE.match(line)
    line = line[quote.end() :] if quote else line
    heading = _HEADING.match(line)
    if heading:
        line = re.sub(r"(?<= )#+$", "", heading[1].rstrip())
    bullet = _BULLET.match(line)
    mark = f"{bullet[1]}- " if bullet else ""
    yield mark + _inline(line[bullet.end() :] if bullet else line, targets)


def _is_table_rule(following: list[str]) -> bool:
    """Whether the line (if there is one) is the `|---|:--:|` line under a table's headings."""
    return any("|" in line and "-" in line and set(line) <= set("|-: \t") for line in following)


def _cells(line: str) -> list[str]:
    bare = line.strip().removeprefix("|")
    bare = bare if bare.endswith("\\|") else bare.removesuffix("|")
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", bare)]


def _row(headings: list[str], cells: list[str]) -> str:
    """A table row as a phrase; a cell without heading stands alone, an empty cell is left out."""
    names = chain(headings, [""] * len(cells))
    return ", ".join(
        f"{name}: {cell}" if name else cell for name, cell in zip(names, cells, strict=False) if cell
    )


def _inline(line: str, targets: dict[str, str]) -> str:
    """One line without inline marks."""
    final: list[str] = []

    def keep(match: re.Match[str]) -> str:
        final.append(_final_text(match, targets))
        return _FINAL

    masked = _without_emphasis(_INLINE.sub(keep, line))
    pieces = iter(final)
    return "".join(next(pieces) if char == _FINAL else char for char in masked) if final else masked


def _final_text(match: re.Match[str], targets: dict[str, str]) -> str:
    kind = match.lastgroup
    if match["label"] is not None:
        return _link(match, targets)
    if kind == "break":
        return "\n"
    if kind == "tag":
        return ""
    if kind == "entity":
        return unescape(match[0])
    if kind in ("code", "code2"):
        return match[kind].strip() or match[kind]
    if kind == "auto":
        return _address(match[kind])
    return match[kind] if kind else match[0]


def _link(match: re.Match[str], targets: dict[str, str]) -> str:
    """`text (url)`; only the URL where the text repeats it, only the text where there is nothing to open."""
    label = _without_emphasis(match["label"]).strip()
    if match["target"] is None:
        target = targets.get((match["ref"] or match["label"]).casefold())
        if target is None:
            return match[0]
    else:
        target = match["target"]
    address = _address(target)
    if not address or address.startswith("#"):
        return label
    if not label or _bare(label) == _bare(address):
        return address
    return f"{label} ({address})"


def _address(target: str) -> str:
    return target.removeprefix("mailto:").removeprefix("tel:")


def _bare(address: str) -> str:
    """An address as people write it, to see whether a link's text only repeats its URL."""
    return re.sub(r"^(?:https?://)?(?:www\.)?|/$", "", address.strip().casefold())


def _without_emphasis(line: str) -> str:
    """Remove pairs of emphasis marks; a mark inside a word (`snake_case`, `2*3*4`) is not one."""
    opened: dict[str, int] = {}
    cuts: list[tuple[int, int]] = []
    for match in _EMPHASIS.finditer(line):
        mark, start, end = match[0], match.start(), match.end()
        before, after = line[start - 1 : start] or " ", line[end : end + 1] or " "
        if mark in opened and not before.isspace() and not _is_ascii_word(after):
            begun = opened.pop(mark)
            cuts += [(begun, begun + len(mark)), (start, end)]
        elif not after.isspace() and not _is_ascii_word(before):
            opened[mark] = start
    kept, position = [], 0
    for start, end in sorted(cuts):
        kept.append(line[position:start])
        position = end
    return "".join(kept) + line[position:]


def _is_ascii_word(char: str) -> bool:
    return char.isascii() and char.isalnum()
