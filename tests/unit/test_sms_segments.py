"""Segment counting agrees with Twilio's calculator and with the rules of the two encodings."""

import json
import re
from dataclasses import dataclass

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from channels.sms.plain import smart_encode
from channels.sms.segments import (
    GSM_BASIC,
    GSM_EXTENSION,
    PLAIN_RANGES,
    Encoding,
    graphemes,
    is_gsm7,
    measure,
    utf16_units,
)
from tests.corpora import corpus


@dataclass(frozen=True, slots=True)
class Case:
    id: str
    text: str
    smart: bool
    encoding: str
    units: int
    segment_units: list[int]
    strict: bool
    alternatives: list[list[int]]


def published_cases() -> list[Case]:
    with corpus("sms-segments/cases.jsonl").open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [
        Case(
            row["id"], row["text"], row["smart"], row["encoding"], row["units"], row["segment_units"],
            row["strict"], list(row.get("alt", {}).values()),
        )
        for row in rows
    ]  # fmt: skip


def test_every_case_of_the_corpus_agrees() -> None:
    wrong = []
    cases = published_cases()
    for case in cases:
        cost = measure(smart_encode(case.text) if case.smart else case.text)
        accepted = [case.segment_units] if case.strict else [case.segment_units, *case.alternatives]
        same = (cost.encoding, cost.units) == (case.encoding, case.units)
        if not same or list(cost.segment_units) not in accepted or cost.segments != len(cost.segment_units):
            wrong.append((case.id, cost, case))
    assert len(cases) == 300
    assert wrong == []


@pytest.mark.parametrize(
    ("text", "encoding", "segment_units"),
    [
        ("", "GSM-7", (0,)),
        ("x" * 160, "GSM-7", (160,)),
        ("x" * 161, "GSM-7", (153, 8)),
        ("x" * 306, "GSM-7", (153, 153)),
        ("€" * 80, "GSM-7", (160,)),
        ("€" * 153, "GSM-7", (152, 152, 2)),
        ("x" * 70 + "`", "UCS-2", (67, 4)),
        ("ж" * 70, "UCS-2", (70,)),
        ("ж" * 134, "UCS-2", (67, 67)),
        ("€" * 69 + "ж", "UCS-2", (70,)),
        ("😀" * 35, "UCS-2", (70,)),
        ("😀" * 36, "UCS-2", (66, 6)),
        ("ж" * 66 + "\r\n" + "ж" * 4, "UCS-2", (67, 5)),
        ("e" + "\u0301" * 100, "UCS-2", (67, 34)),
        ("\x1b", "UCS-2", (1,)),
        ("\ud83d", "UCS-2", (1,)),
    ],
)
def test_packing(text: str, encoding: str, segment_units: tuple[int, ...]) -> None:
    cost = measure(text)
    assert (cost.encoding, cost.segment_units) == (encoding, segment_units)
    assert (cost.units, cost.segments) == (sum(segment_units), len(segment_units))


def test_the_alphabet_has_127_characters_and_ten_escaped_ones() -> None:
    assert len(set(GSM_BASIC)) == len(GSM_BASIC) == 127
    assert len(set(GSM_EXTENSION)) == len(GSM_EXTENSION) == 10
    assert not set(GSM_BASIC) & set(GSM_EXTENSION)
    assert [char for char in "`\tçáíóúêâ\xa0“–…•µα" if is_gsm7(char)] == []


def test_plain_code_points_are_graphemes_by_themselves() -> None:
    plain = re.compile(f"[{''.join(PLAIN_RANGES)}]")
    joined = [
        hex(code)
        for code in range(0xD800)
        if plain.match(chr(code)) and len(regex.findall(r"\X", f"a{chr(code)}{chr(code)}a")) != 4
    ]
    assert joined == []


MIXED = st.text(
    st.one_of(
        st.sampled_from(GSM_BASIC + GSM_EXTENSION),
        st.sampled_from("👨\u200d👩🇮🇹é\u0301нक\u094dत漢…\r\n"),
        st.characters(codec="utf-8"),
    ),
    max_size=400,
)


@given(MIXED)
def test_segments_add_up_and_are_filled_greedily(text: str) -> None:
    cost = measure(text)
    single, joined = (160, 153) if cost.encoding is Encoding.GSM_7 else (70, 67)
    assert sum(cost.segment_units) == cost.units
    assert cost.segments == len(cost.segment_units) >= 1
    assert (cost.segments == 1) == (cost.units <= single)
    assert cost.segments == 1 or all(0 < units <= joined for units in cost.segment_units)
    assert (cost.encoding is Encoding.GSM_7) == (set(text) <= set(GSM_BASIC + GSM_EXTENSION))
    if cost.encoding is Encoding.UCS_2:
        assert cost.units == utf16_units(text) == len(text.encode("utf-16-le")) // 2


@given(MIXED)
def test_no_grapheme_is_divided_between_segments(text: str) -> None:
    cost = measure(text)
    if cost.encoding is Encoding.GSM_7 or cost.segments == 1:
        return
    ends, position = {0}, 0
    for grapheme in graphemes(text):
        if grapheme == "\r\n" or utf16_units(grapheme) > 67:
            ends |= {
                position + len(grapheme[:size].encode("utf-16-le")) // 2 for size in range(len(grapheme))
            }
        position += utf16_units(grapheme)
        ends.add(position)
    reached = 0
    for units in cost.segment_units:
        reached += units
        assert reached in ends
