"""What only RabbitMQ can do to a bus: die, forget, refuse, give up on a message, carry anything."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aio_pika
import pytest
from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractIncomingMessage

from gateway.bench.services import PrivateRabbit
from gateway.bus import rabbit as rabbit_module
from gateway.bus.topology import DELIVERY_LIMIT
from gateway.domain.clock import Clock
from gateway.domain.envelope import Envelope, Posting
from gateway.domain.ids import new_id
from gateway.domain.ports.bus import DONE, Consumer, PublishResult, RetryStep, Verdict, retry
from gateway.domain.ports.replies import ReplyFrame
from gateway.store.queries import load_queries
from gateway.store.sqlite import SqliteStore
from gateway.tracing import new_traceparent, parse_traceparent, traceparent
from tests.contract.bus_places import (
    MovedClock,
    RabbitPlace,
    envelope,
    letters_in,
    open_sqlite,
    the_letter,
    unhurried,
)
from tests.waiting import until


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """Where dead letters are kept."""
    async with open_sqlite(tmp_path / "gateway.db", MovedClock()) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    unhurried(monkeypatch)


@pytest.fixture
async def place(store: SqliteStore, rabbit_url: str, amqp_prefix: str) -> AsyncIterator[RabbitPlace]:
    """The shared broker, under a prefix of this test's own."""
    shared = RabbitPlace(store, rabbit_url, amqp_prefix)
    yield shared
    await shared.close()
    await shared.remove()


@pytest.fixture
async def own_place(store: SqliteStore, private_rabbit: PrivateRabbit) -> AsyncIterator[RabbitPlace]:
    """A broker to be killed."""
    own = RabbitPlace(store, private_rabbit.url, "gateway.")
    yield own
    await own.close()


def posting(routing_key: str = "0", exchange: str = "inbound") -> Posting:
    """A valid message on its way."""
    message = envelope()
    return Posting(message.id, exchange, routing_key, message.model_dump_json(), new_traceparent())


class Seen:
    """A consumer that is always done."""

    def __init__(self) -> None:
        self.ids: list[str] = []

    async def __call__(self, message: Envelope) -> Verdict:
        self.ids.append(message.id)
        return DONE


async def healthy(place: RabbitPlace) -> None:
    """Wait until the first bus is well again."""
    give_up = time.monotonic() + 60
    while (fault := await place.buses[0].check()) is not None:
        assert time.monotonic() < give_up, fault
        await asyncio.sleep(0.1)


async def get(url: str, queue: str) -> AbstractIncomingMessage:
    """Take one message off a queue, which may yet have to come."""
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        declared = await channel.declare_queue(queue, passive=True)
        for _ in range(1_000):
            if (message := await declared.get(fail=False)) is not None:
                await message.ack()
                return message
            await asyncio.sleep(0.05)
        raise AssertionError(f"nothing came to {queue}")


async def send(url: str, exchange: str, routing_key: str, message: Message) -> None:
    """Publish as an outsider would."""
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        await (await channel.get_exchange(exchange, ensure=False)).publish(message, routing_key)


