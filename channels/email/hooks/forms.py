"""The fields of a posted form, of which one is a whole mail: either kind of form, in bytes, within bounds."""

from collections.abc import Container, Iterator
from typing import Final
from urllib.parse import unquote_to_bytes

from channels.contract import MAX_FIELDS
from channels.email.mime import read_mail
from channels.webhooks import FORM_TYPE, malformed

_MULTIPART: Final = "multipart/form-data"
_SLICE: Final = 65_536
"""Bytes that are unescaped at once: each escape is an object of its own meanwhile, of sixty bytes."""


def form_fields_of(content_type: str, body: bytes, wanted: Container[str]) -> dict[str, bytes]:
    """The first of each field that is wanted; WebhookRefused (400) where it is neither kind of form.

    Takes some tenths of a second for the largest mail: not on the event loop.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type not in (FORM_TYPE, _MULTIPART):
        raise malformed(f"The Content-Type must be {FORM_TYPE} or {_MULTIPART}.")
    if media_type == FORM_TYPE:
        if body.count(b"&") >= MAX_FIELDS:
            raise malformed(f"A form has at most {MAX_FIELDS} fields.")
        named = _urlencoded(body, wanted)
    else:
        named = _multipart(content_type, body, wanted)
    fields: dict[str, bytes] = {}
    for name, value in named:
        fields.setdefault(name, value)
    return fields


def unescaped(form: bytes, at: int, end: int) -> bytes:
    """What stood there before `+` and `%XX`; a `%` without two hex digits stands for itself."""
    pieces: list[bytes] = []
    while at < end:
        until = min(at + _SLICE, end)
        if until < end:  # no escape is cut in two
            escape = form.rfind(b"%", until - 2, until)
            until = until if escape == -1 else escape
        pieces.append(unquote_to_bytes(form[at:until].replace(b"+", b" ")))
        at = until
    return b"".join(pieces)


def _urlencoded(form: bytes, wanted: Container[str]) -> Iterator[tuple[str, bytes]]:
    """By offsets: the mail in it is copied once."""
    at = 0
    while at < len(form):
        end = _index(form, b"&", at, len(form))
        equals = _index(form, b"=", at, end)
        name = unescaped(form, at, equals).decode("latin-1")
        if name in wanted:
            yield name, unescaped(form, equals + 1, end)
        at = end + 1


def _index(form: bytes, mark: bytes, at: int, end: int) -> int:
    found = form.find(mark, at, end)
    return end if found == -1 else found


def _multipart(content_type: str, body: bytes, wanted: Container[str]) -> Iterator[tuple[str, bytes]]:
    form = read_mail(b"Content-Type: " + content_type.encode("latin-1", "replace") + b"\r\n\r\n" + body)
    for part in form.children:
        name = part.disposition.parameters.get("name", "")
        if name in wanted:
            yield name, part.content()
