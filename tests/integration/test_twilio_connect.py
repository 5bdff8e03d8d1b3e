"""`gateway twilio connect` against the fake Twilio: lists, asks, sets, undoes; doctor finds strays."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from channels.twilio.fake import FakeTwilio
from gateway.cli import cli
from gateway.commands.checks import check_twilio_numbers
from gateway.commands.findings import Verdict
from gateway.settings import load_settings

ACCOUNT = "AC" + "0" * 32
TOKEN = "token-of-this-test"
OURS, CALLED, STRANGE = "+15550100", "+15550101", "+15550199"
PUBLIC = "https://gateway.example.org"
SMS = f"{PUBLIC}/webhooks/twilio/sms"
VOICE = f"{PUBLIC}/webhooks/twilio/voice"
CONFIG = f"""
[agents.a]
kind = "demo"

[[addresses]]
channel = "sms"
address = "{OURS}"

[[addresses]]
channel = "voice"
address = "{OURS}"

[[addresses]]
channel = "voice"
address = "{CALLED}"

[[addresses]]
channel = "voice"
address = "+15550102"
voice_mode = "host"

[[addresses]]
channel = "sms"
address = "+15550103"
provider = "telnyx"
"""


@pytest.fixture
async def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeTwilio]:
    """An account with three numbers, and a folder with a gateway.toml."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gateway.toml").write_text(CONFIG)
    fake = FakeTwilio(ACCOUNT, TOKEN)
    await fake.start()
    fake.numbers.add(OURS, trunk_sid="TK1")
    fake.numbers.add(CALLED)
    fake.numbers.add(STRANGE)
    yield fake
    await fake.stop()


async def connect(fake: FakeTwilio, *arguments: str, answer: str = "", **environ: str) -> Result:
    """Run the command in a thread, as it has a loop of its own."""
    environment = {
        "TWILIO_ACCOUNT_SID": ACCOUNT,
        "TWILIO_AUTH_TOKEN": TOKEN,
        "TWILIO_API_URL": fake.url,
        "GATEWAY_PUBLIC_URL": PUBLIC,
        **environ,
    }
    words = ("twilio", "connect", *arguments)
    runner = CliRunner(env=environment)
    return await asyncio.to_thread(runner.invoke, cli, words, input=answer, prog_name="gateway")


async def test_without_a_number_it_only_lists(fake: FakeTwilio) -> None:
    before = json.dumps(fake.numbers.numbers)
    result = await connect(fake)
    assert result.exit_code == 0, result.stderr
    head, *rows = [line.split() for line in result.stdout.splitlines()[:4]]
    assert head[0] == "NUMBER"
    assert [row[0] for row in rows] == [OURS, CALLED, STRANGE]
    assert "sms, voice" in result.stdout
    assert "add it to gateway.toml first" in result.stdout
    assert json.dumps(fake.numbers.numbers) == before


async def test_it_shows_asks_sets_and_undoes(fake: FakeTwilio, tmp_path: Path) -> None:
    before = json.loads(json.dumps(fake.numbers.numbers))
    declined = await connect(fake, OURS, answer="n\n")
    assert (declined.exit_code, "nothing was changed" in declined.stderr) == (1, True)
    assert "https://demo.twilio.com/welcome/sms/reply → " + SMS in declined.stdout
    assert fake.numbers.numbers == before

    assert (await connect(fake, OURS, answer="y\n")).exit_code == 0
    number = fake.numbers.numbers[OURS]
    assert number["sms_url"] == SMS + "#ct=2000&rt=4000&rc=3&rp=all"
    assert (number["sms_fallback_url"], number["voice_url"]) == (SMS, VOICE)
    assert (number["voice_fallback_url"], number["status_callback"]) == (VOICE, f"{VOICE}/status")
    assert number["trunk_sid"] == ""
    assert fake.numbers.numbers[CALLED] == before[CALLED]

    again = await connect(fake, OURS, "--yes")
    assert (again.exit_code, "is set up already" in again.stdout) == (0, True)

    assert (await connect(fake, "--undo", "--yes")).exit_code == 0
    assert fake.numbers.numbers == before
    nothing = await connect(fake, "--undo", "--yes")
    assert (nothing.exit_code, "was not connected" in nothing.stderr) == (1, True)


async def test_undo_goes_back_to_before_the_first_time(fake: FakeTwilio) -> None:
    before = json.loads(json.dumps(fake.numbers.numbers))
    await connect(fake, OURS, "--yes")
    await connect(fake, OURS, "--yes", GATEWAY_PUBLIC_URL="https://other.example.org")
    await connect(fake, OURS, "--undo", "--yes")
    assert fake.numbers.numbers == before


async def test_all_takes_those_of_gateway_toml(fake: FakeTwilio) -> None:
    result = await connect(fake, "--all", "--yes", "--fallback-url", "https://second.example.org/")
    assert result.exit_code == 0, result.stderr
    assert fake.numbers.numbers[OURS]["sms_fallback_url"] == "https://second.example.org/webhooks/twilio/sms"
    called = fake.numbers.numbers[CALLED]
    assert (called["voice_url"], called["sms_url"]) == (VOICE, "https://demo.twilio.com/welcome/sms/reply")
    assert fake.numbers.numbers[STRANGE]["voice_url"] == "https://demo.twilio.com/welcome/voice/"


@pytest.mark.parametrize(
    ("arguments", "environ", "code", "says"),
    [
        ((STRANGE, "--yes"), {}, 1, "not in gateway.toml"),
        (("+15550777", "--yes"), {}, 1, "not a number of this account"),
        ((OURS,), {"TWILIO_AUTH_TOKEN": "wrong"}, 1, "refuses the credentials (401)"),
        ((OURS,), {"TWILIO_API_URL": "http://127.0.0.1:9"}, 1, "does not answer"),
        ((OURS,), {"TWILIO_ACCOUNT_SID": ""}, 2, "TWILIO_ACCOUNT_SID: unset"),
        ((OURS,), {"GATEWAY_PUBLIC_URL": "http://gateway.example.org"}, 2, "GATEWAY_PUBLIC_URL: must be"),
        ((OURS,), {"GATEWAY_PUBLIC_URL": "https://localhost:8080"}, 2, "GATEWAY_PUBLIC_URL: must be"),
    ],
)
async def test_what_cannot_be_done_is_one_line(
    fake: FakeTwilio, arguments: tuple[str, ...], environ: dict[str, str], code: int, says: str
) -> None:
    before = json.dumps(fake.numbers.numbers)
    result = await connect(fake, *arguments, **environ)
    assert result.exit_code == code
    assert says in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert "wrong" not in result.stderr
    assert json.dumps(fake.numbers.numbers) == before


async def test_doctor_finds_numbers_that_go_elsewhere(fake: FakeTwilio, tmp_path: Path) -> None:
    environ = {
        "TWILIO_ACCOUNT_SID": ACCOUNT,
        "TWILIO_AUTH_TOKEN": TOKEN,
        "TWILIO_API_URL": fake.url,
        "GATEWAY_PUBLIC_URL": PUBLIC,
    }
    settings = load_settings(
        environ, config_path=tmp_path / "gateway.toml", data_dir=tmp_path, host="127.0.0.1", port=0
    )
    finding = await check_twilio_numbers(settings)
    assert finding.verdict is Verdict.FAIL
    assert finding.text.endswith(f"run: gateway twilio connect {OURS} {CALLED}")
    await connect(fake, "--all", "--yes")
    finding = await check_twilio_numbers(settings)
    assert (finding.verdict, finding.text) == (Verdict.OK, "2 at Twilio point at this gateway")