async def test_a_killed_broker_loses_nothing_and_the_bus_recovers(
    own_place: RabbitPlace, private_rabbit: PrivateRabbit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.bus.publisher.PUBLISH_SECONDS", 600.0)  # a publication fails long before
    await (await own_place.open()).stop()
    own_place.buses.clear()
    await asyncio.to_thread(private_rabbit.restart)  # what is declared by now outlives a kill
    seen, release, at_work = Seen(), asyncio.Event(), asyncio.Event()
    finished: list[str] = []

    async def slow(message: Envelope) -> Verdict:
        at_work.set()
        await release.wait()
        finished.append(message.id)
        return DONE

    bus = await own_place.open(Consumer("turns.0", slow), Consumer("deliveries.sms", seen))
    kept, working = posting("email", "outbound"), posting()
    assert await bus.publish([kept, working]) == [PublishResult.PUBLISHED] * 2
    await asyncio.wait_for(at_work.wait(), 60)
    listener, address = bus.replies.listen("a"), bus.replies.address
    waiting = asyncio.create_task(listener.next(600))

    await asyncio.to_thread(private_rabbit.kill)
    await until(lambda: bus.replies.address is None)
    assert await bus.publish([posting()]) == [PublishResult.FAILED]
    assert await bus.check() == "RabbitMQ does not answer"
    release.set()
    await until(lambda: finished == [working.id])

    await asyncio.to_thread(private_rabbit.start)
    await healthy(own_place)
    assert await asyncio.wait_for(waiting, 60) is None, "listeners are woken"
    assert bus.replies.address not in (None, address)
    after = posting("sms", "outbound")
    assert await bus.publish([after]) == [PublishResult.PUBLISHED]
    await until(lambda: seen.ids == [after.id])
    await until(lambda: finished == [working.id] * 2)
    assert (await get(own_place.url, "gateway.deliveries.email")).message_id == kept.id
    await bus.replies.send(bus.replies.address or "", ReplyFrame("a", "turn", 1, 0, "again"))
    assert await listener.next(60) is not None


async def test_a_broker_that_lost_everything_is_declared_anew(
    own_place: RabbitPlace, private_rabbit: PrivateRabbit
) -> None:
    seen = Seen()
    bus = await own_place.open(Consumer("turns.0", seen))
    await asyncio.to_thread(private_rabbit.stop)
    await asyncio.to_thread(private_rabbit.start)
    await healthy(own_place)
    assert await bus.publish([posting(), posting("sms", "outbound")]) == [PublishResult.PUBLISHED] * 2
    await until(lambda: len(seen.ids) == 1)


async def test_a_bus_waits_for_a_broker_that_comes_later(
    own_place: RabbitPlace, private_rabbit: PrivateRabbit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rabbit_module, "START_SECONDS", 0.2)
    await asyncio.to_thread(private_rabbit.kill)
    seen = Seen()
    bus = await own_place.open(Consumer("turns.0", seen))
    assert await bus.check() == "RabbitMQ does not answer"
    assert bus.replies.address is None
    assert await bus.publish([posting()]) == [PublishResult.FAILED]
    await asyncio.to_thread(private_rabbit.start)
    await healthy(own_place)
    assert await bus.publish([posting()]) == [PublishResult.PUBLISHED]
    await until(lambda: len(seen.ids) == 1)


async def test_a_bus_that_never_connected_stops_and_leaves_nothing_running(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rabbit_module, "START_SECONDS", 0.2)
    monkeypatch.setattr("gateway.bus.connection.CONNECT_SECONDS", 0.5)
    connections: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda _, writer: connections.append(writer), "127.0.0.1", 0)
    address = f"amqp://guest:guest@127.0.0.1:{silent.sockets[0].getsockname()[1]}/"
    before = asyncio.all_tasks()
    place = RabbitPlace(store, address, "gateway.")
    try:
        bus = await place.open(Consumer("turns.0", Seen()))
        assert await bus.check() == "RabbitMQ does not answer"
        await bus.drain(0.2)
    finally:
        started = time.monotonic()
        await place.close()
    assert time.monotonic() - started < 30
    assert connections, "it was tried"
    assert asyncio.all_tasks() == before
    for writer in connections:
        writer.close()
    silent.close()


async def test_a_queue_that_somebody_deletes_comes_back_bound(place: RabbitPlace) -> None:
    seen = Seen()
    bus = await place.open(Consumer("turns.0", seen))
    async with await aio_pika.connect(place.url) as connection:
        await (await connection.channel()).queue_delete(place.topology.name("turns.0"))
    give_up = time.monotonic() + 60
    while await bus.publish([posting()]) != [PublishResult.PUBLISHED]:
        assert time.monotonic() < give_up
        await asyncio.sleep(0.1)
    await until(lambda: len(seen.ids) == 1)


async def test_a_queue_with_other_properties_is_refused_at_the_start(place: RabbitPlace) -> None:
    async with await aio_pika.connect(place.url) as connection:
        await (await connection.channel()).declare_queue(place.topology.name("turns.0"), durable=True)
    with pytest.raises(aio_pika.exceptions.ChannelPreconditionFailed):
        await place.open()
    assert await place.buses[0].check() is not None


async def test_what_travels_is_persistent_json_with_an_id(place: RabbitPlace) -> None:
    bus = await place.open()
    sent = posting()
    await bus.publish([sent])
    message = await get(place.url, place.topology.name("turns.0"))
    assert message.message_id == sent.id
    assert message.content_type == "application/json"
    assert message.delivery_mode is DeliveryMode.PERSISTENT
    assert message.body.decode() == sent.body
    assert message.headers["traceparent"] == sent.traceparent == parse_traceparent(sent.traceparent)


async def test_what_an_outsider_sends_without_a_trace_is_given_one(place: RabbitPlace) -> None:
    traces: list[str] = []

    async def consume(_message: Envelope) -> Verdict:
        traces.append(traceparent())
        return retry(RetryStep.S5)

    bus = await place.open(Consumer("turns.0", consume))
    body = envelope().model_dump_json().encode()
    await send(place.url, place.topology.name("inbound"), "0", Message(body, headers={"traceparent": 7}))
    await until(lambda: len(traces) >= 2)
    await bus.drain(60)
    await bus.stop()
    message = await get(place.url, place.topology.name("turns.0"))
    assert set(traces) == {message.headers["traceparent"]}
    assert parse_traceparent(traces[0]) == traces[0]


