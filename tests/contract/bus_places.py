"""Where the bus suite runs: each kind of bus on a real store, with ways to put messages in and to look."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import aio_pika
import pytest

from gateway.bus.embedded import EmbeddedBus
from gateway.bus.rabbit import RabbitBus
from gateway.bus.topology import EXCHANGES, Topology
from gateway.domain.clock import Clock
from gateway.domain.envelope import Envelope, Posting
from gateway.domain.ids import new_id
from gateway.domain.ports.bus import Bus, Consumer, PublishResult, RetryStep
from gateway.domain.ports.store import Tx, Wake
from gateway.service.backlog import backlog
from gateway.service.dead import open_letters
from gateway.service.outbox import StoredOutbox
from gateway.store.queries import load_queries
from gateway.store.sqlite import SqliteStore
from gateway.tracing import new_traceparent
from tests.schema import schema_file
from tests.waiting import PATIENCE

PARTITIONS = 2
STEP_SECONDS: Mapping[RetryStep, float] = dict.fromkeys(RetryStep, 0.3)


def envelope(text: str = "", kind: str = "message.inbound") -> Envelope:
    """A valid message."""
    return Envelope(id=new_id(), type=kind, occurred_at="2026-01-01T00:00:00Z", data={"text": text})


def unhurried(patched: pytest.MonkeyPatch) -> None:
    """A busy broker is slow to declare, to confirm and to answer, and few tests are about that."""
    for limit in ("rabbit.START_SECONDS", "rabbit.CHECK_SECONDS", "publisher.PUBLISH_SECONDS"):
        patched.setattr(f"gateway.bus.{limit}", PATIENCE)


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter, as far as the tests look."""

    queue: str
    reason: str
    body: str


async def letters_in(store: SqliteStore) -> list[Letter]:
    """The dead letters kept so far."""
    letters = await store.read(open_letters, 100)
    return [Letter(letter.queue, letter.reason, letter.body) for letter in letters]


async def the_letter(store: SqliteStore) -> Letter:
    """Wait for a dead letter; there must be no other."""
    give_up = time.monotonic() + PATIENCE
    while not (letters := await letters_in(store)):
        assert time.monotonic() < give_up, "no dead letter in time"
        await asyncio.sleep(0.02)
    (letter,) = letters
    return letter


class MovedClock:
    """The real time, plus what a test adds."""

    def __init__(self) -> None:
        self.ahead = 0

    def now(self) -> int:
        """Microseconds since the epoch."""
        return time.time_ns() // 1000 + self.ahead


@asynccontextmanager
async def open_sqlite(path: Path, clock: MovedClock) -> AsyncIterator[SqliteStore]:
    """A store on a file, with its schema."""
    await schema_file(path)
    async with SqliteStore(path, clock=Clock(now=clock.now), queries=load_queries()) as store:
        yield store


class Place(Protocol):
    """One kind of bus, and its surroundings."""

    store: SqliteStore

    async def open(self, *consumers: Consumer) -> Bus:
        """A bus that consumes; stopped at the end of the test."""

    async def put(
        self, body: str, exchange: str = "inbound", routing_key: str = "0", traceparent: str | None = None
    ) -> None:
        """Publish a body, in a trace of its own where none is given."""

    async def is_unroutable(self, exchange: str, routing_key: str) -> bool:
        """Publish where nothing is bound, and say whether that was noticed."""

    async def left(self, queue: str) -> int:
        """How many messages a queue still holds that nobody works on, or has to be told about."""


class EmbeddedPlace:
    """The outbox of a SQLite file."""

    def __init__(self, store: SqliteStore, clock: MovedClock) -> None:
        self.store = store
        self.clock = clock
        self.buses: list[EmbeddedBus] = []

    async def open(self, *consumers: Consumer) -> Bus:
        bus = EmbeddedBus(StoredOutbox(self.store), Clock(), PARTITIONS, step_seconds=STEP_SECONDS)
        self.store.on_wake(Wake.OUTBOX, bus.wake)
        self.store.hand_over_to(bus)
        self.buses.append(bus)
        await bus.start(consumers)
        return bus

    async def put(
        self, body: str, exchange: str = "inbound", routing_key: str = "0", traceparent: str | None = None
    ) -> None:
        place = traceparent or new_traceparent()
        await self.store.write(_insert, Posting(new_id(), exchange, routing_key, body, place))

    async def is_unroutable(self, exchange: str, routing_key: str) -> bool:
        await self.open()
        await self.put(envelope().model_dump_json(), exchange, routing_key)
        letter = await the_letter(self.store)
        return (letter.queue, letter.reason) == (f"{exchange}/{routing_key}", "no queue takes it")

    async def left(self, queue: str) -> int:
        return (await self.store.read(backlog)).outbox

    async def close(self) -> None:
        for bus in self.buses:
            await bus.stop()


async def _insert(tx: Tx, posting: Posting) -> None:
    await tx.run(
        "outbox_insert",
        id=posting.id,
        exchange=posting.exchange,
        routing_key=posting.routing_key,
        body=posting.body,
        traceparent=posting.traceparent,
        delay=0,
    )
    tx.after_commit(Wake.OUTBOX)


class RabbitPlace:
    """A RabbitMQ, under a prefix of this test's own."""

    def __init__(self, store: SqliteStore, url: str, prefix: str) -> None:
        self.store = store
        self.url = url
        self.topology = Topology(prefix, PARTITIONS, STEP_SECONDS)
        self.buses: list[RabbitBus] = []

    async def open(self, *consumers: Consumer) -> RabbitBus:
        bus = RabbitBus(
            self.url,
            self.topology.prefix,
            PARTITIONS,
            StoredOutbox(self.store),
            Clock(),
            step_seconds=STEP_SECONDS,
        )
        self.buses.append(bus)
        await bus.start(consumers)
        return bus

    async def put(
        self, body: str, exchange: str = "inbound", routing_key: str = "0", traceparent: str | None = None
    ) -> None:
        bus = self.buses[0] if self.buses else await self.open()
        place = traceparent or new_traceparent()
        (result,) = await bus.publish([Posting(new_id(), exchange, routing_key, body, place)])
        assert result is PublishResult.PUBLISHED

    async def is_unroutable(self, exchange: str, routing_key: str) -> bool:
        bus = await self.open()
        results = await bus.publish(
            [
                Posting(new_id(), exchange, routing_key, envelope().model_dump_json(), new_traceparent()),
                Posting(new_id(), "inbound", "1", envelope().model_dump_json(), new_traceparent()),
            ]
        )
        return results == [PublishResult.RETURNED, PublishResult.PUBLISHED]

    async def left(self, queue: str) -> int:
        async with await aio_pika.connect(self.url) as connection:
            channel = await connection.channel()
            declared = await channel.declare_queue(self.topology.name(queue), passive=True)
            return declared.declaration_result.message_count or 0

    async def close(self) -> None:
        for bus in self.buses:
            await bus.stop()

    async def remove(self) -> None:
        """Take this test's queues and exchanges away from a broker that others use."""
        async with await aio_pika.connect(self.url) as connection:
            channel = await connection.channel()
            for queue in self.topology.queues(["webhooks"]):
                await channel.queue_delete(queue.name)
            for exchange in EXCHANGES:
                await channel.exchange_delete(self.topology.name(exchange))
