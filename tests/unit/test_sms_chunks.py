"""Long replies become parts that lose nothing, cut nothing that belongs together and keep to every cap."""

import re
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from channels.sms.boundaries import LARGEST_GRAPHEME, atoms
from channels.sms.chunks import Chunked, Limits, split
from channels.sms.segments import Encoding, graphemes, is_gsm7, measure, utf16_units

PREFIX = re.compile(r"\((\d+)/(\d+)\) ")


def bodies(result: Chunked) -> list[str]:
    """The parts without their numbers; fails unless all of three or more are numbered, and rightly."""
    texts = [part.text for part in result.parts]
    if len(texts) < 3:
        return texts
    shorn = []
    for number, text in enumerate(texts, 1):
        match = PREFIX.match(text)
        assert match
        assert (int(match[1]), int(match[2])) == (number, len(texts))
        shorn.append(text[match.end() :])
    return shorn


def visible(text: str) -> str:
    return "".join(text.split())


LETTERS = st.text(st.sampled_from("abcdefgXYZàéß€[}~"), min_size=1, max_size=14)
ATOMS = st.sampled_from([
    "https://example.com/a/very/long/path?with=query&and=more#fragment",
    "www.example.com/x",
    "first.last+tag@mail.example.com",
    "+39 06 1234 5678",
    "(555) 010-0199",
    "483 920",
    "4839201188",
    "$1,299.00",
    "1.299,00 €",
    "EUR 45.50",
    "12 345 USD",
])  # fmt: skip
WORDS = st.one_of(
    LETTERS,
    LETTERS,
    ATOMS,
    st.sampled_from(
        ["😀", "👨‍👩‍👧‍👦", "🇮🇹", "e\u0301" * 5, "नमस्ते", "“quoted”", "你好，世界。再见", "สวัสดีครับ"]
    ),
    st.text(st.sampled_from("漢字仮名แ👩🏽"), min_size=1, max_size=120),
)
ENDS = st.sampled_from(["", "", "", ".", "!", "?", ",", ";", ":", "…"])
GAPS = st.sampled_from([" ", " ", " ", " ", "\n", "\n\n", "  ", "\n- ", "\n1. ", "\n\n\n"])
TEXTS = st.tuples(st.lists(st.tuples(WORDS, ENDS, GAPS), min_size=1, max_size=60), st.integers(1, 8)).map(
    lambda drawn: ("".join(word + end + gap for word, end, gap in drawn[0]) * drawn[1]).strip()
)
LIMITS = st.builds(
    Limits,
    max_segments=st.integers(1, 10),
    max_parts=st.sampled_from([1, 2, 3, 5, 9, 10, 11, 60]),
    max_units=st.sampled_from([70, 160, 320, 1600]),
)


def check_caps(result: Chunked, limits: Limits) -> None:
    assert 1 <= len(result.parts) <= limits.max_parts
    for index, part in enumerate(result.parts, 1):
        cost = measure(part.text)
        assert part.index == index
        assert (part.encoding, part.segments) == (cost.encoding, cost.segments)
        assert (part.encoding is Encoding.GSM_7) == is_gsm7(part.text)
        assert utf16_units(part.text) <= limits.max_units
    for part, body in zip(result.parts, bodies(result), strict=True):
        assert body.strip()
        alone = [body[slice(*span)] for span in atoms(body) if part.segments > limits.max_segments]
        if alone:
            rest = body.replace(alone[0], "", 1)
            assert visible(rest) in ("", "...", "…")
        else:
            assert part.segments <= limits.max_segments


def check_cuts(text: str, result: Chunked, limits: Limits) -> None:
    """What was cut is contiguous input, and no cut lies inside an atom or a grapheme."""
    position = 0
    shown = bodies(result)
    for number, body in enumerate(shown):
        last = number == len(shown) - 1
        if result.truncated and last:
            body = re.sub(r" ?(?:\.\.\.|…)$", "", body)
        assert text.startswith(body, position)
        end = position + len(body)
        following = re.compile(r"\s*").match(text, end)
        assert following
        position = following.end()
        if position < len(text):
            assert not [
                text[slice(*span)]
                for span in atoms(text)
                if span[0] < end < span[1] and utf16_units(text[slice(*span)]) + 14 <= limits.max_units
            ]
            if position == end and max(map(len, graphemes(text))) <= LARGEST_GRAPHEME:
                assert end in grapheme_ends(text)
    assert result.truncated or position == len(text)


