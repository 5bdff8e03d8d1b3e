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
from gateway.bench.services import PrivatePostgres, PrivateRabbit
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
        name = f"bench_{uuid4().hex[:12]}"
        asyncio.run(_statement(self.database_url, f"CREATE DATABASE {name}"))
        fresh = Fresh(
            amqp_url=self.amqp_url,
            amqp_prefix=f"{name}.",
            database_url=str(URL(self.database_url).with_path(f"/{name}")),
        )
        try:
            yield fresh
        finally:
            asyncio.run(_statement(self.database_url, f"DROP DATABASE {name} WITH (FORCE)"))
            asyncio.run(_remove_queues(self.amqp_url, Topology(fresh.amqp_prefix, partitions)))


@dataclass(frozen=True, slots=True)
class Fresh:
    """What one round stands on."""

    amqp_url: str
    amqp_prefix: str
    database_url: str


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
