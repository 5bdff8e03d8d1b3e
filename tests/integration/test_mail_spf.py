"""SPF against the test suite of RFC 7208, as the source package of pyspf holds it, over a real resolver."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from channels.email.auth.dns import CachedDns
from channels.email.auth.spf import SpfClient, check_host
from tests.fake_dns import FAIL, Record, fake_dns
from tests.vectors import source_package


def _scenarios() -> list[dict[str, Any]]:
    suite = source_package("pyspf==2.0.14") / "test" / "rfc7208-tests.yml"
    return list(yaml.safe_load_all(suite.read_text(encoding="utf-8")))


def _zone(scenario: dict[str, Any]) -> dict[str, list[Record]]:
    """The suite says SPF records once; as TXT they count unless a name says its TXT records itself."""
    return {str(name).rstrip("."): list(_records(rows)) for name, rows in scenario["zonedata"].items()}


def _records(rows: list[Any]) -> Iterator[Record]:
    pairs = [pair for row in rows if isinstance(row, dict) for pair in row.items()]
    if "TIMEOUT" in rows:
        told = [kind for kind, value in pairs if value != "NONE"]
        yield from ((kind, FAIL) for kind in ("TXT", "A", "AAAA", "MX", "PTR") if kind not in told)
    explicit = any(kind == "TXT" for kind, _ in pairs)
    for kind, value in pairs:
        if kind == "SPF" and explicit:
            continue
        shown = "TXT" if kind == "SPF" else kind
        if value == "TIMEOUT":
            yield shown, FAIL
        elif value not in ("NONE", ["NONE"]):
            joined = "" if shown == "TXT" else " "
            yield shown, joined.join(map(str, value)) if isinstance(value, list) else str(value)


async def test_the_suite_of_rfc_7208() -> None:
    wrong: list[str] = []
    checked = 0
    for scenario in _scenarios():
        async with fake_dns(_zone(scenario)) as server:
            dns = CachedDns(server.address, seconds=60)
            for name, case in scenario["tests"].items():
                client = SpfClient.of(case["host"], case["mailfrom"] or "", case.get("helo") or "")
                result, _ = await check_host(dns, client)
                wanted = case["result"] if isinstance(case["result"], list) else [case["result"]]
                checked += 1
                if result.value not in wanted:
                    wrong.append(f"{name}: {result} instead of {wanted}")
    print(f"RFC 7208: {checked - len(wrong)} of {checked}")
    assert not wrong
    assert checked > 150


async def test_a_name_that_is_asked_again_is_remembered() -> None:
    async with fake_dns({"example.org": [("TXT", "v=spf1 ip4:192.0.2.1 -all")]}) as server:
        dns = CachedDns(server.address, seconds=60)
        client = SpfClient.of("192.0.2.1", "ana@example.org", "c")
        assert [(await check_host(dns, client))[0] for _ in range(3)] == ["pass"] * 3
        assert server.asked["example.org", "TXT"] == 1


@pytest.mark.parametrize("silent", [True, False])
async def test_a_server_that_does_not_answer_is_no_verdict(silent: bool) -> None:
    async with fake_dns({"example.org": [("TXT", FAIL)]}) as server:
        server.silent = silent
        dns = CachedDns(server.address, seconds=0.1 if silent else 60)
        result, _ = await check_host(dns, SpfClient.of("192.0.2.1", "ana@example.org", "c"))
        assert result == "temperror"


async def test_an_ipv4_client_in_ipv6_clothes_is_ipv4() -> None:
    async with fake_dns({"example.org": [("TXT", "v=spf1 ip4:192.0.2.1 -all")]}) as server:
        client = SpfClient.of("::ffff:192.0.2.1", "ana@example.org", "c")
        assert (await check_host(CachedDns(server.address, seconds=60), client))[0] == "pass"