def grapheme_ends(text: str) -> set[int]:
    ends, position = set(), 0
    for grapheme in graphemes(text):
        position += len(grapheme)
        ends.add(position)
    return ends


@given(TEXTS, LIMITS)
@settings(max_examples=300)
@example("https://example.com/" + "a" * 1000, Limits(max_segments=1))
@example("word https://example.com/" + "a" * 2000 + " word", Limits(max_segments=10, max_parts=11))
@example("x" * 2000, Limits(max_segments=10))
@example("e" + "\u0301" * 400, Limits(max_segments=1))
def test_every_invariant(text: str, limits: Limits) -> None:
    result = split(text, limits=limits)
    assert result == split(text, limits=limits)
    check_caps(result, limits)
    check_cuts(text, result, limits)
    if not result.truncated:
        assert visible("".join(bodies(result))) == visible(text)


@given(TEXTS, LIMITS)
def test_without_numbers(text: str, limits: Limits) -> None:
    result = split(text, limits=limits, number_parts=False)
    if not result.truncated:
        assert visible("".join(part.text for part in result.parts)) == visible(text)


@given(st.text(max_size=700))
def test_any_text_is_split_without_loss(text: str) -> None:
    result = split(text, limits=Limits(max_segments=1, max_parts=60))
    assert not result.truncated
    assert visible("".join(bodies(result))) == visible(text)
    assert all(part.segments == 1 for part in result.parts)


