"""What is measured: the gateway embedded and distributed, and the bare floor of each, started on a stage."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from gateway.bench.private_server import free_ports
from gateway.bench.servers import Fresh, Servers
from gateway.bench.stage import ACCOUNT, HOST, OUR_NUMBER, TOKEN, Child, Stage, Twilio

PARTITIONS = 16
ORGANISATION = "Benchmark"
AGENT = "instant"
KEY = "key-of-the-benchmark"
_CONFIG = f"""
[organisation]
name = "{ORGANISATION}"
default_agent = "{AGENT}"
rate_limit = 1000000
rate_burst = 1000000

[[addresses]]
channel = "sms"
address = "{OUR_NUMBER}"

[[addresses]]
channel = "voice"
address = "{OUR_NUMBER}"
voice_mode = "relay"
filler_after_seconds = 30

[agents.{AGENT}]
kind = "python"
target = "gateway.bench.agent:name_them"
"""


@dataclass(frozen=True, slots=True)
class Target:
    """A running subject."""

    url: str
    """Where webhooks are posted."""
    database_url: str
    children: Sequence[Child]
    """Its own processes: not the broker, the database, Twilio or the load."""

    def cpu_seconds(self) -> float:
        """What they have used of the processors so far."""
        return sum(child.cpu_seconds() for child in self.children)


Start = Callable[[Stage, Twilio, Fresh | None], Target]
Fill = Callable[[str], None]
"""Puts something into a database that has its schema and serves nobody yet."""


def _nothing(_url: str) -> None:
    """Leave it empty."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One of the four."""

    name: str
    start: Start
    distributed: bool
    is_floor: bool

    @contextmanager
    def running(self, servers: Servers | None, *, callbacks: bool) -> Iterator[tuple[Stage, Twilio, Target]]:
        """It and its Twilio, on a stage of their own with an empty database."""
        with Stage() as stage:
            twilio = Twilio(stage, callbacks=callbacks)
            if not self.distributed:
                yield stage, twilio, self.start(stage, twilio, None)
                return
            assert servers is not None
            with servers.fresh(PARTITIONS) as fresh:
                try:
                    yield stage, twilio, self.start(stage, twilio, fresh)
                finally:
                    stage.end()


def _gateway(stage: Stage, twilio: Twilio, port: int) -> dict[str, str]:
    (stage.directory / "gateway.toml").write_text(_CONFIG)
    return {
        "GATEWAY_API_KEYS": f"{KEY}:admin",
        "TWILIO_ACCOUNT_SID": ACCOUNT,
        "TWILIO_AUTH_TOKEN": TOKEN,
        "TWILIO_API_URL": twilio.url,
        "GATEWAY_PUBLIC_URL": f"http://{HOST}:{port}",
        "GATEWAY_PARTITIONS": str(PARTITIONS),
        "GATEWAY_LOG_FORMAT": "json",
    }


def embedded(stage: Stage, twilio: Twilio, _: Fresh | None, fill: Fill = _nothing) -> Target:
    """Everything in one process over SQLite."""
    http, smtp = free_ports(2)
    environment, data = _gateway(stage, twilio, http), stage.directory / "data"
    places = ("--config", str(stage.directory / "gateway.toml"), "--data-dir", str(data))
    stage.complete(["-m", "gateway", "migrate", *places], environment)
    database_url = f"sqlite:///{data / 'gateway.db'}"
    fill(database_url)
    ports = ("--port", str(http), "--smtp-port", str(smtp))
    child = stage.start("dev", ["-m", "gateway", "dev", *ports, *places], environment)
    child.ready_line()
    return Target(f"http://{HOST}:{http}", database_url, [child])


def distributed(stage: Stage, twilio: Twilio, fresh: Fresh | None, fill: Fill = _nothing) -> Target:
    """One `serve` and one `worker` of all roles: two cores have no use for more processes."""
    assert fresh is not None
    (http,) = free_ports(1)
    environment = {
        **_gateway(stage, twilio, http),
        "GATEWAY_AMQP_URL": fresh.amqp_url,
        "GATEWAY_AMQP_PREFIX": fresh.amqp_prefix,
        "GATEWAY_DATABASE_URL": fresh.database_url,
    }
    config = ("--config", str(stage.directory / "gateway.toml"))
    stage.complete(["-m", "gateway", "migrate", *config], environment)
    fill(fresh.database_url)
    children = [
        stage.start("serve", ["-m", "gateway", "serve", "--port", str(http), *config], environment),
        stage.start("worker", ["-m", "gateway", "worker", *config], environment),
    ]
    for child in children:
        child.ready_line()
    return Target(f"http://{HOST}:{http}", fresh.database_url, children)


def _embedded_floor(stage: Stage, twilio: Twilio, _: Fresh | None) -> Target:
    (http,) = free_ports(1)
    database = str(stage.directory / "floor.db")
    child = stage.start("floor", ["-m", "gateway.bench.floor", "embedded", database, str(http), twilio.url])
    child.ready_line()
    return Target(f"http://{HOST}:{http}", f"sqlite:///{database}", [child])


def _distributed_floor(stage: Stage, twilio: Twilio, fresh: Fresh | None) -> Target:
    assert fresh is not None
    (http,) = free_ports(1)
    command = ("-m", "gateway.bench.floor")
    places = (fresh.database_url, fresh.amqp_url)
    webhook = stage.start("webhook", [*command, "webhook", *places, str(http)])
    webhook.ready_line()  # makes the tables and the queues
    worker = stage.start("worker", [*command, "worker", *places, twilio.url])
    worker.ready_line()
    return Target(f"http://{HOST}:{http}", fresh.database_url, [webhook, worker])


SUBJECTS = (
    Subject("embedded", embedded, distributed=False, is_floor=False),
    Subject("embedded floor", _embedded_floor, distributed=False, is_floor=True),
    Subject("distributed", distributed, distributed=True, is_floor=False),
    Subject("distributed floor", _distributed_floor, distributed=True, is_floor=True),
)
