"""What every bus promises: the same suite on the outbox of a SQLite file and on RabbitMQ."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from gateway.bus.streams import MAX_FRAMES
from gateway.domain.envelope import Envelope
from gateway.domain.errors import Unavailable
from gateway.domain.ports.bus import DONE, Consumer, RetryStep, Verdict, dead, retry
from gateway.domain.ports.replies import ReplyFrame
from gateway.service.dead import open_letters
from gateway.tracing import new_traceparent, traceparent
from tests.contract.bus_places import (
    STEP_SECONDS,
    EmbeddedPlace,
    MovedClock,
    Place,
    RabbitPlace,
    envelope,
    letters_in,
    open_sqlite,
    the_letter,
    unhurried,
)
from tests.waiting import until


@pytest.fixture(params=["embedded", "rabbit"])
async def place(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Place]:
    """Each bus, one after the other."""
    unhurried(monkeypatch)
    clock = MovedClock()
    async with open_sqlite(tmp_path / "gateway.db", clock) as store:
        if request.param == "embedded":
            embedded = EmbeddedPlace(store, clock)
            yield embedded
            await embedded.close()
        else:
            url, prefix = (str(request.getfixturevalue(name)) for name in ("rabbit_url", "amqp_prefix"))
            rabbit = RabbitPlace(store, url, prefix)
            yield rabbit
            await rabbit.close()
            await rabbit.remove()


class Recorder:
    """A consumer that answers with the verdicts it was given, then with DONE, and remembers what came."""

    def __init__(self, *verdicts: Verdict | Exception) -> None:
        self.verdicts = list(verdicts)
        self.seen: list[str] = []
        self.times: list[float] = []

    async def __call__(self, message: Envelope) -> Verdict:
        self.seen.append(message.id)
        self.times.append(time.monotonic())
        answer = self.verdicts.pop(0) if self.verdicts else DONE
        if isinstance(answer, Exception):
            raise answer
        return answer


class Gate:
    """A consumer that holds every message until it is opened, and knows how many it holds."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.held = 0
        self.most = 0
        self.seen: list[str] = []

    async def __call__(self, message: Envelope) -> Verdict:
        self.seen.append(message.id)
        self.held += 1
        self.most = max(self.most, self.held)
        try:
            await self.open.wait()
        finally:
            self.held -= 1
        return DONE


async def test_every_message_is_consumed_and_gone(place: Place) -> None:
    messages = [envelope() for _ in range(40)]
    consume = Recorder()
    bus = await place.open(Consumer("turns.0", consume, 10), Consumer("turns.1", consume, 10))
    for number, message in enumerate(messages):
        await place.put(message.model_dump_json(), "inbound", str(number % 2))
    await until(lambda: len(consume.seen) == 40)
    await bus.drain(60)
    await bus.stop()
    assert sorted(consume.seen) == sorted(message.id for message in messages)
    assert await place.left("turns.0") == await place.left("turns.1") == 0


async def test_exchanges_lead_to_their_queues(place: Place) -> None:
    consumers = {queue: Recorder() for queue in ("deliveries.sms", "deliveries.email", "voice.events")}
    await place.open(*(Consumer(queue, consume) for queue, consume in consumers.items()))
    for exchange, key in (("outbound", "sms"), ("outbound", "email"), ("voice.events", "event")):
        await place.put(envelope().model_dump_json(), exchange, key)
    await until(lambda: all(len(consume.seen) == 1 for consume in consumers.values()))


async def test_a_retried_message_comes_back_after_its_delay(place: Place) -> None:
    consume = Recorder(retry(RetryStep.S5), retry(RetryStep.M10))
    await place.open(Consumer("turns.0", consume))
    message = envelope()
    await place.put(message.model_dump_json())
    await until(lambda: len(consume.seen) == 3)
    assert set(consume.seen) == {message.id}
    gaps = [later - earlier for earlier, later in zip(consume.times, consume.times[1:], strict=False)]
    assert min(gaps) >= STEP_SECONDS[RetryStep.S5] * 0.95


async def test_work_is_done_in_the_trace_of_its_message(place: Place) -> None:
    """Whatever runs beside it, and when it comes again."""
    sent = {message.id: (message, new_traceparent()) for message in (envelope() for _ in range(20))}
    seen: list[tuple[str, str, str]] = []

    async def consume(message: Envelope) -> Verdict:
        before = traceparent()
        await asyncio.sleep(0)
        seen.append((message.id, before, traceparent()))
        return retry(RetryStep.S5) if len(seen) <= 5 else DONE

    await place.open(Consumer("turns.0", consume, 10))
    for message, trace in sent.values():
        await place.put(message.model_dump_json(), traceparent=trace)
    await until(lambda: len(seen) == 25)
    assert {message_id for message_id, _, _ in seen} == set(sent)
    for message_id, *places in seen:
        assert places == [sent[message_id][1]] * 2


