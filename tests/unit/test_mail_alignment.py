"""Which domains count as one, with real top-level domains; what Authentication-Results say."""

import pytest

from channels.email.auth.dmarc import aligned, organisational
from channels.email.auth.results import Result, dmarc_of, read_results, results_of
from channels.email.auth.signed import read_signed


@pytest.mark.parametrize(
    ("from_domain", "proven", "relaxed"),
    [
        ("example.com", "example.com", True),
        ("mail.example.com", "example.com", True),
        ("example.com", "bounce.mail.example.com", True),
        ("a.example.com", "b.example.com", True),
        ("example.com", "example.org", False),
        ("example.com", "badexample.com", False),
        ("shop.co.uk", "other.co.uk", False),
        ("mail.shop.co.uk", "shop.co.uk", True),
        ("a.kobe.jp", "b.kobe.jp", False),
        ("x.city.kobe.jp", "city.kobe.jp", True),
        ("alice.github.io", "eve.github.io", False),
        ("www.alice.github.io", "alice.github.io", True),
        ("co.uk", "shop.co.uk", False),
        ("com", "example.com", False),
        ("good.internal", "evil.internal", False),
        ("good.test", "evil.test", False),
        ("mail.good.test", "good.test", True),
        ("xn--mnchen-3ya.de", "mail.xn--mnchen-3ya.de", True),
        ("pruebas.com.ar", "otra.com.ar", False),
        ("a.blogspot.com", "b.blogspot.com", False),
    ],
)
def test_alignment(from_domain: str, proven: str, relaxed: bool) -> None:
    assert aligned(from_domain, proven, strict=False) is relaxed
    assert aligned(proven, from_domain, strict=False) is relaxed
    assert aligned(from_domain, proven, strict=True) is (from_domain == proven)


def test_a_public_suffix_is_nobodys_domain() -> None:
    assert organisational("co.uk") == "co.uk"
    assert organisational("a.b.example.co.uk") == "example.co.uk"


def test_results_are_read_by_tokens() -> None:
    header = (
        ' mx.Example.ORG 1; spf=pass (sender (nested) dmarc=pass) smtp.mailfrom="x; dmarc=pass"@evil.org;\r\n'
        "\tdmarc=fail (p=none) header.from=Example.com; dkim=pass header.d=example.com"
    )
    results = read_results(header)
    assert results is not None
    assert results.server == "mx.example.org"
    assert [(r.method, r.value) for r in results.results] == [
        ("spf", "pass"),
        ("dmarc", "fail"),
        ("dkim", "pass"),
    ]
    assert results.results[1] == Result("dmarc", "fail", {"header.from": "example.com"})


@pytest.mark.parametrize(
    "header",
    [
        "",
        "mx.example.org",
        "mx.example.org; none",
        "spf=pass",
        "; spf=pass",
        "mx.example.org; spf",
        "mx; (" * 2000,
    ],
)
def test_headers_without_results(header: str) -> None:
    results = read_results(header)
    assert results is None or not results.results


def test_a_failure_outweighs_and_another_domain_does_not_count() -> None:
    passed = Result("dmarc", "pass", {"header.from": "example.com"})
    failed = Result("dmarc", "fail", {"header.from": "example.com"})
    assert dmarc_of([passed], "example.com") == "pass"
    assert dmarc_of([passed, failed], "example.com") == "fail"
    assert dmarc_of([passed], "evil.org") is None
    assert dmarc_of([], "example.com") is None


OURS = b"Authentication-Results: mx.example.org; dmarc=pass header.from=example.com\r\n"
RECEIVED = b"Received: from c by mx.example.org\r\n"
REST = b"From: a@example.com\r\n\r\nx\r\n"


@pytest.mark.parametrize(
    ("raw", "counts"),
    [
        (OURS + RECEIVED + REST, True),
        (OURS + REST, True),
        (RECEIVED + OURS + REST, False),
        (OURS.replace(b"mx.example.org", b"evil.org") + RECEIVED + REST, False),
        (OURS.replace(b"mx.example.org", b"evil.org") + OURS + RECEIVED + REST, True),
        (REST, False),
    ],
)
def test_only_what_our_server_put_above_counts(raw: bytes, counts: bool) -> None:
    mail = read_signed(raw)
    assert mail is not None
    assert (dmarc_of(results_of(mail, "MX.example.org"), "example.com") == "pass") is counts
