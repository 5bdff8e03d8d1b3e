"""DKIM: what others sign holds here, what we sign holds for others, what was changed holds nowhere."""

from functools import cache

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.email.auth.dkim import read_signature, signature_fields, verify_signature
from channels.email.auth.keys import read_key
from channels.email.auth.signed import BadSignature, SignedMail, read_signed, read_tags
from channels.email.sign import DkimSigner, key_record

NOW = 2_000_000_000
MAIL = (
    b"From: Ana <ana@example.com>\r\nTo: support@example.org\r\nSubject: The  bill\r\n\tof May\r\n"
    b"Date: Mon, 2 Nov 2026 09:00:00 +0000\r\nMessage-ID: <m1@example.com>\r\n\r\n"
    b"Where is it? \r\n\r\n a\r\n\r\n\r\n"
)


@cache
def rsa(bits: int = 1_024) -> RSAPrivateKey:
    return generate_private_key(public_exponent=65_537, key_size=bits)


def pem(key: RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def signed_by_dkimpy(mail: bytes = MAIL, form: bytes = b"relaxed/relaxed", **options: object) -> bytes:
    header, body = form.split(b"/")
    signature = dkim.sign(mail, b"s1", b"example.com", pem(rsa()), canonicalize=(header, body), **options)
    return bytes(signature) + mail


def check(raw: bytes, record: str | None = None, number: int = 0) -> None:
    mail = read_signed(raw)
    assert isinstance(mail, SignedMail)
    signature = read_signature(signature_fields(mail)[number], NOW)
    verify_signature(signature, mail, read_key([record or key_record(rsa())], signature.key_kind))


@pytest.mark.parametrize("form", [b"simple/simple", b"simple/relaxed", b"relaxed/simple", b"relaxed/relaxed"])
@pytest.mark.parametrize(
    "mail", [MAIL, b"From: a@b.org\r\nSubject: x\r\n\r\n", MAIL.partition(b"\r\n\r\n")[0] + b"\r\n\r\n\r\n"]
)
def test_what_another_signer_signs_holds(mail: bytes, form: bytes) -> None:
    check(signed_by_dkimpy(mail, form))


@settings(max_examples=50)
@given(st.text("ab \t.:;\n", max_size=60), st.sampled_from([b"simple/simple", b"relaxed/relaxed"]))
def test_any_body_is_canonical_as_others_see_it(text: str, form: bytes) -> None:
    body = text.replace("\n", "\r\n").encode() + b"\r\n"
    check(signed_by_dkimpy(MAIL.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + body, form))


@pytest.mark.parametrize("mail", [MAIL, MAIL * 2, b"From: a@b.org\r\n\r\n"])
def test_what_ours_signs_holds_for_others(mail: bytes) -> None:
    signed = DkimSigner("example.com", "s1", rsa()).sign(mail)
    record = key_record(rsa()).encode()
    assert dkim.verify(signed, dnsfunc=lambda name, timeout=5: record)
    assert signed == DkimSigner("example.com", "s1", rsa()).sign(mail)
    check(signed)


def test_ed25519_is_understood() -> None:
    key = Ed25519PrivateKey.generate()
    signed = DkimSigner("example.com", "s1", key).sign(MAIL)
    check(signed, key_record(key))
    with pytest.raises(BadSignature):
        check(signed, key_record(Ed25519PrivateKey.generate()))


def test_the_second_signature_counts_as_well() -> None:
    other = generate_private_key(public_exponent=65_537, key_size=1_024)
    twice = DkimSigner("esp.net", "s9", other).sign(signed_by_dkimpy())
    check(twice, number=1)
    check(twice, key_record(other), number=0)


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"Where", b"There"), (b"The  bill", b"The bell"), (b"ana@", b"eve@"), (b" a\r\n", b" a\r\nb\r\n")],
)
def test_what_was_changed_does_not_hold(old: bytes, new: bytes) -> None:
    with pytest.raises(BadSignature):
        check(signed_by_dkimpy().replace(old, new))


def test_an_added_header_breaks_our_signature() -> None:
    signed = DkimSigner("example.com", "s1", rsa()).sign(MAIL)
    for header in (b"Subject: other\r\n", b"Reply-To: eve@evil.org\r\n", b"References: <x@y>\r\n"):
        with pytest.raises(BadSignature):
            check(header + signed)


def test_a_signature_over_a_part_of_the_body_proves_nothing() -> None:
    with pytest.raises(BadSignature, match="part of the body"):
        check(signed_by_dkimpy(length=True))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ((b"a=rsa-sha256", b"a=rsa-sha1"), "proves nothing"),
        ((b"t=", f"x={NOW - 1}; t=".encode()), "expired"),
        ((b"d=example.com", b"d=com"), "not a domain"),
        ((b"h=from", b"h=date"), "From"),
        ((b"v=1", b"v=2"), "version"),
        ((b"i=@example.com", b"i=@example.org"), "within"),
        ((b"d=", b"d=x; d="), "twice"),
    ],
)
def test_signatures_that_are_not_believed(change: tuple[bytes, bytes], why: str) -> None:
    head, _, rest = signed_by_dkimpy(include_headers=[b"from", b"subject"]).partition(b"From: ")
    with pytest.raises(BadSignature, match=why):
        check(head.replace(b"h=subject : from", b"h=from : subject").replace(*change) + b"From: " + rest)


def test_a_subject_that_is_not_covered_proves_nothing() -> None:
    with pytest.raises(BadSignature, match="Subject"):
        check(signed_by_dkimpy(include_headers=[b"from", b"to"]))


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ("v=DKIM1; p=", "revoked"),
        ("v=DKIM1; k=ed25519; p=AAAA", "another kind"),
        ("v=DKIM2; p=AAAA", "another version"),
        ("v=DKIM1; p=!!", "cannot be read"),
        ("v=DKIM1; p=AAAA", "cannot be read"),
        ("hello", "not a tag list"),
    ],
)
def test_keys_that_are_none(record: str, why: str) -> None:
    with pytest.raises(BadSignature, match=why):
        read_key([record], "rsa")
    read_key([record, key_record(rsa())], "rsa")


def test_what_a_key_is_for_counts() -> None:
    record = key_record(rsa())
    for restriction in ("h=sha1", "s=other"):
        with pytest.raises(BadSignature):
            read_key([f"{restriction}; {record.removeprefix('v=DKIM1; ')}"], "rsa")
    strict = f"{record}; t=s"
    check(signed_by_dkimpy(), strict)
    with pytest.raises(BadSignature, match="subdomains"):
        check(signed_by_dkimpy(identity=b"@eu.example.com"), strict)
    check(signed_by_dkimpy(identity=b"@eu.example.com"))


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_not(raw: bytes) -> None:
    mail = read_signed(raw)
    if mail is not None:
        for field in mail.fields:
            try:
                read_tags(field.value.decode("utf-8", "replace"))
            except BadSignature:
                continue


def test_mail_that_is_no_mail_has_no_signatures() -> None:
    assert read_signed(b"no header here\r\n\r\nbody") is None
    assert read_signed(b"From: a@b.org") is None
    assert read_signed(b"X: " + b"y" * 300_000 + b"\r\n\r\nbody") is None
    lone = read_signed(MAIL.replace(b"\r\n", b"\n"))
    assert lone == read_signed(MAIL)


def test_runs_of_blanks_are_searched_once() -> None:
    mail = b"From: a@b.org\r\n\r\n" + (b" " * 2_000_000 + b"x") * 2 + b"\r\n"
    check(DkimSigner("example.com", "s1", rsa()).sign(mail))