@given(st.integers(1, 900), st.sampled_from("xж"))
def test_a_text_that_fits_is_one_part_and_no_part_is_wasted(length: int, letter: str) -> None:
    text = letter * length
    limits = Limits(max_segments=1, max_parts=60)
    room = 160 if letter == "x" else 70
    unnumbered = -(-length // room)
    expected = unnumbered if unnumbered < 3 else -(-length // (room - 6))
    if expected > 9:
        expected = max(10, -(-length // (room - 8)))
    assert len(split(text, limits=limits).parts) == expected


@pytest.mark.parametrize("length", [9 * 154, 9 * 154 + 1, 99 * 152, 99 * 152 + 1])
def test_the_number_of_digits_is_settled(length: int) -> None:
    result = split("x" * length, limits=Limits(max_segments=1, max_parts=200))
    assert len(result.parts) == {1386: 9, 1387: 10, 15048: 99, 15049: 101}[length]
    assert sum(map(len, bodies(result))) == length
    assert all(part.segments == 1 for part in result.parts)


def sentence(length: int) -> str:
    return "S" + "x" * (length - 2) + "."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # a paragraph wins over a later sentence, clause, word
        (f"A b. c.\n\n{sentence(80)} D, e {'f' * 70}", ["A b. c.", f"{sentence(80)} D, e {'f' * 70}"]),
        (f"{'a ' * 45}end.\n\nB b. C, d {'e' * 60}", [f"{'a ' * 45}end.", f"B b. C, d {'e' * 60}"]),
        (f"{'a ' * 45}end. B b, d {'e' * 60}", [f"{'a ' * 45}end.", f"B b, d {'e' * 60}"]),
        (f"{'a ' * 45}b, c d {'e' * 70}", [f"{'a ' * 45}b,", f"c d {'e' * 70}"]),
        (f"{'a ' * 45}b\nc d {'e' * 70}", [f"{'a ' * 45}b", f"c d {'e' * 70}"]),
        (f"{'a' * 100} {'b' * 100}", ["a" * 100, "b" * 100]),
        ("a" * 200, ["a" * 160, "a" * 40]),
        # an abbreviation before a small letter does not end a sentence, nor does the number of a list item
        (f"{'a' * 80}. {'c' * 20}, e.g. {'d' * 60}", [f"{'a' * 80}. {'c' * 20},", f"e.g. {'d' * 60}"]),
        (f"{'a' * 100}\n12. {'B' * 58}", ["a" * 100, f"12. {'B' * 58}"]),
        # what belongs together goes to the next part whole
        (f"{'a' * 150} +39 06 1234 5678", ["a" * 150, "+39 06 1234 5678"]),
        (f"{'a' * 150} 1 299,00 € x", ["a" * 150, "1 299,00 € x"]),
        (f"{'a' * 152} EUR 45.50", ["a" * 152, "EUR 45.50"]),
        (f"{'漢' * 60}https://example.com/a。字", ["漢" * 60, "https://example.com/a。字"]),
        (f"{'漢' * 40}。{'字' * 40}", [f"{'漢' * 40}。", "字" * 40]),
        # a greeting travels with what follows unless that costs nothing
        (f"Hi!\n\n{'a ' * 60}{'b' * 50}", [f"Hi!\n\n{('a ' * 60).strip()}", "b" * 50]),
        (f"Hi!\n\n{'a' * 159}", ["Hi!", "a" * 159]),
    ],
)
def test_the_highest_boundary_wins(text: str, expected: list[str]) -> None:
    assert [part.text for part in split(text, limits=Limits(max_segments=1)).parts] == expected


def test_one_emoji_makes_one_part_unicode() -> None:
    text = "\n\n".join(["Plain words. " * 40, "Words and 😀. " * 10, "Plain words. " * 40])
    parts = split(text).parts
    assert [part.encoding for part in parts] == ["GSM-7", "UCS-2", "GSM-7"]


def test_an_atom_larger_than_a_part_goes_alone_and_beyond_a_message_is_cut() -> None:
    link = "https://example.com/" + "a" * 1000
    parts = split(f"See {link} now", limits=Limits(max_segments=1)).parts
    assert [part.text for part in parts] == ["(1/3) See", f"(2/3) {link}", "(3/3) now"]
    longer = "https://example.com/" + "a" * 1700
    result = split(f"See {longer}")
    assert visible("".join(bodies(result))) == f"See{longer}"
    assert all(part.segments <= 4 for part in result.parts)


def test_too_much_text_is_cut_with_a_mark_and_said_so() -> None:
    result = split("Plain words. " * 400)
    assert result.truncated
    assert len(result.parts) == 5
    assert result.parts[-1].text.endswith("...")
    assert result.parts[-1].encoding is Encoding.GSM_7
    russian = split("Простые слова " * 400)
    assert russian.truncated
    assert russian.parts[-1].text.endswith("…")
    link = split("https://example.com/a " * 20, limits=Limits(max_segments=1, max_parts=1))
    assert link.parts[0].text.endswith("/a ...")
    assert not split("Plain words. " * 200).truncated


@pytest.mark.parametrize("text", ["", " \n\t ", "\u00a0"])
def test_nothing_visible_gives_no_part(text: str) -> None:
    assert split(text) == Chunked((), truncated=False)


@pytest.mark.parametrize(
    ("name", "value"), [("max_segments", 0), ("max_segments", 11), ("max_parts", 0), ("max_units", 1601)]
)
def test_limits_outside_their_range_are_refused(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"{name} must be between"):
        Limits(**{name: value})


@pytest.mark.parametrize(
    "unit",
    [
        "Lorem ipsum dolor sit amet. ",
        "x",
        "漢字",
        "👨‍👩‍👧‍👦",
        "e\u0301 ",
        "1 ",
        "1\u00a0",
        "a@",
        "+(",
        "EUR ",
        " ",
        "\n",
        "_ ",
        "https://",
    ],
)
def test_a_hundred_thousand_characters_are_quick(unit: str) -> None:
    text = f"a{unit * (100_000 // len(unit))}b"
    began = time.process_time()
    split(text)
    assert time.process_time() - began < 5


def test_an_accent_stays_with_the_space_it_stands_on() -> None:
    parts = split(f"{'a' * 68} \u0301{'b' * 10}", limits=Limits(max_segments=1)).parts
    assert [part.text for part in parts] == [f"{'a' * 68} \u0301", "b" * 10]


@pytest.mark.parametrize("first", ["x" * 160, "https://example.com/" + "a" * 1579, "漢" * 70])
def test_the_mark_of_a_cut_has_room(first: str) -> None:
    (part,) = split(f"{first} y", limits=Limits(max_segments=1, max_parts=1)).parts
    assert part.text.endswith(("...", "…"))
    assert part.segments == 1