async def test_a_retried_copy_counts_its_attempts_and_keeps_what_outsiders_sent(place: RabbitPlace) -> None:
    times = 0

    async def consume(_message: Envelope) -> Verdict:
        nonlocal times
        times += 1
        return retry(RetryStep.S5)

    bus = await place.open(Consumer("turns.0", consume))
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    body = envelope().model_dump_json().encode()
    headers: dict[str, Any] = {"traceparent": trace, "x-gateway-attempt": "many", "x-death": [{"count": 3}]}
    await send(place.url, place.topology.name("inbound"), "0", Message(body, headers=headers))
    await until(lambda: times >= 2)
    await bus.drain(60)
    await bus.stop()
    message = await get(place.url, place.topology.name("turns.0"))
    assert message.body == body
    assert message.headers["traceparent"] == trace
    attempt = message.headers["x-gateway-attempt"]
    assert isinstance(attempt, int)
    assert attempt >= 2
    deaths = message.headers["x-death"]
    assert isinstance(deaths, list)
    assert len(deaths) == 1, "only that of the retry queue it has just left"


async def test_bytes_that_are_no_text_are_buried(place: RabbitPlace) -> None:
    await place.open(Consumer("turns.0", Seen()))
    await send(place.url, place.topology.name("inbound"), "0", Message(b"\xff\xfe\x00{", headers={"a": "b"}))
    letter = await the_letter(place.store)
    assert letter.queue == "turns.0"
    assert letter.body.startswith("\ufffd\ufffd")


async def test_a_dead_letter_waits_while_the_database_is_away(
    tmp_path: Path, rabbit_url: str, amqp_prefix: str
) -> None:
    async with open_sqlite(tmp_path / "gateway.db", MovedClock()):
        pass  # the schema
    closed = SqliteStore(tmp_path / "gateway.db", clock=Clock(), queries=load_queries())
    place = RabbitPlace(closed, rabbit_url, amqp_prefix)
    try:
        seen = Seen()
        await place.open(Consumer("turns.0", seen))
        await place.put("{")
        await asyncio.sleep(0.5)  # through the retry queue at least once
        good = envelope()
        await place.put(good.model_dump_json())
        await until(lambda: seen.ids == [good.id])
        async with closed:
            letter = await the_letter(closed)
            assert (letter.queue, letter.body) == ("turns.0", "{")
            await place.close()
            assert len(await letters_in(closed)) == 1
    finally:
        await place.close()
        await place.remove()


async def test_a_message_that_keeps_killing_its_consumers_is_recorded(place: RabbitPlace) -> None:
    bus = await place.open(Consumer("turns.1", Seen()))
    await bus.publish([posting()])
    async with await aio_pika.connect(place.url) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(place.topology.name("turns.0"), passive=True)
        for _ in range(DELIVERY_LIMIT + 1):
            message = await queue.get(timeout=30)
            await message.nack(requeue=True)
    letter = await the_letter(place.store)
    assert (letter.queue, letter.reason) == ("turns.0", "delivery_limit")


async def test_a_reply_address_reaches_reply_queues_only(place: RabbitPlace) -> None:
    bus = await place.open()
    await bus.replies.send(place.topology.name("turns.0"), ReplyFrame("a", "turn", 1, 0, "x"))
    await bus.publish([posting()])
    assert await place.left("turns.0") == 1


async def test_a_frame_that_is_none_is_dropped(place: RabbitPlace) -> None:
    bus = await place.open()
    address = bus.replies.address
    assert address is not None
    async with await aio_pika.connect(place.url) as connection:
        channel = await connection.channel()
        for body in (b"{", b"[]", b'{"message_id": "a"}', b"\xff"):
            await channel.default_exchange.publish(Message(body), address)
    stream = bus.replies.listen("a")
    await bus.replies.send(address, ReplyFrame("a", "turn", 1, 0, "x"))
    assert await stream.next(60) == ReplyFrame("a", "turn", 1, 0, "x")


async def test_two_processes_share_the_work_and_answer_each_other(place: RabbitPlace) -> None:
    first, second = Seen(), Seen()
    one = await place.open(Consumer("turns.0", first))
    other = await place.open(Consumer("turns.0", second))
    await one.publish([posting() for _ in range(40)])
    await until(lambda: len(first.ids) + len(second.ids) == 40)
    assert first.ids
    assert second.ids
    name = new_id()
    stream = one.replies.listen(name)
    await other.replies.send(one.replies.address or "", ReplyFrame(name, "turn", 1, 0, "x"))
    assert await stream.next(60) == ReplyFrame(name, "turn", 1, 0, "x")