async def test_a_dead_letter_keeps_its_trace(place: Place) -> None:
    await place.open(Consumer("turns.0", Recorder(dead("refused"))))
    trace = new_traceparent()
    await place.put(envelope().model_dump_json(), traceparent=trace)
    await the_letter(place.store)
    (letter,) = await place.store.read(open_letters, 1)
    assert letter.headers["traceparent"] == trace


async def test_a_retry_holds_up_nobody_else(place: Place) -> None:
    consume = Recorder(retry(RetryStep.H1))
    await place.open(Consumer("turns.0", consume))
    first, second = envelope(), envelope()
    await place.put(first.model_dump_json())
    await until(lambda: len(consume.seen) == 1)
    await place.put(second.model_dump_json())
    await until(lambda: len(consume.seen) == 3)
    assert consume.seen == [first.id, second.id, first.id]


async def test_a_dead_letter_is_kept_with_queue_reason_and_body(place: Place) -> None:
    await place.open(Consumer("turns.1", Recorder(dead("nobody knows this number"))))
    message = envelope("Grüße")
    await place.put(message.model_dump_json(), "inbound", "1")
    letter = await the_letter(place.store)
    assert (letter.queue, letter.reason) == ("turns.1", "nobody knows this number")
    assert Envelope.model_validate_json(letter.body) == message


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("{", "body: json_invalid"),
        ("[]", "body: model_type"),
        ('{"v": 2, "id": "1", "type": "x", "occurred_at": "", "data": {}}', "v: literal_error"),
        ('{"v": 1, "id": "1", "type": "x", "occurred_at": ""}', "data: missing"),
        ("[" * 100_000, "body: json_invalid"),
        ('{"data": {"a": "' + "x" * 1_100_000 + '"}}', "larger than 1048576 bytes"),
    ],
    ids=["no JSON", "no object", "another version", "no payload", "deep", "large"],
)
async def test_an_invalid_body_is_buried_and_stops_nothing(place: Place, body: str, reason: str) -> None:
    consume = Recorder()
    await place.open(Consumer("turns.0", consume))
    good = envelope()
    await place.put(body)
    await place.put(good.model_dump_json())
    await until(lambda: consume.seen == [good.id])
    letter = await the_letter(place.store)
    assert letter.queue == "turns.0"
    assert reason in letter.reason
    assert body.startswith(letter.body)


async def test_a_payload_its_consumer_cannot_read_is_buried(place: Place) -> None:
    class Payload(BaseModel):
        text: int

    async def consume(message: Envelope) -> Verdict:
        Payload.model_validate(message.data)
        return DONE

    await place.open(Consumer("turns.0", consume))
    await place.put(envelope("secret words").model_dump_json())
    letter = await the_letter(place.store)
    assert letter.reason == "not a valid message.inbound: text: int_parsing"


