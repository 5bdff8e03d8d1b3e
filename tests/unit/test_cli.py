"""The command line without processes: help, refusals and exit codes, and what the offline commands print."""

import json
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from gateway.app import WORKER_ROLES, Role
from gateway.cli import COMMANDS, cli
from gateway.commands.roles import WORKERS
from gateway.commands.terminal import columns

pytestmark = pytest.mark.usefixtures("empty_folder")


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands find no gateway.toml and no data of the developer's."""
    monkeypatch.chdir(tmp_path)


def gateway(*arguments: str, stdin: str | bytes | None = None, **environment: str) -> Result:
    """Run a command in this process."""
    return CliRunner(env=environment).invoke(cli, arguments, input=stdin, prog_name="gateway")


def every_command() -> Iterator[tuple[str, ...]]:
    """The words of every command and group."""
    context = click.Context(cli)
    yield ()
    for name in COMMANDS:
        yield (name,)
        command = cli.get_command(context, name)
        if isinstance(command, click.Group):
            yield from ((name, below) for below in command.commands)


@pytest.mark.parametrize("words", list(every_command()), ids=" ".join)
def test_every_command_explains_itself(words: tuple[str, ...]) -> None:
    result = gateway(*words, "--help")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: {' '.join(('gateway', *words))} ")
    assert result.stderr == ""


def test_the_list_of_commands_says_what_their_own_help_says() -> None:
    for name, entry in COMMANDS.items():
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        assert (command.help or "").startswith(entry.line.removesuffix(".")), name
        assert f"{name} " in gateway("--help").stdout


def test_the_help_loads_nothing_heavy() -> None:
    program = (
        "import sys\nfrom gateway.cli import cli\n"
        "try: cli(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'pydantic', 'aiohttp', 'fastapi', 'faststream', 'asyncpg', 'twilio'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize(
    ("arguments", "environment", "told"),
    [
        (["nope"], {}, "No such command 'nope'. (try: gateway --help)"),
        (["dev", "--port", "70000"], {}, "(try: gateway dev --help)"),
        (["dev", "--bogus"], {}, "No such option"),
        (["dev", "--config", "missing.toml"], {}, "missing.toml: cannot be read: No such file or directory"),
        (["dev"], {"GATEWAY_PARTITION": "4"}, "nearest valid name: GATEWAY_PARTITIONS"),
        (["dev"], {"GATEWAY_AMQP_URL": "amqp://127.0.0.1/"}, "GATEWAY_AMQP_URL: a broker needs"),
        (["serve"], {}, "gateway dev"),
        (["smtp"], {}, "gateway dev"),
        (["worker"], {}, "gateway dev"),
        (["worker", "turms"], {}, "'turms' is not one of"),
        (["keys", "create", "--role", "king", "--name", "x"], {}, "'king' is not one of"),
        (["keys", "create", "--role", "admin", "--name", " "], {}, "1 to 200 characters"),
        (["dead", "requeue"], {}, "give some ids, or --all"),
        (["dead", "requeue", "01", "--all"], {}, "give some ids, or --all"),
        (["dead", "requeue", "01", "--queue", "turns"], {}, "--queue goes with --all"),
        (["dead", "discard", "--all"], {}, "--yes"),
        (["mail", "parse", "missing.eml"], {}, "missing.eml"),
        (["sms", "chunk", "--max-segments", "11"], {}, "range"),
    ],
)
def test_bad_usage_and_configuration_is_one_line_and_exit_2(
    arguments: list[str], environment: dict[str, str], told: str
) -> None:
    result = gateway(*arguments, **environment)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("gateway: ")
    assert told in line


def test_every_problem_of_the_settings_is_a_line() -> None:
    result = gateway("dev", GATEWAY_PARTITIONS="many", GATEWAY_MAIL_AUTH="perhaps")
    assert result.exit_code == 2
    assert [line.split(":")[1] for line in result.stderr.splitlines()] == [
        " GATEWAY_PARTITIONS",
        " GATEWAY_MAIL_AUTH",
    ]


