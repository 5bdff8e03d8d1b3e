"""Names and types of attachments: what a sender writes is made harmless, what is harmless is kept."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.attachment import MAX_NAME, media_type_of, safe_name


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("invoice 2026.pdf", "invoice 2026.pdf"),
        ("Größe – 大きさ.png", "Größe – 大きさ.png"),
        ("../../etc/passwd", "passwd"),
        (r"C:\Users\eve\run.exe", "run.exe"),
        (".htaccess", "htaccess"),
        ("a\r\nSet-Cookie: x", "a Set-Cookie_ x"),
        ("photo\u202egnp.exe", "photo gnp.exe"),
        ("x" * 300 + ".jpeg", "x" * 115 + ".jpeg"),
        ("x." + "y" * 300, ("x." + "y" * 300)[:120]),
        ("report.pdf. . ", "report.pdf"),
        ("..", None),
        ("/", None),
        ("\u200b\x00", None),
        ("", None),
        (None, None),
    ],
)
def test_a_name_is_made_harmless(raw: str | None, name: str | None) -> None:
    assert safe_name(raw) == name


@given(st.text(max_size=400))
def test_no_name_is_dangerous(raw: str) -> None:
    name = safe_name(raw)
    if name is not None:
        assert 0 < len(name) <= MAX_NAME
        assert not re.search(r"[\x00-\x1f\x7f/\\\u202a-\u202e\u2066-\u2069]", name)
        assert not name.startswith(".")
        assert name == name.strip(". ")
        assert safe_name(name) == name


@pytest.mark.parametrize(
    ("raw", "media_type"),
    [
        ("image/JPEG; name=x", "image/jpeg"),
        ("application/vnd.ms-excel", "application/vnd.ms-excel"),
        ("text", "application/octet-stream"),
        ("text/html\r\nX: y", "application/octet-stream"),
        ("", "application/octet-stream"),
        (None, "application/octet-stream"),
    ],
)
def test_a_type_is_one_or_unknown(raw: str | None, media_type: str) -> None:
    assert media_type_of(raw) == media_type
