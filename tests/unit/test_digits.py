"""Digits from single keys: the eleven rules of collecting them, and that no key is ever lost or doubled."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.digits import (
    MAX_HELD,
    BargeIn,
    Collected,
    DigitCollector,
    Digits,
    EndedBy,
    KeyPresses,
    NoDigits,
    Said,
)
from gateway.domain.intent import DtmfInputSpec

MS = 1_000
PIN = DtmfInputSpec(max_digits=4, termination_digit="#", inter_digit_timeout_ms=2_000, prefix="PIN: ")


def typed(collector: DigitCollector, keys: str, at: int = 0, gap: int = 100 * MS) -> list[Collected]:
    """What comes of keys pressed one after the other."""
    collected: list[Collected] = []
    for number, key in enumerate(keys):
        collected += collector.press(key, at + number * gap)
    return collected


def collecting(spec: DtmfInputSpec = PIN) -> DigitCollector:
    """A collector that expects an input of this kind."""
    collector = DigitCollector()
    collector.retune(spec, 0)
    return collector


def test_the_termination_key_completes_and_is_no_digit() -> None:
    """Rules 1, 2, 5, 6: first key interrupts, prefix and digits make the text."""
    assert typed(collecting(), "12#") == [BargeIn(), Digits("12", "PIN: 12", EndedBy.TERMINATION)]


def test_the_last_wanted_digit_completes_and_a_termination_key_behind_it_is_swallowed() -> None:
    """Rule 3: people type it out of habit. Later it is a key of its own."""
    collector = collecting()
    assert typed(collector, "1234#")[-1] == Digits("1234", "PIN: 1234", EndedBy.MAX_DIGITS)
    collector = collecting()
    typed(collector, "1234")
    assert collector.press("#", 300 * MS + 2_000 * MS) == [NoDigits()]


def test_the_swallowed_key_is_that_of_the_input_which_was_full() -> None:
    """The spec holds for one input: its termination key may differ from the usual one."""
    collector = collecting(DtmfInputSpec(max_digits=2, termination_digit="*"))
    assert typed(collector, "12*3")[1:] == [Digits("12", "12", EndedBy.MAX_DIGITS), BargeIn()]


def test_a_pause_after_the_last_digit_completes() -> None:
    """Rule 2: counted from the last key, not the first, and only once."""
    collector = collecting()
    typed(collector, "12", gap=1_900 * MS)
    assert collector.due == 3_900 * MS
    assert collector.tick(3_900 * MS - 1) == []
    assert collector.tick(3_900 * MS) == [Digits("12", "PIN: 12", EndedBy.TIMEOUT)]
    assert collector.tick(9_000 * MS) == []
    assert collector.due is None


def test_a_key_after_the_pause_belongs_to_the_next_input() -> None:
    """Whoever ticks late changes nothing."""
    collector = collecting()
    typed(collector, "12")
    assert collector.press("3", 60_000 * MS) == [Digits("12", "PIN: 12", EndedBy.TIMEOUT), BargeIn()]


def test_a_lone_termination_key_is_no_input() -> None:
    """Rule 4."""
    assert typed(collecting(), "#") == [NoDigits()]


def test_without_a_termination_key_all_keys_are_digits() -> None:
    """`""` means none."""
    spec = DtmfInputSpec(max_digits=3, termination_digit="")
    assert typed(collecting(spec), "#*d")[-1] == Digits("#*D", "#*D", EndedBy.MAX_DIGITS)


def test_speech_waits_for_the_digits_before_it() -> None:
    """Rule 7: digits first, then what was said, nothing dropped."""
    collector = collecting()
    typed(collector, "12")
    assert collector.say("that is all", 150 * MS) == []
    assert collector.press("#", 200 * MS) == [
        Digits("12", "PIN: 12", EndedBy.TERMINATION),
        Said("that is all"),
    ]
    assert collector.say("and now?", 300 * MS) == [Said("and now?")]


def test_much_speech_ends_the_waiting() -> None:
    """What is held is bounded."""
    collector = collecting()
    typed(collector, "1")
    said = [collector.say("word", 0) for _ in range(MAX_HELD)]
    assert said[-1][0] == Digits("1", "PIN: 1", EndedBy.SPEECH)
    assert len(said[-1]) == MAX_HELD + 1


def test_new_limits_hold_at_once_for_keys_pressed_before_them() -> None:
    """Rule 9: type-ahead is kept; the timer starts anew; the spec is used up by one input."""
    collector = DigitCollector()
    typed(collector, "12345")
    done = collector.retune(PIN, 500 * MS)
    assert done == [Digits("1234", "PIN: 1234", EndedBy.MAX_DIGITS)]
    assert collector.buffered
    assert collector.tick(500 * MS + 3_000 * MS) == [Digits("5", "5", EndedBy.TIMEOUT)]


def test_what_is_left_at_the_end_of_a_call_is_no_input() -> None:
    """Rule 10."""
    collector = collecting()
    typed(collector, "12")
    assert collector.discard() == "12"
    assert collector.tick(60_000 * MS) == []


def test_a_key_is_pressed_once_however_it_is_signalled() -> None:
    """Rule 11: three end packets, and INFO beside RTP, are one press; pressing twice is two."""
    presses = KeyPresses()
    seen = [presses.is_new("rtp", "1", at, rtp=(7, 800)) for at in (0, 1, 2)]
    assert seen == [True, False, False]
    assert not presses.is_new("info", "1", 50)
    assert presses.is_new("info", "1", 300 * MS)
    assert not presses.is_new("rtp", "1", 310 * MS, rtp=(7, 4_000))
    assert presses.is_new("rtp", "1", 900 * MS, rtp=(7, 9_000))
    assert presses.is_new("info", "1", 5_000 * MS)


@given(
    st.lists(
        st.tuples(st.sampled_from("0123456789*#ABCDx "), st.integers(min_value=0, max_value=4_000)),
        max_size=60,
    ),
    st.builds(
        DtmfInputSpec,
        max_digits=st.none() | st.integers(1, 6),
        termination_digit=st.none() | st.sampled_from(["", "#", "*", "5"]),
        inter_digit_timeout_ms=st.none() | st.integers(250, 3_000),
        prefix=st.none() | st.just("x"),
    ),
)
def test_every_key_is_in_one_input_and_in_order(keys: list[tuple[str, int]], spec: DtmfInputSpec) -> None:
    """Whatever is pressed and when: digits come out as they went in, without the termination keys."""
    collector, at, out = DigitCollector(default=spec), 0, []
    for key, gap in keys:
        at += gap * MS
        out += collector.press(key, at)
    out += collector.tick(at + 60_000 * MS)
    terminator = "#" if spec.termination_digit is None else spec.termination_digit
    pressed = "".join(key for key, _ in keys if key in "0123456789*#ABCD" and key != terminator)
    inputs = [item for item in out if isinstance(item, Digits)]
    assert "".join(item.digits for item in inputs) == pressed
    assert all(item.text == (spec.prefix or "") + item.digits for item in inputs)
    assert all(0 < len(item.digits) <= (spec.max_digits or 32) for item in inputs)
    assert len([item for item in out if isinstance(item, BargeIn)]) == len(inputs)
    assert collector.due is None
