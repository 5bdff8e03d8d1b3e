"""RabbitMQ and PostgreSQL for a benchmark: those of TEST_AMQP_URL and TEST_DATABASE_URL, or private ones.

Each round gets a database and queues of its own, removed after it.
"""

import asyncio
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from uuid import uuid4

import aio_pika
import asyncpg
from yarl import URL

from gateway.bench.floor import QUEUES
from gateway.bench.private_server import ServiceFailed, ServiceMissing
from gateway.bench.services import PrivatePostgres, PrivateRabbit
from gateway.bench.stage import tell
from gateway.bus.topology import EXCHANGES, WEBHOOKS, Topology


@dataclass(frozen=True, slots=True)
class Servers:
    """Where both are, and their versions."""

    amqp_url: str
    database_url: str
    rabbitmq: str
    postgresql: str

    @contextmanager
    def fresh(self, partitions: int) -> Iterator["Fresh"]:
        """A database and a queue prefix that are gone afterwards."""
        with _fresh_database(self.database_url) as database_url:
            fresh = Fresh(
                amqp_url=self.amqp_url,
                amqp_prefix=f"{URL(database_url).name}.",
                database_url=database_url,
            )
            try:
                yield fresh
            finally:
                asyncio.run(_remove_queues(self.amqp_url, Topology(fresh.amqp_prefix, partitions)))


@dataclass(frozen=True, slots=True)
class Fresh:
    """What one round stands on."""

    amqp_url: str
    amqp_prefix: str
    database_url: str


@contextmanager
def databases() -> Iterator["Databases"]:
    """PostgreSQL alone, as long as the block runs. Raises ServiceMissing where the machine has none."""
    with ExitStack() as stack:
        url = os.environ.get("TEST_DATABASE_URL") or stack.enter_context(PrivatePostgres()).url
        yield Databases(url, asyncio.run(_postgres_version(url)))


@dataclass(frozen=True, slots=True)
class Databases:
    """A PostgreSQL server, and its version."""

    url: str
    version: str

    @contextmanager
    def fresh(self) -> Iterator[str]:
        """The URL of a database that is gone afterwards."""
        with _fresh_database(self.url) as url:
            yield url


@contextmanager
def _fresh_database(server_url: str) -> Iterator[str]:
    name = f"bench_{uuid4().hex[:12]}"
    asyncio.run(_statement(server_url, f"CREATE DATABASE {name}"))
    try:
        yield str(URL(server_url).with_path(f"/{name}"))
    finally:
        asyncio.run(_statement(server_url, f"DROP DATABASE {name} WITH (FORCE)"))


@contextmanager
def servers() -> Iterator[Servers]:
    """Both, running as long as the block does. Raises ServiceMissing where the machine has not both."""
    with ExitStack() as stack:
        amqp_url = os.environ.get("TEST_AMQP_URL")
        database_url = os.environ.get("TEST_DATABASE_URL")
        rabbit = None if amqp_url else PrivateRabbit()
        postgres = None if database_url else PrivatePostgres()
        if rabbit is not None:
            amqp_url = stack.enter_context(rabbit).url
        if postgres is not None:
            database_url = stack.enter_context(postgres).url
        assert amqp_url and database_url  # noqa: PT018 - one question
        yield Servers(
            amqp_url,
            database_url,
            rabbitmq=asyncio.run(_rabbit_version(amqp_url)),
            postgresql=asyncio.run(_postgres_version(database_url)),
        )


def servers_if_any(stack: ExitStack) -> tuple[Servers | None, str | None]:
    """Both, running until the stack is closed; or None, and why they are not."""
    tell("starting RabbitMQ and PostgreSQL")
    try:
        return stack.enter_context(servers()), None
    except (ServiceMissing, ServiceFailed) as missing:
        return None, str(missing)


async def _statement(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def _postgres_version(url: str) -> str:
    connection = await asyncpg.connect(url)
    try:
        return str(await connection.fetchval("SHOW server_version"))
    finally:
        await connection.close()


async def _rabbit_version(url: str) -> str:
    async with await aio_pika.connect(url) as connection:
        transport = connection.transport
        assert transport is not None
        version = transport.connection.server_properties["version"]
        return version.decode() if isinstance(version, bytes) else str(version)


async def _remove_queues(url: str, topology: Topology) -> None:
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        for queue in topology.queues([WEBHOOKS]):
            await channel.queue_delete(queue.name)
        for name in QUEUES:
            await channel.queue_delete(name)
        for short in EXCHANGES:
            await channel.exchange_delete(topology.name(short))
