"""What a caller has heard of a reply, and a reply cut into sentences."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.sentences import MAX_SENTENCE, Sentences
from gateway.domain.spoken import Heard, heard

REPLY = "We open at nine. On Sundays we open at ten. Shall I book?"


@pytest.mark.parametrize(
    ("piece", "ms", "expected"),
    [
        ("We open", None, Heard("We open at nine. On Sundays we open"[:7], certain=True)),
        ("at nine. On   Sundays", None, Heard("We open at nine. On Sundays", certain=True)),
        ("open at", None, Heard("We open at nine. On Sundays we open at", certain=True)),
        ("We open at n", 10, Heard("We open at n", certain=True)),
        ("", None, Heard("", certain=True)),
        ("", 0, Heard("", certain=True)),
        (None, None, Heard("", certain=False)),
        ("something else", 1_000, Heard("We open at", certain=False)),
        (None, 60_000, Heard(REPLY, certain=False)),
        (None, -5, Heard("", certain=False)),
    ],
)
def test_what_was_heard(piece: str | None, ms: int | None, expected: Heard) -> None:
    """A piece of the text says it; else its time does; of several places the last counts."""
    assert heard(REPLY, piece, ms) == expected


@given(st.text(max_size=80), st.none() | st.text(max_size=20), st.none() | st.integers(-10, 20_000))
def test_what_was_heard_begins_what_was_sent(sent: str, piece: str | None, ms: int | None) -> None:
    """Whatever a host reports."""
    assert sent.startswith(heard(sent, piece, ms).text)


@given(st.text(alphabet="ab .\n", min_size=1, max_size=60), st.data())
def test_a_piece_of_the_reply_is_found(sent: str, data: st.DataObject) -> None:
    """However its white space was changed on the way."""
    start = data.draw(st.integers(0, len(sent) - 1))
    piece = sent[start : data.draw(st.integers(start + 1, len(sent)))]
    found = heard(sent, "  ".join(piece.split()), None)
    if piece.strip():
        assert found.certain
        assert found.text.split()[-1].endswith(piece.split()[-1])


def cut(*deltas: str) -> list[str]:
    """The sentences of a text that arrives like this."""
    sentences = Sentences()
    done = [sentence for delta in deltas for sentence in sentences.add(delta)]
    return done + sentences.finish()


@pytest.mark.parametrize(
    ("deltas", "expected"),
    [
        (("Hello. How are", " you? Fine"), ["Hello. ", "How are you? ", "Fine"]),
        (("See Dr. Who at 3", ".5 miles. Now."), ["See Dr. Who at 3.5 miles. ", "Now."]),
        (("Go to example.", "org/a.b now. Bye."), ["Go to example.org/a.b now. ", "Bye."]),
        (("Order #123", "45. It is", " 5.00 EUR."), ["Order #12345. ", "It is 5.00 EUR."]),
        (("J. R. Smith said “no.” Then left.",), ["J. R. Smith said “no.” ", "Then left."]),
        (("1. Bread\n2. Milk",), ["1. Bread\n", "2. Milk"]),
        (("z.B. heute! Ja",), ["z.B. heute! ", "Ja"]),
        (("你好。再见",), ["你好。", "再见"]),
    ],
)
def test_sentences(deltas: tuple[str, ...], expected: list[str]) -> None:
    """Cut where one ends, and not where only a dot stands."""
    assert cut(*deltas) == expected


@given(st.lists(st.text(alphabet='ab1 .!?\n"…', max_size=900), max_size=6))
def test_sentences_are_the_text(deltas: list[str]) -> None:
    """Nothing is lost, and none is longer than its bound and the white space behind it."""
    done = cut(*deltas)
    assert "".join(done) == "".join(deltas)
    assert all(done)


@given(st.integers(1, 3_000), st.integers(1, 700))
def test_a_text_without_ends_is_cut_all_the_same(length: int, every: int) -> None:
    """Between words where there are any."""
    text = "".join(" " if n % every == every - 1 else "a" for n in range(length))
    assert all(len(sentence) <= MAX_SENTENCE for sentence in cut(text))
