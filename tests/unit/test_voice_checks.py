"""What `gateway doctor` says of jambonz."""

from pathlib import Path

import pytest

from gateway.commands.findings import Verdict
from gateway.commands.voice_checks import check_jambonz
from gateway.settings import Settings, load_settings

OURS = '[[addresses]]\nchannel = "voice"\naddress = "+15550100"\nvoice_mode = "jambonz"\n'
AGENT = '[organisation]\nname = "Here"\n[agents.support]\nkind = "demo"\n'


def settings(folder: Path, addresses: str, **environ: str) -> Settings:
    """Those of a configuration."""
    config = folder / "gateway.toml"
    config.write_text(AGENT + addresses, "utf-8")
    public = {"GATEWAY_PUBLIC_URL": "https://gateway.example.org"}
    return load_settings(public | environ, config_path=config, data_dir=folder, host="127.0.0.1", port=8080)


@pytest.mark.parametrize(
    ("addresses", "login", "verdict", "told"),
    [
        ("", "", Verdict.SKIP, "JAMBONZ_WEBHOOK_LOGIN is unset"),
        (OURS, "", Verdict.FAIL, "no call to +15550100 can be taken"),
        ("", "a:b", Verdict.WARN, 'no address has voice_mode = "jambonz"'),
        (OURS, "a:b", Verdict.OK, "wss://gateway.example.org/webhooks/jambonz"),
    ],
)
async def test_whether_jambonz_can_open_the_calls_that_are_its_own(
    tmp_path: Path, addresses: str, login: str, verdict: Verdict, told: str
) -> None:
    finding = await check_jambonz(settings(tmp_path, addresses, JAMBONZ_WEBHOOK_LOGIN=login))
    assert finding.verdict is verdict
    assert told in finding.text
    assert "a:b" not in finding.text