@pytest.mark.parametrize("error", [Unavailable("the database is away"), ValueError("secret words")])
async def test_what_a_consumer_raises_is_a_retry_and_quotes_nobody(
    place: Place, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    consume = Recorder(error)
    with caplog.at_level(logging.DEBUG, "gateway"):
        await place.open(Consumer("turns.0", consume))
        await place.put(envelope().model_dump_json())
        await until(lambda: len(consume.seen) == 2)
    assert consume.times[1] - consume.times[0] >= STEP_SECONDS[RetryStep.S5] * 0.95
    assert not await letters_in(place.store)
    lines = [str(vars(record)) for record in caplog.records if record.name.startswith("gateway.bus")]
    assert lines
    assert not any("secret words" in line for line in lines)


async def test_a_message_that_no_queue_takes_is_noticed(place: Place) -> None:
    assert await place.is_unroutable("voice", "somehost")


async def test_a_fact_that_nobody_listens_to_is_no_fault(place: Place) -> None:
    bus = await place.open(Consumer("turns.0", Recorder()))
    await place.put(envelope(kind="conversation.closed").model_dump_json(), "events", "conversation.closed")
    await bus.drain(60)
    assert not await letters_in(place.store)


async def test_facts_reach_the_webhooks_once_somebody_consumes_them(place: Place) -> None:
    consume = Recorder()
    await place.open(Consumer("webhooks", consume))
    await place.put(envelope(kind="message.delivered").model_dump_json(), "events", "message.delivered")
    await until(lambda: len(consume.seen) == 1)


async def test_no_more_than_prefetch_is_worked_off_at_once(place: Place) -> None:
    gate = Gate()
    await place.open(Consumer("turns.0", gate, 3))
    for _ in range(9):
        await place.put(envelope().model_dump_json())
    await until(lambda: gate.held == 3)
    await asyncio.sleep(0.3)  # time in which a fourth would have come
    assert gate.most == 3
    gate.open.set()
    await until(lambda: len(gate.seen) == 9)
    assert gate.most == 3


async def test_a_busy_queue_does_not_hold_up_another(place: Place) -> None:
    gate, free = Gate(), Recorder()
    await place.open(Consumer("turns.0", gate), Consumer("turns.1", free))
    for _ in range(30):
        await place.put(envelope().model_dump_json())
    await until(lambda: gate.held == 1)
    await place.put(envelope().model_dump_json(), "inbound", "1")
    await until(lambda: len(free.seen) == 1)
    assert len(gate.seen) == 1
    gate.open.set()


async def test_draining_waits_for_what_is_at_work(place: Place) -> None:
    gate = Gate()
    bus = await place.open(Consumer("turns.0", gate))
    await place.put(envelope().model_dump_json())
    await until(lambda: gate.held == 1)
    asyncio.get_running_loop().call_later(0.2, gate.open.set)
    await bus.drain(60)
    await bus.stop()
    assert gate.held == 0
    assert await place.left("turns.0") == 0


async def test_draining_gives_back_what_takes_too_long(place: Place) -> None:
    gate = Gate()
    bus = await place.open(Consumer("turns.0", gate, 2))
    for _ in range(5):
        await place.put(envelope().model_dump_json())
    await until(lambda: gate.held == 2)
    started = time.monotonic()
    await bus.drain(0.2)
    assert time.monotonic() - started < 30
    assert gate.held == 0, "what was at work is cancelled"
    await bus.stop()
    other = Recorder()
    await place.open(Consumer("turns.0", other, 10))
    await until(lambda: len(other.seen) == 5)
    assert set(gate.seen) <= set(other.seen)


async def test_a_bus_is_healthy_while_it_consumes(place: Place) -> None:
    bus = await place.open(Consumer("turns.0", Recorder()))
    assert await bus.check() is None
    await bus.drain(60)
    assert await bus.check() is not None


def frame(message_id: str, n: int) -> ReplyFrame:
    """A delta."""
    return ReplyFrame(message_id, "turn", 1, n, f"word {n} €")


async def test_replies_are_streamed_to_whoever_listens(place: Place) -> None:
    bus = await place.open()
    address = bus.replies.address
    assert address is not None
    first, second, other = (bus.replies.listen(name) for name in ("a", "a", "b"))
    for n in range(20):
        await bus.replies.send(address, frame("a", n))
    await bus.replies.send(address, ReplyFrame("a", "turn", 1, 20, final=True))
    for stream in (first, second):
        got = [await stream.next(60) for _ in range(21)]
        assert got[:20] == [frame("a", n) for n in range(20)]
        assert got[20] is not None
        assert got[20].final
    assert await other.next(0.05) is None
    first.close()
    await bus.replies.send(address, frame("a", 21))
    assert await second.next(60) == frame("a", 21)
    assert await first.next(0.05) is None


async def test_a_frame_to_a_listener_that_is_gone_is_dropped(place: Place) -> None:
    bus = await place.open()
    await bus.replies.send("local-of-before", frame("a", 1))
    address = bus.replies.address
    assert address is not None
    await bus.replies.send(f"{address}x", frame("a", 2))
    stream = bus.replies.listen("a")
    await bus.replies.send(address, frame("a", 3))
    assert await stream.next(60) == frame("a", 3)


async def test_a_listener_that_falls_behind_is_woken_once_and_gets_no_more(place: Place) -> None:
    bus = await place.open()
    address = bus.replies.address
    assert address is not None
    slow, marker = bus.replies.listen("a"), bus.replies.listen("marker")
    for n in range(MAX_FRAMES + 1):
        await bus.replies.send(address, frame("a", n))
    await bus.replies.send(address, frame("marker", 0))
    assert await marker.next(60) is not None
    started = time.monotonic()
    assert await slow.next(90) is None
    assert time.monotonic() - started < 60, "woken"
    assert await slow.next(0.2) is None
    assert time.monotonic() - started >= 0.2, "not woken again and again"
