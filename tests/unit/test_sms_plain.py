"""Markdown becomes what a phone can show, and characters become GSM-7 where that is possible."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from channels.sms.plain import plain, smart_encode, sms_text, transliterate
from channels.sms.segments import is_gsm7
from channels.sms.substitutions import OURS, SMART_ENCODING


@pytest.mark.parametrize(
    ("markdown", "text"),
    [
        ("# Opening *hours* #", "Opening hours"),
        ("Opening hours\n=====\nNine", "Opening hours\n\nNine"),
        ("**bold *and* more**, ***both***, __x__, ~~gone~~", "bold and more, both, x, gone"),
        ("这是**重点**内容", "这是重点内容"),
        ("snake_case_name, 2*3*4, 5 * 3, a_b", "snake_case_name, 2*3*4, 5 * 3, a_b"),
        ("`a*b*` and ``c`d``", "a*b* and c`d"),
        ("[docs](https://example.com/a_(b)_c)", "docs (https://example.com/a_(b)_c)"),
        ('[docs](https://example.com "Title")', "docs (https://example.com)"),
        ("[https://example.com](https://example.com/)", "https://example.com/"),
        ("[example.com](https://www.example.com)", "https://www.example.com"),
        ("**[docs](https://example.com)**", "docs (https://example.com)"),
        ("[write](mailto:a@example.com) [a@example.com](mailto:a@example.com)",
         "write (a@example.com) a@example.com"),
        ("[call](tel:+15550100) [top](#top)", "call (+15550100) top"),
        ("<https://example.com/a_b_c> <a@example.com>", "https://example.com/a_b_c a@example.com"),
        ("https://example.com/_a_/b__c__ **https://example.com**", "https://example.com/_a_/b__c__ https://example.com"),
        ("[docs][1] [none][2]\n\n[1]: https://example.com", "docs (https://example.com) [none][2]"),
        ("* one\n  + two\n- three\n1. four", "- one\n  - two\n- three\n1. four"),
        ("> said\n> > before", "said\nbefore"),
        ("above\n\n---\n\nbelow", "above\n\nbelow"),
        ("```python\nx = '**y**'\n# no heading\n```\nafter", "x = '**y**'\n# no heading\nafter"),
        ("~~~\n```\n~~~", "```"),
        ("| Plan | Price | |\n|---|:-:|-|\n| Basic | $5 | now |\n| Pro \\| Max | | |\n\nend | x",
         "Plan: Basic, Price: $5, now\nPlan: Pro | Max\n\nend | x"),
        ("AT&amp;T &#8364;5 &unknown; \\*not\\*", "AT&T €5 &unknown; *not*"),
        ("one<br>two <b>three</b> <other>", "one\ntwo three <other>"),
        ("a\r\nb\r\n\r\n\r\n\r\nc  \r\n", "a\nb\n\nc"),
        ("#1 is not a heading, +39 06 1 no list", "#1 is not a heading, +39 06 1 no list"),
    ],
)  # fmt: skip
def test_markdown(markdown: str, text: str) -> None:
    assert plain(markdown) == text


@given(st.text("ab *_~`[]()<>!#|-\\\n.:/&;", max_size=200))
def test_letters_survive_any_marks(markdown: str) -> None:
    text = plain(f"{markdown}\n\nend")
    assert text.endswith("end")
    assert "\n\n\n" not in text


@given(st.text("ab1 \t\u00a0\n.:;,!?'\"()/@%$^{}+-é", max_size=60))
@example("a\n - b\n +  c\n---\n - - -\n\u00a0---")
def test_a_text_of_which_nothing_is_changed_takes_the_short_way_to_the_same(text: str) -> None:
    # what follows the first paragraph has every line looked at
    assert plain(f"{text}\n\n**end**") == f"{plain(text)}\n\nend".strip()


@given(st.text(st.characters(categories=["L", "Nd", "Zs", "Po"], exclude_characters="*#&\\", codec="utf-8")))
def test_text_without_marks_is_only_trimmed(text: str) -> None:
    assert plain(text) == text.strip()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("“Don’t” – it’s…", "\"Don't\" - it's..."),
        ("12\u00a0345\u202f€ • 3\u2011day −5", "12 345 € - 3-day -5"),
        ("perche\u0301", "perché"),
        ("“ciao” e\u0302", "“ciao” ê"),
        ("“Привет”", "“Привет”"),
        ("e\u0302", "ê"),
        ("a\tb", "a b"),
    ],
)
def test_transliterate(text: str, expected: str) -> None:
    assert transliterate(text) == expected


def test_smart_encoding_substitutes_even_where_the_rest_stays_unicode() -> None:
    assert smart_encode("“ж”\xa0½‹›\t.") == '"ж"  1/2<>       .'
    assert len(SMART_ENCODING) == 271


@pytest.mark.parametrize("table", [SMART_ENCODING, OURS])
def test_every_replacement_is_gsm7_and_no_gsm7_character_is_replaced(table: dict[int, str]) -> None:
    assert [text for text in table.values() if not is_gsm7(text)] == []
    assert [code for code in table if is_gsm7(chr(code))] == []


@given(st.text(max_size=80))
def test_transliterate_gives_gsm7_or_leaves_nfc(text: str) -> None:
    result = transliterate(text)
    assert is_gsm7(result) or result == unicodedata.normalize("NFC", text)
    assert transliterate(result) == result


def test_an_emoji_in_one_line_does_not_keep_the_quotes_of_the_others() -> None:
    assert sms_text("“One”\n\n“Two” 😀") == '"One"\n\n“Two” 😀'
