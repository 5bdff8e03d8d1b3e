"""The bytes that signatures cover: header fields, canonical forms, tag lists (RFC 6376 §3.2, §3.4)."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

MAX_HEADERS = 262_144
"""Bytes of a header block; a mail with more is not authenticated by its signatures."""
MAX_FIELDS = 1_000

_FIELD = re.compile(rb"([!-9;-~]++):")
_BLANKS = re.compile(rb"[ \t]++")
_FOLD = re.compile(rb"\r\n(?=[ \t])")
_WHITE = re.compile(r"[ \t\r\n]++")
_TAG_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_SIGNATURE = re.compile(rb"((?:^|;)[ \t\r\n]*+b[ \t\r\n]*+=)[^;]*+")


class Canonical(StrEnum):
    """How much a mail may change on its way before a signature breaks."""

    SIMPLE = "simple"
    RELAXED = "relaxed"


class BadSignature(ValueError):
    """The signature does not hold; the text says why, in a few words."""


@dataclass(frozen=True, slots=True)
class Field:
    """A header field as it stands in the mail."""

    name: bytes
    """Lower case."""
    raw: bytes
    """Name, colon, value and closing CRLF."""

    @property
    def value(self) -> bytes:
        """What is behind the colon."""
        return self.raw.partition(b":")[2]

    def canonical(self, form: Canonical) -> bytes:
        """The field as it is signed, with its closing CRLF."""
        if form is Canonical.SIMPLE:
            return self.raw
        return self.name + b":" + _BLANKS.sub(b" ", _FOLD.sub(b"", self.value)).strip() + b"\r\n"

    def without_signature(self, form: Canonical) -> bytes:
        """The same with an empty `b=` and without the closing CRLF: what the field's own signature covers."""
        value = _SIGNATURE.sub(rb"\1", self.value, count=1)
        head = self.raw.partition(b":")[0]
        return Field(self.name, head + b":" + value).canonical(form).removesuffix(b"\r\n")


@dataclass(frozen=True)
class SignedMail:
    """A mail as signatures see it."""

    fields: tuple[Field, ...]
    """From the top."""
    raw_body: bytes

    def body(self, form: Canonical) -> bytes:
        """The body in canonical form (§3.4.3, §3.4.4)."""
        return self._simple_body if form is Canonical.SIMPLE else self._relaxed_body

    @cached_property
    def _simple_body(self) -> bytes:
        return self.raw_body.rstrip(b"\r\n") + b"\r\n"

    @cached_property
    def _relaxed_body(self) -> bytes:
        # runs of blanks become one first, so that taking them from line ends needs no search over runs
        body = _BLANKS.sub(b" ", self.raw_body).replace(b" \r\n", b"\r\n")
        body = body.removesuffix(b" ").rstrip(b"\r\n")
        return body + b"\r\n" if body else b""

    def named(self, name: bytes) -> list[Field]:
        """The fields of a name, from the top."""
        return [field for field in self.fields if field.name == name]

    def chosen(self, names: Sequence[bytes]) -> Iterator[Field]:
        """The fields that `h=` names: each further mention is the next one further up (§5.4.2)."""
        left: dict[bytes, list[Field]] = {}
        for field in self.fields:
            left.setdefault(field.name, []).append(field)
        for name in names:
            if left.get(name):
                yield left[name].pop()


def read_signed(raw: bytes) -> SignedMail | None:
    """The mail as signatures see it; None where its header block is too long or is not one.

    Webhooks hand mails over whose lines all end in LF: they are read as if they ended in CRLF. Where lines
    end in more than one way, readers would not agree on what was signed.
    """
    pairs = raw.count(b"\r\n")
    if raw.count(b"\n") != pairs or raw.count(b"\r") != pairs:
        if b"\r" in raw:
            return None
        raw = raw.replace(b"\n", b"\r\n")
    if raw.startswith(b"\r\n"):
        return SignedMail((), raw[2:])
    end = raw.find(b"\r\n\r\n", 0, MAX_HEADERS)
    if end == -1:
        return None
    fields: list[Field] = []
    for line in _unfolded(raw[: end + 2]):
        match = _FIELD.match(line)
        if match is None or len(fields) == MAX_FIELDS:
            return None
        fields.append(Field(match[1].lower(), line))
    return SignedMail(tuple(fields), raw[end + 4 :])


def _unfolded(block: bytes) -> Iterator[bytes]:
    """Each field with its continuation lines."""
    lines: list[bytes] = []
    for line in block.removesuffix(b"\r\n").split(b"\r\n"):
        if lines and line[:1] not in (b" ", b"\t"):
            yield b"".join(lines)
            lines = []
        lines.append(line + b"\r\n")
    yield b"".join(lines)


def read_tags(text: str) -> dict[str, str]:
    """A tag list (§3.2), white space around names and values removed. Raises BadSignature."""
    tags: dict[str, str] = {}
    for piece in text.strip(" \t\r\n").removesuffix(";").split(";"):
        name, equals, value = piece.partition("=")
        name = name.strip(" \t\r\n")
        if not equals or not _TAG_NAME.fullmatch(name):
            raise BadSignature("not a tag list")
        if name in tags:
            raise BadSignature(f"{name}= is there twice")
        tags[name] = value.strip(" \t\r\n")
    return tags


def squeezed(value: str) -> str:
    """A value without any white space."""
    return _WHITE.sub("", value)
