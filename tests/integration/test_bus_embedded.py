"""What only the embedded bus can meet: claims that run out, a dead predecessor, a database that is away."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.bus import embedded as embedded_module
from gateway.bus.embedded import CLAIM_SECONDS, EmbeddedBus
from gateway.domain.clock import SECOND
from gateway.domain.envelope import Envelope, Exchange, Posting
from gateway.domain.ports.bus import DONE, Consumer, RetryStep, Verdict, retry
from gateway.domain.ports.store import Tx
from gateway.service.postings import post
from gateway.store.sqlite import SqliteStore
from gateway.tracing import new_traceparent
from tests.contract.bus_places import EmbeddedPlace, MovedClock, envelope, letters_in, open_sqlite
from tests.waiting import until


@pytest.fixture
def clock() -> MovedClock:
    """The database's clock."""
    return MovedClock()


@pytest.fixture
async def store(tmp_path: Path, clock: MovedClock) -> AsyncIterator[SqliteStore]:
    """A fresh database."""
    async with open_sqlite(tmp_path / "gateway.db", clock) as opened:
        yield opened


@pytest.fixture
async def place(store: SqliteStore, clock: MovedClock) -> AsyncIterator[EmbeddedPlace]:
    """The embedded bus."""
    embedded = EmbeddedPlace(store, clock)
    yield embedded
    await embedded.close()


async def reset(tx: Tx) -> None:
    """What an embedded start does."""
    await tx.run("outbox_reset")


async def test_a_consumer_that_outlasts_its_claim_is_not_run_twice(place: EmbeddedPlace) -> None:
    release = asyncio.Event()
    seen: list[str] = []

    async def consume(message: Envelope) -> Verdict:
        seen.append(message.id)
        await release.wait()
        return DONE

    later: list[str] = []

    async def note(message: Envelope) -> Verdict:
        later.append(message.id)
        return DONE

    await place.open(Consumer("turns.0", consume, 1), Consumer("turns.1", note))
    for _ in range(3):
        await place.put(envelope().model_dump_json())
    await until(lambda: len(seen) == 1)
    for number in range(1, 4):
        place.clock.ahead += int((CLAIM_SECONDS + 1) * SECOND)
        await place.put(envelope().model_dump_json(), "inbound", "1")
        await until(lambda number=number: len(later) == number)  # type: ignore[misc]  # the dispatcher has claimed again
    assert len(seen) == 1
    release.set()
    await until(lambda: len(seen) == 3)
    assert len(set(seen)) == 3


async def test_what_is_handed_over_in_memory_is_not_read_again(place: EmbeddedPlace) -> None:
    seen: list[Envelope] = []

    async def consume(message: Envelope) -> Verdict:
        seen.append(message)
        return DONE

    bus = await place.open(Consumer("turns.0", consume))
    assert isinstance(bus, EmbeddedBus)
    message = envelope()
    bus.take([Posting(message.id, "inbound", "0", "not looked at", new_traceparent(), envelope=message)])
    await until(lambda: len(seen) == 1)
    assert seen[0] is message


async def test_a_successor_takes_over_what_its_predecessor_left(place: EmbeddedPlace) -> None:
    seen: list[str] = []
    hanging: list[str] = []

    async def hang(message: Envelope) -> Verdict:
        hanging.append(message.id)
        await asyncio.Event().wait()
        return DONE

    async def consume(message: Envelope) -> Verdict:
        seen.append(message.id)
        return DONE

    messages = [envelope() for _ in range(5)]
    bus = await place.open(Consumer("turns.0", hang, 2))
    for message in messages:
        await place.put(message.model_dump_json())
    await until(lambda: len(hanging) == 2)
    await bus.stop()  # no drain: as if killed
    await place.store.write(reset)
    await place.open(Consumer("turns.0", consume))
    await until(lambda: len(seen) == 5)
    assert sorted(seen) == sorted(message.id for message in messages)


async def test_a_bell_without_a_row_is_tried_again_and_survives_a_stop(place: EmbeddedPlace) -> None:
    seen: list[str] = []
    verdicts = [retry(RetryStep.S5), DONE]
    hanging = asyncio.Event()

    async def consume(message: Envelope) -> Verdict:
        seen.append(message.id)
        if verdicts:
            return verdicts.pop(0)
        hanging.set()
        await asyncio.Event().wait()
        return DONE

    bus = await place.open(Consumer("turns.0", consume))
    first = envelope()
    await place.store.write(ring, first)
    await until(lambda: seen == [first.id, first.id])
    await gone(place)
    second = envelope()
    await place.store.write(ring, second)
    await hanging.wait()
    assert await place.left("turns.0") == 0  # nobody has stored it
    await bus.drain(0.1)
    assert await place.left("turns.0") == 1


async def gone(place: EmbeddedPlace) -> None:
    """Wait until the table is empty."""
    async with asyncio.timeout(60):
        while await place.left("turns.0"):  # noqa: ASYNC110 - looks into a database
            await asyncio.sleep(0.01)


async def ring(tx: Tx, message: Envelope) -> None:
    """Hand a bell over."""
    await post(tx, Exchange.INBOUND, "0", message)


async def test_rows_beyond_what_memory_may_hold_wait_in_the_table(
    place: EmbeddedPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_module, "MAX_HELD", 5)
    monkeypatch.setattr(embedded_module, "CLAIM_ROWS", 2)
    seen: list[str] = []
    most = 0

    async def consume(message: Envelope) -> Verdict:
        nonlocal most
        seen.append(message.id)
        most = max(most, len(place.buses[0]._held))
        await asyncio.sleep(0)
        return DONE

    for _ in range(60):
        await place.put(envelope().model_dump_json())
    await place.open(Consumer("turns.0", consume))
    await until(lambda: len(seen) == 60)
    assert most <= 6


async def test_a_database_that_was_away_is_asked_again(
    place: EmbeddedPlace, store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_module, "PAUSE_SECONDS", 0.05)
    seen: list[str] = []

    async def consume(message: Envelope) -> Verdict:
        seen.append(message.id)
        return DONE

    bus = await place.open(Consumer("turns.0", consume))
    await store.__aexit__()
    place.buses[0].wake()
    await asyncio.sleep(0.2)
    assert await bus.check() is None
    async with store:
        await place.put(envelope().model_dump_json())
        await until(lambda: len(seen) == 1)
        await bus.drain(60)
        assert await place.left("turns.0") == 0
    await store.__aenter__()


async def test_a_message_that_only_ever_retries_is_given_up(
    place: EmbeddedPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.bus.verdicts.MAX_ATTEMPTS", 3)
    count = 0

    async def consume(_message: Envelope) -> Verdict:
        nonlocal count
        count += 1
        return retry(RetryStep.S5, "leased")

    await place.open(Consumer("turns.0", consume))
    await place.put(envelope().model_dump_json())
    await until(lambda: count == 3)
    bus = place.buses[0]
    await bus.drain(60)
    (letter,) = await letters_in(place.store)
    assert letter.reason == "given up after 3 attempts: leased"
    assert await place.left("turns.0") == 0
