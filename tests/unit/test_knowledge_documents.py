"""Documents cut into chunks: along headings, within bounds, nothing lost; words in a common form."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.knowledge import MAX_CHUNK, MAX_CHUNKS, Document
from gateway.domain.words import common_words
from workers.knowledge.formats import UnreadableError, name_of, read_html, read_markdown, read_text
from workers.knowledge.outline import Outline, TooManyChunksError, pieces

MARKDOWN = b"""---
title: "Shop handbook"
---
Before all headings.

# Returns

## How long

Within **30 days**.

```
# no heading
```

## What it costs

| country | cost |
|---|---|
| DE | free |

Shipping
========

By post.
"""
HTML = b"""<!doctype html><html><head><title>Shop &amp; co</title><style>h1 {}</style></head><body>
<nav>Menu</nav><h1>Returns</h1><p>Within <b>30</b> days.<script>alert("<h2>no</h2>")</script></p>
<h2>Cost</h2><ul><li>DE: free</li><li>FR: 5 EUR</li></ul><h1>Shipping</h1>By post.
"""


def outline_of(document: Document) -> list[tuple[list[str], list[str], str]]:
    return [([h.number for h in c.headings], [h.title for h in c.headings], c.text) for c in document.chunks]


def test_markdown_by_its_headings() -> None:
    document = read_markdown(MARKDOWN, "handbook")
    assert document.title == "Shop handbook"
    assert outline_of(document) == [
        ([], [], "Before all headings."),
        (["1", "1.1"], ["Returns", "How long"], "Within **30 days**.\n\n```\n# no heading\n```"),
        (
            ["1", "1.2"],
            ["Returns", "What it costs"],
            "| country | cost |\n|---|---|\n| DE | free |",
        ),
        (["2"], ["Shipping"], "By post."),
    ]


def test_html_as_it_is_seen() -> None:
    document = read_html(HTML, "page")
    assert document.title == "Shop & co"
    assert outline_of(document) == [
        (["1"], ["Returns"], "Within 30 days."),
        (["1", "1.1"], ["Returns", "Cost"], "DE: free\n\nFR: 5 EUR"),
        (["2"], ["Shipping"], "By post."),
    ]


def test_what_has_no_title_is_called_by_its_file() -> None:
    name = name_of("faq/opening-hours_2026.txt")
    assert name == "opening hours 2026"
    assert read_text(b"Nine to five.", name).title == name
    assert read_markdown(b"# First\n\nText", name).title == "First"
    with pytest.raises(UnreadableError, match="UTF-8"):
        read_text(b"\xff\xfe", name)


@given(st.text(alphabet=string.ascii_letters + " .!?\n\u00e4", max_size=6000))
def test_pieces_are_short_and_lose_nothing(text: str) -> None:
    cut = list(pieces(text))
    assert all(0 < len(piece) <= MAX_CHUNK for piece in cut)
    assert "".join("".join(cut).split()) == "".join(text.split())


@given(st.lists(st.tuples(st.integers(1, 6), st.sampled_from(["A", "b c"])), max_size=20))
def test_headings_are_numbered_by_their_place(headings: list[tuple[int, str]]) -> None:
    outline = Outline()
    for level, title in headings:
        outline.heading(level, title)
        outline.text("x")
    chunks = outline.finish()
    assert sum(chunk.text.count("x") for chunk in chunks) == len(headings)
    numbers = [chunk.headings[-1].number for chunk in chunks if chunk.headings]
    assert len(set(numbers)) == len(numbers)
    for chunk in chunks:
        depths = [heading.number.count(".") for heading in chunk.headings]
        assert depths == sorted(depths)


def test_a_document_of_too_many_chunks_is_refused() -> None:
    outline = Outline()
    outline.text("\n\n".join(["x" * MAX_CHUNK] * (MAX_CHUNKS + 1)))
    with pytest.raises(TooManyChunksError):
        outline.finish()


@pytest.mark.parametrize(
    ("asked", "written"),
    [
        ("refunds", "refunded"),
        ("shipping", "shipped"),
        ("deliveries", "delivery"),
        ("purchased", "purchase"),
        ("Größe", "GRÖSSE"),
        ("café", "cafe"),
    ],
)
def test_words_meet_in_a_common_form(asked: str, written: str) -> None:
    assert list(common_words(asked)) == list(common_words(written)) != []


def test_frequent_words_tell_nothing_and_ideographs_go_in_pairs() -> None:
    assert list(common_words("Where is my order, please? Wo ist die Rechnung 12?")) == [
        "order",
        "pleas",
        "rechnung",
        "12",
    ]
    assert list(common_words("退货政策")) == ["退货", "货政", "政策"]
    assert list(common_words("« ; ' -- \" * NEAR( AND")) == ["near"]


@given(st.text())
def test_any_text_has_words_that_are_safe_to_quote(text: str) -> None:
    for word in common_words(text):
        assert 0 < len(word) <= 64
        assert not set(word) & set("\"'\\ \x00()*:&|!<>")
