"""Who sent a mail, asked of a DNS server on loopback."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from channels.email.auth.dns import CachedDns
from channels.email.auth.sender import Judgement, MailArrival, OwnCheck, Standing, TrustedServer
from channels.email.sign import DkimSigner, key_record
from gateway.domain.clock import Clock
from tests.fake_dns import FAIL, FakeDns, Record, fake_dns

NOW = 2_000_000_000
MAIL = b"From: Ana <ana@example.com>\r\nTo: s@example.org\r\nSubject: Bill\r\n\r\nWhere is it?\r\n"
REJECT = {"_dmarc.example.com": [("TXT", "v=DMARC1; p=reject")]}
SPF = {"example.com": [("TXT", "v=spf1 ip4:192.0.2.1 -all")]}


@cache
def key() -> RSAPrivateKey:
    return generate_private_key(public_exponent=65_537, key_size=1_024)


KEY = {"s1._domainkey.example.com": [("TXT", key_record(key()))]}


def signed(mail: bytes = MAIL, domain: str = "example.com") -> bytes:
    return DkimSigner(domain, "s1", key()).sign(mail)


@pytest.fixture
async def dns() -> AsyncIterator[FakeDns]:
    async with fake_dns() as server:
        yield server


Check = Callable[..., "asyncio.Future[Judgement]"]


@pytest.fixture
async def check(dns: FakeDns) -> AsyncIterator[Check]:
    with ThreadPoolExecutor(2) as executor:

        async def judged(
            raw: bytes = MAIL,
            *zones: Mapping[str, list[Record]],
            client: str | None = "192.0.2.1",
            mail_from: str = "ana@example.com",
            sealers: tuple[str, ...] = (),
            sender: str = "ana@example.com",
            seconds: float = 60.0,
        ) -> Judgement:
            for zone in zones:
                dns.add(zone)
            own = OwnCheck(
                CachedDns(dns.address, seconds),
                Clock(now=lambda: NOW * 1_000_000),
                executor,
                sealers,
                seconds=10 * seconds,
            )
            arrival = MailArrival(raw=raw, client=client, mail_from=mail_from, helo="c.example.net")
            return await own(arrival, sender)

        yield lambda *args, **kwargs: asyncio.ensure_future(judged(*args, **kwargs))


async def test_an_aligned_client_proves_the_domain(check: Check) -> None:
    assert (await check(MAIL, SPF)).standing is Standing.PROVEN
    assert (await check(MAIL, REJECT)).standing is Standing.PROVEN


async def test_a_client_that_speaks_for_another_domain_proves_nothing(check: Check) -> None:
    other = {"evil.org": [("TXT", "v=spf1 +all")]}
    assert (await check(MAIL, other, mail_from="eve@evil.org")).standing is Standing.UNPROVEN


async def test_an_aligned_signature_proves_the_domain(check: Check) -> None:
    judgement = await check(signed(), KEY, client="198.51.100.9")
    assert judgement.standing is Standing.PROVEN
    assert "dkim=pass header.d=example.com" in judgement.grounds


async def test_every_signature_is_looked_at(check: Check) -> None:
    esp = {"s1._domainkey.esp.net": [("TXT", key_record(key()))]}
    twice = signed(signed(), "esp.net")
    assert (await check(twice, KEY, esp, REJECT, client="198.51.100.9")).standing is Standing.PROVEN


@pytest.mark.parametrize(
    ("policy", "standing"),
    [
        ("v=DMARC1; p=reject", Standing.REFUSED),
        ("v=DMARC1; p=quarantine", Standing.REFUSED),
        ("v=DMARC1; p=none", Standing.FAILED),
        ("v=DMARC1; p=reject; pct=0", Standing.FAILED),
        ("v=DMARC1; rua=mailto:x@example.com", Standing.FAILED),
        ("v=DMARC1", Standing.UNPROVEN),
        ("v=spf1 -all", Standing.UNPROVEN),
    ],
)
async def test_what_breaks_the_rules_of_its_domain(check: Check, policy: str, standing: Standing) -> None:
    zone: dict[str, list[Record]] = {"_dmarc.example.com": [("TXT", policy)]}
    assert (await check(MAIL, SPF, zone, client="198.51.100.9")).standing is standing


async def test_a_subdomain_has_the_rules_of_its_organisation(check: Check) -> None:
    zone: dict[str, list[Record]] = {"_dmarc.example.com": [("TXT", "v=DMARC1; p=none; sp=reject; adkim=s")]}
    forged = MAIL.replace(b"ana@example.com", b"ana@eu.example.com")
    assert (await check(forged, zone, sender="ana@eu.example.com")).standing is Standing.REFUSED
    strict = await check(signed(forged), KEY, sender="ana@eu.example.com")
    assert strict.standing is Standing.REFUSED


@pytest.mark.parametrize(
    "broken",
    [
        {"_dmarc.example.com": [("TXT", FAIL)]},
        {"example.com": [("TXT", FAIL)]},
        {"s1._domainkey.example.com": [("TXT", FAIL)]},
    ],
)
async def test_what_the_dns_does_not_answer_is_decided_later(
    check: Check, broken: dict[str, list[Record]]
) -> None:
    assert (await check(signed(), broken)).standing is Standing.UNDECIDED


async def test_a_silent_dns_has_a_time_limit(check: Check, dns: FakeDns) -> None:
    dns.silent = True
    async with asyncio.timeout(60):
        assert (await check(signed(), seconds=0.2)).standing is Standing.UNDECIDED


async def test_a_proof_needs_no_policy(check: Check) -> None:
    away: dict[str, list[Record]] = {"_dmarc.example.com": [("TXT", FAIL)]}
    assert (await check(signed(), KEY, away)).standing is Standing.PROVEN


@pytest.mark.parametrize(
    "header", [b"Subject: Other\r\n", b"Content-Type: text/html\r\nContent-Type: text/plain\r\n"]
)
async def test_a_second_header_beside_the_signed_one_is_no_proof(check: Check, header: bytes) -> None:
    mail = dkim.sign(MAIL, b"s1", b"example.com", pem(), include_headers=[b"from", b"subject"]) + MAIL
    assert (await check(mail, KEY)).standing is Standing.PROVEN
    assert (await check(header + mail)).standing is Standing.UNPROVEN


def pem() -> bytes:
    return key().private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def sealed(mail: bytes, domain: str, found: bytes) -> bytes:
    """The mail as a forwarder passes it on that found this."""
    results = b"Authentication-Results: %s; %s\r\n" % (domain.encode(), found)
    headers = dkim.arc_sign(
        results + mail,
        b"s1",
        domain.encode(),
        pem(),
        domain.encode(),
        include_headers=[b"from", b"to", b"subject"],
    )
    return b"".join(headers) + mail


PASSED = b"arc=none; dmarc=pass header.from=example.com"
SEALERS: dict[str, list[Record]] = {
    f"s1._domainkey.{domain}": [("TXT", key_record(key()))] for domain in ("list.net", "hop.net")
}


async def test_a_sealer_of_our_trust_vouches_for_what_it_changed(check: Check) -> None:
    forwarded = sealed(MAIL, "list.net", PASSED)
    trusted = {"client": "198.51.100.9", "sealers": ("list.net",)}
    assert (await check(forwarded, SEALERS, REJECT, **trusted)).standing is Standing.PROVEN
    assert (await check(forwarded, client="198.51.100.9")).standing is Standing.REFUSED
    assert (await check(forwarded.replace(b"Where", b"There"), **trusted)).standing is Standing.REFUSED
    failed = sealed(MAIL, "list.net", PASSED.replace(b"pass", b"fail"))
    assert (await check(failed, **trusted)).standing is Standing.REFUSED


async def test_a_chain_counts_as_far_as_its_sealers_are_trusted(check: Check) -> None:
    twice = sealed(
        sealed(MAIL, "list.net", PASSED), "hop.net", b"arc=pass; dmarc=fail header.from=example.com"
    )
    both, far = ("list.net", "hop.net"), ("list.net",)
    away = "198.51.100.9"
    assert (await check(twice, SEALERS, REJECT, client=away, sealers=both)).standing is Standing.PROVEN
    assert (await check(twice, client=away, sealers=far)).standing is Standing.REFUSED
    torn = twice.replace(b"ARC-Seal: i=1", b"ARC-Seal: i=3")
    assert (await check(torn, client=away, sealers=both)).standing is Standing.REFUSED


@pytest.mark.parametrize(
    ("found", "standing"),
    [("pass", Standing.PROVEN), ("fail", Standing.FAILED), ("none", Standing.UNPROVEN)],
)
async def test_what_a_trusted_server_found_counts(found: str, standing: Standing) -> None:
    header = f"Authentication-Results: mx.example.org; dmarc={found} header.from=example.com\r\n".encode()
    raw = header + b"Received: from c\r\n" + MAIL
    trusted = TrustedServer("mx.example.org")
    assert (await trusted(MailArrival(raw=raw), "ana@example.com")).standing is standing
    assert (await trusted(MailArrival(raw=raw), "eve@evil.org")).standing is Standing.UNPROVEN