@pytest.mark.parametrize(
    ("arguments", "environment", "told"),
    [
        (["keys", "list"], {}, "there is no database at data/gateway.db"),
        (["dead", "list"], {}, "there is no database at data/gateway.db"),
        (["reload"], {}, "no gateway runs in data"),
        (
            ["reload"],
            {"GATEWAY_AMQP_URL": "amqp://broker/", "GATEWAY_DATABASE_URL": "postgresql://database/gateway"},
            "kill -HUP",
        ),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_1(
    arguments: list[str], environment: dict[str, str], told: str
) -> None:
    result = gateway(*arguments, **environment)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert told in line
    assert not Path("data").exists()


def test_no_command_prints_the_help() -> None:
    result = gateway()
    assert result.exit_code == 2
    assert result.stderr.startswith("Usage: gateway [OPTIONS] COMMAND")


def test_a_fault_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("gateway.commands.reload.read_settings", broken)
    assert isinstance(gateway("reload").exception, ZeroDivisionError)


def test_worker_knows_every_role() -> None:
    assert {Role(name) for name in WORKERS} == WORKER_ROLES


def test_segments_of_a_text() -> None:
    result = gateway("sms", "segments", stdin="Привет\n")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == ["encoding UCS-2", "units 6", "segments 1", "segment_units 6"]


def test_segments_of_many_texts() -> None:
    lines = [json.dumps({"text": "a"}), json.dumps({"text": "“a”", "smart": True})]
    result = gateway("sms", "segments", "--jsonl", stdin="\n".join(lines))
    assert [json.loads(line)["units"] for line in result.stdout.splitlines()] == [1, 3]


def test_parts_of_a_long_text() -> None:
    result = gateway(
        "sms", "chunk", "--max-segments", "1", "--jsonl", stdin=json.dumps({"text": "word " * 80})
    )
    parts = json.loads(result.stdout)["parts"]
    assert len(parts) > 2
    assert all(part["segments"] == 1 for part in parts)
    assert [part["hash"] for part in parts] == [sha256(part["text"].encode()).hexdigest() for part in parts]


@pytest.mark.parametrize("stdin", [b"\xff", b'{"text": 1}\n', b"not json\n"])
def test_input_that_cannot_be_read_is_exit_2(stdin: bytes) -> None:
    result = gateway("sms", "segments", "--jsonl", stdin=stdin)
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1


def test_a_mail_as_ingress_sees_it() -> None:
    Path("one.eml").write_bytes(b"From: a@example.org\r\nSubject: Hi\r\n\r\nHello\r\n")
    Path("two.eml").write_bytes(b"From: b@example.org\r\nSubject: Ho\r\n\r\nBye\r\n")
    result = gateway("mail", "parse", "--jsonl", "one.eml", "two.eml")
    assert [json.loads(line)["text"] for line in result.stdout.splitlines()] == ["Hello", "Bye"]


def test_a_mail_domain_is_set_up_once() -> None:
    first = gateway("mail", "setup", "--host", "mx.example.org", GATEWAY_MAIL_DOMAIN="example.org")
    assert first.exit_code == 0
    key = Path("data/dkim-gateway.pem")
    assert key.stat().st_mode & 0o777 == 0o600
    for line in (
        "example.org. MX 10 mx.example.org.",
        'example.org. TXT "v=spf1 mx ~all"',
        '_dmarc.example.org. TXT "v=DMARC1; p=quarantine"',
        "GATEWAY_DKIM_SELECTOR=gateway",
        f"GATEWAY_DKIM_KEY_FILE={key.resolve()}",
    ):
        assert line in first.stdout.splitlines()
    again = gateway(
        *("mail", "setup", "--host", "mx.example.org"),
        GATEWAY_MAIL_DOMAIN="example.org",
        GATEWAY_SMTP_RELAY_URL="smtp://u:secret@relay.example.net",
    )
    assert [line for line in again.stdout.splitlines() if "_domainkey" in line] == [
        line for line in first.stdout.splitlines() if "_domainkey" in line
    ]
    assert "a:relay.example.net" in again.stdout
    assert "secret" not in again.stdout + again.stderr


def test_a_mail_domain_that_cannot_be_set_up() -> None:
    assert gateway("mail", "setup").stderr.startswith("gateway: GATEWAY_MAIL_DOMAIN is localhost")
    Path("key.pem").write_text("no key")
    result = gateway("mail", "setup", "--key-file", "key.pem", GATEWAY_MAIL_DOMAIN="example.org")
    assert (result.exit_code, "key.pem does not hold" in result.stderr) == (1, True)


def test_an_intent_as_a_host_is_sent_it() -> None:
    Path("say.json").write_text('{"kind": "say", "payload": {"text": "Hello"}}')
    assert "<Say>Hello</Say>" in gateway("voice", "render", "--host", "twilio", "say.json").stdout
    Path("say.json").write_text("not json")
    result = gateway("voice", "render", "--host", "twilio", "say.json")
    assert (result.exit_code, result.stderr) == (1, "gateway: say.json: the file is not JSON\n")


def test_columns_are_aligned_and_the_last_is_free() -> None:
    assert columns([("a", "bb", "c d"), ("aaa", "b", "")]) == ["a    bb  c d", "aaa  b"]


def test_doctor_says_what_is_wrong_with_the_settings() -> None:
    result = gateway("doctor", GATEWAY_PARTITIONS="0")
    assert result.exit_code == 1
    assert result.stdout.startswith("fail  settings  GATEWAY_PARTITIONS: must be at least 1")


def test_doctor_on_a_fresh_machine_finds_no_fault() -> None:
    result = gateway("doctor", "--show", GATEWAY_UNHEARD_OF="1", GATEWAY_API_KEYS="hush:admin")
    assert result.exit_code == 0
    assert "hush" not in result.stdout
    found = [line.split()[:2] for line in result.stdout.partition("\n\n")[2].splitlines()]
    assert [name for verdict, name in found if verdict == "ok"] == ["config", "agents"]
    assert [verdict for verdict, _ in found].count("warn") == 1
    assert {verdict for verdict, _ in found} == {"ok", "warn", "skip"}
