"""Standard Webhooks signatures, against the specification's own example."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.signing import TOLERANCE_SECONDS, sign, signing_key, verify

SECRET = "whsec_plJ3nmyCDGBKInavdOK15jsl"
ID = "msg_loFOjxBNrRLzqYUf"
AT = 1731705121
BODY = b'{"event_type":"ping","data":{"success":true}}'
SIGNATURE = "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0="


def test_the_example_of_the_specification() -> None:
    assert sign(SECRET, ID, AT, BODY) == SIGNATURE
    assert verify(SECRET, ID, str(AT), BODY, SIGNATURE, now=AT)


def test_any_of_several_signatures_will_do() -> None:
    assert verify(SECRET, ID, str(AT), BODY, f"v1,AAAA v1a,BBBB {SIGNATURE}", now=AT)
    assert not verify(SECRET, ID, str(AT), BODY, "v1,AAAA v1a,BBBB", now=AT)
    assert not verify(SECRET, ID, str(AT), BODY, "", now=AT)


@pytest.mark.parametrize(
    ("off", "good"),
    [(TOLERANCE_SECONDS, True), (-TOLERANCE_SECONDS, True), (301, False), (-301, False)],
)
def test_an_old_or_early_timestamp_proves_nothing(off: int, good: bool) -> None:
    assert verify(SECRET, ID, str(AT), BODY, SIGNATURE, now=AT + off) is good


@given(
    secret=st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(
        lambda text: not text.startswith("whsec_")
    ),
    body=st.binary(),
    other=st.binary(),
)
def test_only_what_was_signed_verifies(secret: str, body: bytes, other: bytes) -> None:
    signature = sign(secret, ID, AT, body)
    assert verify(secret, ID, str(AT), body, signature, now=AT)
    assert verify(secret, ID, str(AT), other, signature, now=AT) is (other == body)
    assert not verify(secret, ID + "x", str(AT), body, signature, now=AT)
    assert not verify(secret + "x", ID, str(AT), body, signature, now=AT)
    assert not verify(secret, ID, str(AT + 1), body, signature, now=AT)


@given(message_id=st.text(), timestamp=st.text(), signatures=st.text())
def test_hostile_headers_are_a_no(message_id: str, timestamp: str, signatures: str) -> None:
    assert not verify(SECRET, message_id, timestamp, BODY, signatures, now=AT)


def test_a_timestamp_of_thousands_of_digits_is_a_no() -> None:
    assert not verify(SECRET, ID, "9" * 5000, BODY, SIGNATURE, now=AT)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_not base64!"])
def test_a_secret_that_is_none_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match="secret"):
        signing_key(secret)
