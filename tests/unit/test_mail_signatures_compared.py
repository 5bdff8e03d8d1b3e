"""Signatures and chains that were tampered with: ours believes nothing that another implementation doubts.

The suite of the ARC draft is in no source package; what it tries by hand (a set missing, twice, out of order,
a wrong `cv`, changed headers and bodies) is tried here on chains that the other implementation makes.
"""

from functools import cache

import dkim
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.email.auth.arc import read_chain, verify_seal
from channels.email.auth.dkim import read_signature, signature_fields, verify_signature
from channels.email.auth.keys import read_key
from channels.email.auth.signed import BadSignature, read_signed
from channels.email.sign import key_record
from tests.unit.test_mail_dkim import MAIL, NOW, pem, rsa, signed_by_dkimpy

HOPS = ("one.example.net", "two.example.net", "three.example.net")
RECORD = key_record(rsa())


def published(name: bytes, timeout: int = 5) -> bytes:
    return RECORD.encode()


@cache
def passed_on(hops: int) -> bytes:
    """The mail after so many forwarders."""
    mail = MAIL
    for hop in HOPS[:hops]:
        found = b"Authentication-Results: %s; arc=%s\r\n" % (
            hop.encode(),
            b"none" if mail == MAIL else b"pass",
        )
        headers = dkim.arc_sign(
            found + mail,
            b"s1",
            hop.encode(),
            pem(rsa()),
            hop.encode(),
            include_headers=[b"from", b"to", b"subject"],
        )
        mail = b"".join(headers) + mail
    return mail


def ours(raw: bytes) -> bool:
    """Whether the chain holds."""
    mail = read_signed(raw)
    if mail is None:
        return False
    try:
        chain = read_chain(mail, NOW)
        if chain is None:
            return False
        key = read_key([RECORD], chain.newest.key_kind)
        verify_signature(chain.newest, mail, key)
        for number, _ in enumerate(chain.sets, 1):
            verify_seal(chain, number, key)
    except BadSignature:
        return False
    return True


def theirs(raw: bytes) -> bool:
    try:
        return bool(dkim.arc_verify(raw, dnsfunc=published)[0] == dkim.CV_Pass)
    except Exception:
        return False


@pytest.mark.parametrize("hops", [1, 2, 3])
def test_a_chain_of_anothers_making_holds(hops: int) -> None:
    assert ours(passed_on(hops))
    assert theirs(passed_on(hops))


FIELDS = [b"ARC-Seal: i=1", b"ARC-Seal: i=2", b"ARC-Message-Signature: i=1", b"ARC-Message-Signature: i=2"]
CHANGES = [
    *((name, name[:-1] + b"7") for name in FIELDS),
    *((name, b"X-" + name) for name in FIELDS),
    (b"ARC-Authentication-Results: i=1", b"X: i=1"),
    (b"ARC-Authentication-Results: i=1", b"ARC-Authentication-Results: i=0"),
    (b"cv=pass", b"cv=none"),
    (b"cv=none", b"cv=pass"),
    (b"cv=pass", b"cv=fail"),
    (b"rsa-sha256", b"rsa-sha1"),
    (b"arc=none", b"arc=pass"),
    (b"d=one.example.net", b"d=evil.example.net"),
    (b"Where", b"There"),
    (b"Subject: The", b"Subject: An"),
    (b"From: Ana", b"From: Eve"),
]


@pytest.mark.parametrize(("old", "new"), CHANGES)
def test_a_chain_that_was_tampered_with_does_not_hold(old: bytes, new: bytes) -> None:
    raw = passed_on(2)
    assert old in raw
    assert not ours(raw.replace(old, new, 1))


@pytest.mark.parametrize("name", [b"ARC-Seal", b"ARC-Message-Signature", b"ARC-Authentication-Results"])
def test_two_of_one_instance_are_none(name: bytes) -> None:
    raw = passed_on(1)
    start = raw.index(name)
    end = raw.index(b"\r\n", start)
    while raw[end + 2 : end + 3] in (b" ", b"\t"):
        end = raw.index(b"\r\n", end + 2)
    assert not ours(raw[start : end + 2] + raw)


places = st.floats(0, 1, exclude_max=True)
bytes_ = st.sampled_from([b"", b" ", b"a", b"=", b";", b"\r\n", b"\r\n ", b":", b"i=2", b"\xff"])


@settings(max_examples=150)
@given(st.sampled_from([1, 2]), places, st.integers(0, 4), bytes_)
def test_ours_believes_no_chain_that_another_doubts(hops: int, place: float, cut: int, put: bytes) -> None:
    raw = passed_on(hops)
    at = int(len(raw) * place)
    changed = raw[:at] + put + raw[at + cut :]
    if ours(changed):
        assert theirs(changed)


@settings(max_examples=150)
@given(st.sampled_from([b"simple/simple", b"relaxed/relaxed"]), places, st.integers(0, 4), bytes_)
def test_ours_believes_no_signature_that_another_doubts(
    form: bytes, place: float, cut: int, put: bytes
) -> None:
    raw = _signed(form)
    at = int(len(raw) * place)
    changed = raw[:at] + put + raw[at + cut :]
    mail = read_signed(changed)
    if mail is None or not signature_fields(mail):
        return
    try:
        signature = read_signature(signature_fields(mail)[0], NOW)
        verify_signature(signature, mail, read_key([RECORD], signature.key_kind))
    except BadSignature:
        return
    assert dkim.verify(changed, dnsfunc=published)


@cache
def _signed(form: bytes) -> bytes:
    return signed_by_dkimpy(form=form)
