"""Webhooks out: when an attempt is made again, and where none ever goes."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.clock import SECOND
from gateway.domain.public_address import is_public
from gateway.domain.signing import signing_key
from gateway.domain.webhook import GIVE_UP_SECONDS, WebhookOutcome, new_secret, retry_delay

REFUSED = (
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
    *("192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
    *("224.0.0.0/4", "240.0.0.0/4", "255.255.255.255/32"),
    *("::/96", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8", "2001:db8::/32", "2001::/32", "2002::/16"),
    *("64:ff9b:1::/48", "100::/64"),
)
PRIVATE_V4 = [ip_network(text) for text in REFUSED if ":" not in text]
INSIDE_V6 = [int(IPv6Address(text)) for text in ("::ffff:0:0", "64:ff9b::")]
"""Where an IPv4 address lies in the last 32 bits of an IPv6 one."""


@pytest.mark.parametrize(
    ("attempt", "seconds"),
    [(1, 5), (2, 30), (3, 120), (4, 600), (5, 3600), (6, 3600), (28, 3600), (10_000, 3600)],
)
def test_the_pause_grows(attempt: int, seconds: int) -> None:
    assert retry_delay(attempt, 0) == seconds * SECOND


@given(st.integers(1, 1000), st.integers(0, 2 * GIVE_UP_SECONDS * SECOND))
def test_nothing_is_tried_after_a_day(attempt: int, tried_for: int) -> None:
    delay = retry_delay(attempt, tried_for)
    pause = retry_delay(attempt, 0)
    assert pause is not None
    fits = tried_for + pause <= GIVE_UP_SECONDS * SECOND
    assert delay == (pause if fits else None)


def test_a_day_has_as_many_attempts_as_it_has() -> None:
    attempts, passed = 1, 0
    while (delay := retry_delay(attempts, passed)) is not None:
        passed += delay
        attempts += 1
    assert (attempts, passed // SECOND) == (28, 5 + 30 + 120 + 600 + 23 * 3600)


@pytest.mark.parametrize(
    ("code", "delivered", "gone"),
    [
        *((200, True, False), (204, True, False), (299, True, False)),
        *((100, False, False), (301, False, False), (410, False, True), (500, False, False)),
        (None, False, False),
    ],
)
def test_only_2xx_is_taken(code: int | None, delivered: bool, gone: bool) -> None:
    outcome = WebhookOutcome(code)
    assert (outcome.delivered, outcome.gone) == (delivered, gone)


def test_secrets_are_random_and_usable() -> None:
    first, second = new_secret(), new_secret()
    assert first != second
    assert first.startswith("whsec_")
    assert len(signing_key(first)) == 32


@given(st.data())
def test_no_address_of_a_reserved_network_is_public(data: st.DataObject) -> None:
    network = ip_network(data.draw(st.sampled_from(REFUSED)))
    address = network[data.draw(st.integers(0, network.num_addresses - 1))]
    assert not is_public(str(address))
    assert not is_public(address.exploded)


@given(st.sampled_from(INSIDE_V6), st.data())
def test_an_address_within_another_is_judged_by_what_it_leads_to(prefix: int, data: st.DataObject) -> None:
    if data.draw(st.booleans()):
        network = data.draw(st.sampled_from(PRIVATE_V4))
        assert isinstance(network, IPv4Network)
        inner = network[data.draw(st.integers(0, network.num_addresses - 1))]
    else:
        inner = IPv4Address(data.draw(st.integers(0, 2**32 - 1)))
    outer = IPv6Address(prefix | int(inner))
    assert is_public(str(outer)) == is_public(str(inner))


@given(st.ip_addresses(v=4))
def test_what_is_public_is_outside_all_that_is_not(address: IPv4Address) -> None:
    if is_public(str(address)):
        assert address.is_global
        assert not any(address in network for network in PRIVATE_V4)


@given(st.ip_addresses(v=6), st.text("abcdefgh0123456789", min_size=1, max_size=8))
def test_an_address_of_one_link_is_not_public(address: IPv6Address, scope: str) -> None:
    assert not is_public(f"{address}%{scope}")


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.0", "172.32.0.1", "2606:4700::1111"]
)
def test_what_is_public(address: str) -> None:
    assert is_public(address)
    assert isinstance(ip_network(address), IPv4Network | IPv6Network)


@given(st.text(max_size=40))
def test_what_is_no_address_is_not_public(text: str) -> None:
    assert not is_public(f"{text}x")
