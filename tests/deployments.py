"""The gateway as operators run it: its processes, embedded or distributed, over the same configuration."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Generator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from types import MappingProxyType

import pytest

from gateway.bench.private_server import free_ports
from gateway.store.migrate import migrate
from tests.processes import ROOT, Leash, Process
from tests.schema import schema_file

GATEWAY = ("-m", "gateway")
ACCOUNT = "AC" + "0" * 32
TOKEN = "token-of-these-tests"
CLIENT, OPERATOR, ADMIN = "key-of-a-client", "key-of-an-operator", "key-of-an-admin"
HOST = "127.0.0.1"
MAIL_DOMAIN = "example.org"
MAILBOX = f"support@{MAIL_DOMAIN}"
DEMO_NUMBER, QUOTE_NUMBER, SLOW_NUMBER = "+15550100", "+15550101", "+15550102"
TRANSFER_NUMBER = "+15550111"
SEED_AGENT = "agt_01hx3k2mz9vbqwerty123456"
"""The agent of the guide's requests: its id there is a slug here."""

CONFIG = f"""
[organisation]
name = "Example"
default_agent = "demo"
rate_limit = 1000000
rate_burst = 1000000

[channels.sms]
resend_after = "20s"  # the fake lists at once what it has accepted

[[addresses]]
channel = "sms"
address = "{DEMO_NUMBER}"
agent = "demo"

[[addresses]]
channel = "sms"
address = "{QUOTE_NUMBER}"
agent = "quote"

[[addresses]]
channel = "sms"
address = "{SLOW_NUMBER}"
agent = "slow"

[[addresses]]
channel = "email"
address = "{MAILBOX}"
agent = "demo"

[[addresses]]
channel = "voice"
address = "{DEMO_NUMBER}"
agent = "demo"
voice_mode = "webhook"

[agents.demo]
kind = "demo"

[agents.demo.transfers.billing]
destination = "{TRANSFER_NUMBER}"

[agents.{SEED_AGENT}]
kind = "demo"

[agents.quote]
kind = "python"
target = "tests.agents:quote"

[agents.slow]
kind = "python"
target = "tests.agents:slow"
"""


@dataclass(frozen=True, slots=True)
class World:
    """What is outside: where a deployment finds its providers."""

    twilio_url: str
    relay_url: str = ""
    """An SMTP server; empty: mail is kept in the console's outbox."""

    def environment(self) -> dict[str, str]:
        """As the gateway is told it."""
        mail = {"GATEWAY_SMTP_RELAY_URL": self.relay_url} if self.relay_url else {}
        return {
            "TWILIO_ACCOUNT_SID": ACCOUNT,
            "TWILIO_AUTH_TOKEN": TOKEN,
            "TWILIO_API_URL": self.twilio_url,
            "GATEWAY_API_KEYS": f"{CLIENT}:client,{OPERATOR}:operator,{ADMIN}:admin",
            "GATEWAY_MAIL_DOMAIN": MAIL_DOMAIN,
            "GATEWAY_MAIL_AUTH": "off",  # the tests have no DNS
            "GATEWAY_LOG_FORMAT": "text",
            **mail,
        }


@dataclass(frozen=True, slots=True)
class Services:
    """What a distributed deployment stands on."""

    amqp_url: str
    amqp_prefix: str
    database_url: str

    def environment(self) -> dict[str, str]:
        """As the gateway is told it."""
        return {
            "GATEWAY_AMQP_URL": self.amqp_url,
            "GATEWAY_AMQP_PREFIX": self.amqp_prefix,
            "GATEWAY_DATABASE_URL": self.database_url,
            "GATEWAY_PARTITIONS": "4",
        }


