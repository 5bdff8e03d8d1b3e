"""What keys mean that jambonz has collected: as if they had been reported one by one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.voice.jambonz.listening import inputs_of
from gateway.domain.intent import DtmfInputSpec

PIN = DtmfInputSpec(expects_input=True, max_digits=4, termination_digit="#", prefix="PIN ")


@pytest.mark.parametrize(
    ("digits", "asked", "texts"),
    [
        ("42", None, ["42"]),
        ("", PIN, []),
        ("1234", PIN, ["PIN 1234"]),
        ("12", PIN, ["PIN 12"]),
        ("12345", PIN, ["PIN 1234", "5"]),  # typed before jambonz knew of the four
        ("1234#", PIN, ["PIN 1234"]),
        ("12*77", DtmfInputSpec(termination_digit="*", prefix="N"), ["N12", "77"]),
    ],
)
def test_the_first_is_as_asked_for_and_the_rest_as_usual(
    digits: str, asked: DtmfInputSpec | None, texts: list[str]
) -> None:
    assert [one.text for one in inputs_of(digits, asked, 0)] == texts


@given(st.text("0123456789*ABCD", max_size=40), st.integers(1, 40))
def test_no_key_is_lost(digits: str, most: int) -> None:
    asked = DtmfInputSpec(max_digits=most, termination_digit="#")
    assert "".join(one.digits for one in inputs_of(digits, asked, 0)) == digits
