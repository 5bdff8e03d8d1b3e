"""What `gateway mail setup` prints is what `gateway doctor` finds right."""

from pathlib import Path

import pytest

from channels.email.auth.dns import RecordType
from channels.email.records import wanted_records
from channels.email.sign import key_record, make_private_key, read_private_key
from gateway.app import Plan, Role, StartRefused, running
from gateway.commands.findings import Verdict
from gateway.commands.mail_checks import mail_findings
from gateway.settings import Settings, load_settings
from tests.fake_dns import FAIL, FakeDns, Record, fake_dns


def told(folder: Path, dns: FakeDns, **environment: str) -> Settings:
    environ = {
        "GATEWAY_MAIL_DOMAIN": "example.org",
        "GATEWAY_DNS_SERVER": f"127.0.0.1:{dns.port}",
        "GATEWAY_DKIM_SELECTOR": "s1",
        "GATEWAY_DKIM_KEY_FILE": str(folder / "key.pem"),
        **environment,
    }
    return load_settings(environ, config_path=None, data_dir=folder, host="127.0.0.1", port=0)


@pytest.fixture
def key(tmp_path: Path) -> str:
    path = tmp_path / "key.pem"
    path.write_bytes(make_private_key())
    return key_record(read_private_key(path))


async def verdicts(settings: Settings) -> dict[str, Verdict]:
    return {finding.subject: finding.verdict for finding in await mail_findings(settings)}


async def test_what_is_printed_is_found_right(tmp_path: Path, key: str) -> None:
    records = wanted_records("example.org", "mail.example.org", selector="s1", key=key)
    zone: dict[str, list[Record]] = {}
    for record in records:
        zone.setdefault(record.name, []).append((record.kind.value, record.value))
    assert {record.kind for record in records} == {RecordType.MX, RecordType.TXT}
    async with fake_dns(zone) as dns:
        assert set((await verdicts(told(tmp_path, dns))).values()) == {Verdict.OK}
        dns.zone["s1._domainkey.example.org"] = [("TXT", key.replace("p=M", "p=N"))]
        dns.zone["example.org"].append(("TXT", "v=spf1 -all"))
        found = await verdicts(told(tmp_path, dns))
        assert found == {
            "mail MX": Verdict.OK,
            "mail SPF": Verdict.FAIL,
            "mail DKIM": Verdict.FAIL,
            "mail DMARC": Verdict.OK,
        }


@pytest.mark.parametrize(
    "records", [[], [("MX", "0 .")], [("MX", FAIL), ("TXT", FAIL)], [("TXT", "v=spf1 nonsense")]]
)
async def test_what_is_missing_is_told(tmp_path: Path, key: str, records: list[Record]) -> None:
    async with fake_dns({"example.org": records} if records else {}) as dns:
        assert set((await verdicts(told(tmp_path, dns))).values()) == {Verdict.FAIL}


async def test_without_a_key_nothing_is_signed(tmp_path: Path, key: str) -> None:
    (tmp_path / "key.pem").unlink()
    async with fake_dns() as dns:
        assert (await verdicts(told(tmp_path, dns)))["mail DKIM"] is Verdict.FAIL
    async with fake_dns() as dns:
        environ = {"GATEWAY_MAIL_DOMAIN": "example.org", "GATEWAY_DNS_SERVER": f"127.0.0.1:{dns.port}"}
        settings = load_settings(environ, config_path=None, data_dir=tmp_path, host="127.0.0.1", port=0)
        assert (await verdicts(settings))["mail DKIM"] is Verdict.SKIP


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"GATEWAY_DKIM_KEY_FILE": "broken.pem"}, "GATEWAY_DKIM_KEY_FILE"),
        ({"GATEWAY_DNS_SERVER": "not.an.address:53"}, "GATEWAY_DNS_SERVER"),
    ],
)
async def test_what_cannot_work_stops_the_start(
    tmp_path: Path, key: str, monkeypatch: pytest.MonkeyPatch, change: dict[str, str], named: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.pem").write_text("no key")
    async with fake_dns() as dns:
        told_so = told(tmp_path, dns, GATEWAY_SMTP_PORT="0", GATEWAY_SMTP_RELAY_URL="smtp://r", **change)
        with pytest.raises(StartRefused, match=named):
            async with running(told_so, Plan(roles=frozenset(Role), migrate=True)):
                pass


@pytest.mark.parametrize(
    ("environment", "verdict"),
    [
        ({}, None),
        ({"GATEWAY_MAILGUN_SIGNING_KEY": "key"}, Verdict.WARN),
        ({"GATEWAY_MAILGUN_SIGNING_KEY": "key", "GATEWAY_MAILGUN_WEBHOOK_LOGIN": "me:pw"}, Verdict.OK),
    ],
)
async def test_a_mailgun_whose_mails_may_have_no_files_is_told(
    tmp_path: Path, environment: dict[str, str], verdict: Verdict | None
) -> None:
    settings = load_settings(environment, config_path=None, data_dir=tmp_path, host="127.0.0.1", port=0)
    assert (await verdicts(settings)).get("Mailgun") is verdict