@dataclass(slots=True)
class Deployment:
    """Running processes, by name; `dev`, or `serve-1 … worker-1 … smtp-1`."""

    directory: Path
    environment: Mapping[str, str]
    leash: Leash
    services: Services | None = None
    processes: dict[str, Process] = field(default_factory=dict)
    urls: list[str] = field(default_factory=list)
    """Of the processes that serve HTTP; the first is the public one."""
    smtp_port: int = 0
    health: str = ""
    """Where a worker shows its health, HOST:PORT."""
    _turns: Iterator[int] = field(default_factory=count)

    @property
    def distributed(self) -> bool:
        """Whether it has several processes."""
        return self.services is not None

    @property
    def url(self) -> str:
        """A serving process's URL, another one each time."""
        return self.urls[next(self._turns) % len(self.urls)]

    def named(self, kind: str) -> list[Process]:
        """The processes of a kind (`serve`, `worker`); embedded, the only one is of every kind."""
        if not self.distributed:
            return list(self.processes.values())
        return [process for name, process in self.processes.items() if name.startswith(kind)]

    def add(self, name: str, *arguments: str, **environment: str) -> Process:
        """A process of this deployment, not yet started."""
        process = Process(
            name,
            [*GATEWAY, *arguments],
            {**self.environment, **environment},
            self.directory,
            self.leash,
        )
        self.processes[name] = process
        return process

    async def command(self, *arguments: str) -> str:
        """What a command line tool prints that is run beside the processes; it must exit 0."""
        status, output, errors = await asyncio.to_thread(self._run, arguments)
        assert status == 0, f"gateway {' '.join(arguments)} exited with {status}: {errors}"
        return output

    def _run(self, arguments: Sequence[str]) -> tuple[int, str, str]:
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "PYTHONPATH": str(ROOT),
            **self.environment,
        }
        done = subprocess.run(
            [sys.executable, *GATEWAY, *arguments],
            cwd=self.directory,
            env=environment,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    async def start(self) -> None:
        """Start all that is not running."""
        started = [process for process in self.processes.values() if not process.running]
        for process in started:
            process.launch()
        for process in started:
            await process.wait_ready()

    def stop(self) -> None:
        """Kill all; blocks."""
        for process in self.processes.values():
            process.stop()
        self.leash.close()

    @property
    def running(self) -> bool:
        """Whether any of its processes runs."""
        return any(process.running for process in self.processes.values())

    def logs(self) -> list[tuple[str, str]]:
        """The end of every process's log, by a title."""
        return [(f"log of {name}", process.tail()) for name, process in self.processes.items()]


@asynccontextmanager
async def embedded(
    directory: Path, world: World, *, config: str = CONFIG, **settings: str
) -> AsyncIterator[Deployment]:
    """Everything in one process over SQLite, started; `settings`: more of its environment."""
    http, smtp = free_ports(2)
    deployment = _deployment(directory, world, public_port=http, settings=settings)
    (directory / "gateway.toml").write_text(config)
    await schema_file(directory / "data" / "gateway.db")
    deployment.urls, deployment.smtp_port = [f"http://{HOST}:{http}"], smtp
    deployment.add(
        "dev",
        *("dev", "--port", str(http), "--smtp-port", str(smtp)),
        *("--data-dir", str(directory / "data"), "--config", str(directory / "gateway.toml")),
    )
    async with _started(deployment):
        yield deployment


@asynccontextmanager
async def distributed(
    directory: Path, world: World, services: Services, *, workers: int = 3, **settings: str
) -> AsyncIterator[Deployment]:
    """Two `serve`, three `worker` of all roles and one `smtp`, started; `settings`: more of all of them."""
    first, second, smtp, health = free_ports(4)
    deployment = _deployment(directory, world, public_port=first, services=services, settings=settings)
    deployment.urls, deployment.smtp_port = [f"http://{HOST}:{port}" for port in (first, second)], smtp
    deployment.health = f"{HOST}:{health}"
    config = ("--config", str(directory / "gateway.toml"))
    await migrate(services.database_url)
    for number, port in enumerate((first, second), 1):
        deployment.add(f"serve-{number}", "serve", "--port", str(port), *config)
    for number in range(1, workers + 1):
        shown = ("--health", deployment.health) if number == 1 else ()
        deployment.add(f"worker-{number}", "worker", *shown, *config)
    deployment.add("smtp-1", "smtp", *config, GATEWAY_SMTP_PORT=str(smtp))
    async with _started(deployment):
        yield deployment


def _deployment(
    directory: Path,
    world: World,
    *,
    public_port: int,
    services: Services | None = None,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> Deployment:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "gateway.toml").write_text(CONFIG)
    environment = {
        **world.environment(),
        **(services.environment() if services else {}),
        "GATEWAY_PUBLIC_URL": f"http://{HOST}:{public_port}",
        **settings,
    }
    deployment = Deployment(directory, environment, Leash(), services)
    _begun.append(deployment)
    return deployment


@asynccontextmanager
async def _started(deployment: Deployment) -> AsyncIterator[None]:
    try:
        await deployment.start()
        yield
    finally:
        deployment.stop()


_begun: list[Deployment] = []
"""Those whose logs a failing test shows: what runs, and what ran in this test."""


class TwilioProcess:
    """The fake Twilio as a process of its own, with its ledger in a file."""

    def __init__(self, directory: Path, leash: Leash, *, webhook_url: str = "", faults: str = "") -> None:
        (self._port,) = free_ports(1)
        self._ledger = directory / "ledger.jsonl"
        self.process = Process(
            "twilio",
            [
                *("-m", "channels.twilio.fake", "--port", str(self._port)),
                *("--account-sid", ACCOUNT, "--auth-token", TOKEN, "--ledger", str(self._ledger)),
                *("--webhook-url", webhook_url, "--faults", faults),
            ],
            {},
            directory,
            leash,
        )

    @property
    def url(self) -> str:
        """What `TWILIO_API_URL` must be."""
        return f"http://{HOST}:{self._port}"

    def sent(self) -> list[dict[str, str]]:
        """What it has accepted from the gateway, in order."""
        if not self._ledger.exists():
            return []
        lines = self._ledger.read_text("utf-8").splitlines()
        messages = [json.loads(line) for line in lines]
        return [message for message in messages if message["direction"] != "inbound"]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the logs of a failed test's processes. For conftest files to import."""
    report = yield
    if report.failed:
        for deployment in _begun:
            report.sections += deployment.logs()
    if report.when == "teardown":
        _begun[:] = [deployment for deployment in _begun if deployment.running]
    return report
