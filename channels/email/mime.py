"""The structure of a mail: headers and parts as offsets into the raw bytes, under fixed caps.

The standard library's parser builds an object per part and recurses; a mail of ten million empty parts stops
it. This one looks at boundaries only, copies nothing until a part's content is asked for, and takes time in
proportion to the mail. RFC 5322 (headers), RFC 2045 and 2046 (parts), RFC 2231 (parameters).
"""

import re
from binascii import a2b_qp
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from channels.email.charset import decode, decode_base64, decode_words, one_line

MAX_HEADERS = 262_144
"""Bytes of a header block; what is beyond is not read."""
MAX_PART_HEADERS = 32_768
"""The same for a part within a mail."""
MAX_FIELDS = 1_000
"""Headers in one block."""
MAX_HEADER = 16_384
"""Bytes of one header; the rest of it is not read."""
MAX_PARTS = 200
MAX_DEPTH = 20
_MAX_BOUNDARIES = 100_000
"""Lines that begin like a boundary, looked at in one mail."""

_BLANK = re.compile(rb"\r\n\r\n|\n\n|\n\r\n|\r\r")
_FIELD = re.compile(rb"([!-9;-~]++)[ \t]*+:")
_MBOX = re.compile(rb">?From ")
_PARAMETER = re.compile(r""";\s*+([^\s=;"]++)\s*+=\s*+(?:"((?:[^"\\]|\\.)*+)"|([^;]*+))""", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_MEDIA_TYPE = re.compile(r"\s*+([\w!#$&^.+-]{1,80})/([\w!#$&^.+-]{1,80})", re.ASCII)
_CONTINUED = re.compile(r"(.+?)\*(\d{1,3})?(\*)?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Headers:
    """A header block: unfolded values by lower-case name, in their order."""

    fields: tuple[tuple[str, str], ...]
    complete: bool
    """False when it was longer than the cap allows: more headers may follow."""

    def all(self, name: str) -> list[str]:
        """Every value of a header, undecoded."""
        return [value for key, value in self.fields if key == name]

    def get(self, name: str) -> str:
        """The first value of a header, undecoded; empty where there is none."""
        return next((value for key, value in self.fields if key == name), "")

    def text(self, name: str) -> str:
        """The first value of a header as clean text on one line."""
        return decode_words(self.get(name))


@dataclass(frozen=True, slots=True)
class Value:
    """A structured header such as Content-Type: its main value and its parameters."""

    main: str
    parameters: dict[str, str]


@dataclass(slots=True)
class Entity:
    """A mail or a part of one."""

    raw: bytes = field(repr=False)
    headers: Headers
    start: int
    end: int
    media_type: str
    parameters: dict[str, str]
    disposition: Value
    children: list["Entity"] = field(default_factory=list)

    def content(self, most: int | None = None) -> bytes:
        """The body with its transfer encoding undone; made of its first `most` bytes only where given."""
        end = self.end if most is None else min(self.end, self.start + most)
        body = self.raw[self.start : end]
        encoding = self.headers.get("content-transfer-encoding").strip().lower()
        if encoding == "base64":
            return decode_base64(body)
        if encoding == "quoted-printable":
            return a2b_qp(body)
        return body

    def text(self, most: int) -> str:
        """The beginning of the body as clean text, at most `most` characters."""
        return decode(self.content(most * 4), self.parameters.get("charset"))[:most]

    @property
    def name(self) -> str | None:
        """The file name as the sender gives it, on one line; not yet safe."""
        given = self.disposition.parameters.get("filename") or self.parameters.get("name")
        return one_line(given) or None if given else None

    @property
    def is_file(self) -> bool:
        """Whether it is a file rather than something to read in place."""
        return self.disposition.main == "attachment" or self.name is not None


@dataclass(slots=True)
class _Budget:
    parts: int = MAX_PARTS
    boundaries: int = _MAX_BOUNDARIES


def read_mail(raw: bytes) -> Entity:
    """The structure of a mail. Parts beyond the caps stay inside the part they are in."""
    return _entity(raw, 0, len(raw), "text/plain", _Budget(), 0)


def read_header_blocks(content: bytes, most: int) -> list[Headers]:
    """At most `most` blocks of headers that blank lines divide, as the parts of reports hold them."""
    blocks: list[Headers] = []
    at = 0
    while at < len(content) and len(blocks) < most:
        if content[at] in b"\r\n":
            at += 1
            continue
        headers, after = _read_headers(content, at, len(content), MAX_PART_HEADERS)
        if headers.fields:
            blocks.append(headers)
        at = after if after > at else _line_end(content, at, len(content))
    return blocks


def structured(value: str) -> Value:
    """A header's main value in lower case, and its parameters decoded (RFC 2231, RFC 2047)."""
    main = value.partition(";")[0].strip().lower()
    pieces: dict[str, list[tuple[int, bool, str]]] = {}
    for match in _PARAMETER.finditer(value):
        text = _ESCAPED.sub(r"\1", match[2]) if match[2] is not None else match[3].strip()
        name = match[1].lower()
        split = _CONTINUED.fullmatch(name)
        if split:
            pieces.setdefault(split[1], []).append((int(split[2] or 0), bool(split[3] or not split[2]), text))
        else:
            pieces.setdefault(name, [(0, False, text)])
    return Value(main, {name: _joined(parts) for name, parts in pieces.items()})


def _entity(raw: bytes, start: int, end: int, default: str, budget: _Budget, depth: int) -> Entity:
    headers, body = _read_headers(raw, start, end, MAX_PART_HEADERS if depth else MAX_HEADERS)
    value = structured(headers.get("content-type"))
    match = _MEDIA_TYPE.match(value.main)
    media_type = f"{match[1]}/{match[2]}" if match else default
    disposition = structured(headers.get("content-disposition"))
    entity = Entity(raw, headers, body, end, media_type, value.parameters, disposition)
    boundary = value.parameters.get("boundary", "").rstrip()
    if media_type.startswith("multipart/") and boundary and depth < MAX_DEPTH:
        inner = "message/rfc822" if media_type == "multipart/digest" else "text/plain"
        for part_start, part_end in _parts(raw, body, end, boundary, budget):
            entity.children.append(_entity(raw, part_start, part_end, inner, budget, depth + 1))
    return entity


def _parts(raw: bytes, start: int, end: int, boundary: str, budget: _Budget) -> list[tuple[int, int]]:
    """Where the parts between delimiter lines begin and end; the last may lack its delimiter."""
    parts: list[tuple[int, int]] = []
    opened: int | None = None
    for line_start, line_end, last in _delimiters(raw, start, end, boundary, budget):
        if opened is not None:
            parts.append((opened, max(opened, _before_line_end(raw, line_start))))
            budget.parts -= 1
        opened = None if last else line_end
        if last or budget.parts <= 0:
            break
    if opened is not None and budget.parts > 0:
        parts.append((opened, end))
        budget.parts -= 1
    return parts


def _delimiters(
    raw: bytes, start: int, end: int, boundary: str, budget: _Budget
) -> Iterator[tuple[int, int, bool]]:
    """(start, end, closing) of each line that is a delimiter of this boundary."""
    mark = b"--" + boundary.encode("utf-8", "surrogateescape")
    at = raw.find(mark, start, end)
    while at != -1 and budget.boundaries > 0:
        budget.boundaries -= 1
        after = at + len(mark)
        if at == start or raw[at - 1] in b"\r\n":
            line_end = _line_end(raw, after, min(end, after + 200))
            rest = raw[after:line_end].strip()
            if rest in (b"", b"--"):
                yield at, line_end, rest == b"--"
        at = raw.find(mark, after, end)


def _line_end(raw: bytes, start: int, end: int) -> int:
    newline = raw.find(b"\n", start, end)
    return end if newline == -1 else newline + 1


def _before_line_end(raw: bytes, at: int) -> int:
    """The offset before the line end that stands before `at`: it belongs to the delimiter."""
    if raw[at - 2 : at] == b"\r\n":
        return at - 2
    return at - 1


def _read_headers(raw: bytes, start: int, end: int, most: int) -> tuple[Headers, int]:
    """The header block at `start` and where its body begins. A line that is no header begins the body."""
    limit = min(end, start + most)
    blank = _BLANK.search(raw, start, limit)
    block_end = blank.end() if blank else limit
    fields: list[tuple[str, list[bytes]]] = []
    at = start
    for line in raw[start:block_end].splitlines(keepends=True):
        if not line.strip(b"\r\n"):
            return Headers(_unfolded(fields), True), at + len(line)
        match = _FIELD.match(line)
        if match and len(fields) == MAX_FIELDS:
            return Headers(_unfolded(fields), False), block_end
        if match:
            fields.append((match[1].decode("ascii").lower(), [line[match.end() :]]))
        elif line[:1] in b" \t" and fields:
            fields[-1][1].append(line)
        elif at != start or not _MBOX.match(line):
            return Headers(_unfolded(fields), True), at
        at += len(line)
    return Headers(_unfolded(fields), limit == end), block_end


def _unfolded(fields: list[tuple[str, list[bytes]]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, _raw_text(b"".join(lines)[:MAX_HEADER])) for name, lines in fields)


def _raw_text(value: bytes) -> str:
    """A header's raw value: UTF-8 where it is (RFC 6532), else windows-1252; line ends become blanks."""
    return decode(value).replace("\n", " ").strip()


def _joined(parts: list[tuple[int, bool, str]]) -> str:
    """A parameter from its numbered, percent-encoded pieces."""
    ordered = sorted(parts, key=lambda part: part[0])
    if not any(encoded for _, encoded, _ in ordered):
        text = "".join(text for _, _, text in ordered)
        return decode_words(text) if "=?" in text else text
    charset = ""
    if ordered[0][1] and ordered[0][2].count("'") >= 2:
        charset, _, first = ordered[0][2].split("'", 2)
        ordered[0] = (ordered[0][0], True, first)
    content = b"".join(
        unquote_to_bytes(text) if encoded else text.encode("utf-8", "replace") for _, encoded, text in ordered
    )
    return decode(content, charset)
