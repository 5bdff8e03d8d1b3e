"""Outbox rows that are handed over after their commit: once, else found in the table."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from gateway.domain.clock import SECOND
from gateway.domain.envelope import Envelope, Exchange, Posting
from gateway.domain.ports.bus import PublishResult
from gateway.domain.ports.store import Tx, Wake
from gateway.service.accept import accept
from gateway.service.due import due_turns
from gateway.service.outbox import StoredOutbox
from gateway.service.postings import HANDED_SECONDS, envelope, post
from tests.contract import scene
from tests.contract.conftest import MovableStore
from tests.contract.scene import ORGANIZATION, PARTITIONS, ROUTE, arrive, sms
from workers.forward import Forwarder
from workers.timers import RING_AGAIN_SECONDS, ring_for_what_waits


class Keeper:
    """Takes rows, as long as it is ready."""

    def __init__(self, store: MovableStore, *, bells_need_rows: bool = True) -> None:
        self.ready = True
        self.bells_need_rows = bells_need_rows
        self.taken: list[Posting] = []
        store.hand_over_to(self)

    def take(self, postings: Sequence[Posting], /) -> None:
        """Keep them."""
        self.taken += postings


class Broker:
    """Answers publications as it is told to."""

    def __init__(self, *results: PublishResult) -> None:
        self.connected = True
        self.results = list(results)
        self.published: list[str] = []

    async def publish(self, postings: Sequence[Posting]) -> list[PublishResult]:
        """The next results."""
        self.published += [posting.id for posting in postings]
        return [self.results.pop(0) for _ in postings]


async def posted(tx: Tx, number: int = 1, *, delay_seconds: float = 0) -> list[str]:
    """Post so many."""
    messages = [
        envelope("turn.due", {}, at=0, organization_id=ORGANIZATION, conversation_id=None)
        for _ in range(number)
    ]
    for message in messages:
        await post(tx, Exchange.INBOUND, "0", message, delay_seconds=delay_seconds)
    return [message.id for message in messages]


async def claimed(store: MovableStore) -> list[str]:
    """What a relay finds now."""
    return [posting.id for posting in await StoredOutbox(store).claim(100, 30)]


async def gone(store: MovableStore) -> None:
    """Wait until the table is empty."""
    async with asyncio.timeout(30):
        while await StoredOutbox(store).next_due() is not None:  # noqa: ASYNC110 - looks into a database
            await asyncio.sleep(0.01)


async def test_a_row_is_handed_over_as_it_is_stored_and_is_due_again_later(store: MovableStore) -> None:
    keeper = Keeper(store)
    accepted = await arrive(store)
    await asyncio.sleep(0)
    assert await claimed(store) == []
    store.advance(HANDED_SECONDS + 1)
    (row,) = await StoredOutbox(store).claim(100, 30)
    (taken,) = keeper.taken
    assert taken == row
    assert accepted.conversation_id in taken.body
    assert row.envelope is None
    assert taken.envelope is not None
    assert taken.envelope.model_dump_json() == taken.body


async def test_a_bell_needs_no_row_where_a_start_rings_for_all_that_waits(store: MovableStore) -> None:
    keeper = Keeper(store, bells_need_rows=False)
    accepted = await arrive(store)
    await asyncio.sleep(0)
    (bell,) = keeper.taken
    assert not bell.has_row
    assert accepted.conversation_id in bell.body
    assert await StoredOutbox(store).next_due() is None
    # its process dies
    await ring_for_what_waits(store, PARTITIONS)
    await asyncio.sleep(0)
    again = Envelope.model_validate_json(keeper.taken[-1].body)
    assert (again.type, again.conversation_id) == ("turn.due", accepted.conversation_id)


async def test_a_start_rings_for_what_has_been_rung_for_just_now(store: MovableStore) -> None:
    accepted = await arrive(store)
    await scene.clear_outbox(store)
    await ring_for_what_waits(store, PARTITIONS)
    (row,) = await StoredOutbox(store).claim(100, 30)
    assert Envelope.model_validate_json(row.body).conversation_id == accepted.conversation_id


async def test_a_start_rings_once_for_each_turn_and_lane_however_much_waits(
    store: MovableStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.timers.AT_ONCE", 1)  # every look that finds something has another one follow
    waiting, answered = await arrive(store), await arrive(store, sms(sender="+14155550177"))
    await scene.answer(store, await scene.claimed(store, answered.conversation_id))
    await scene.clear_outbox(store)
    await ring_for_what_waits(store, PARTITIONS)
    rung = [Envelope.model_validate_json(row.body) for row in await StoredOutbox(store).claim(100, 30)]
    assert sorted(bell.type for bell in rung) == ["delivery.due", "turn.due"]
    assert {bell.conversation_id for bell in rung} == {waiting.conversation_id, None}


async def test_what_was_not_due_at_a_start_is_rung_for_by_the_first_timer_that_finds_it_due(
    store: MovableStore,
) -> None:
    await store.write(accept, sms(), replace(ROUTE, coalesce=3 * SECOND))
    await scene.clear_outbox(store)
    await ring_for_what_waits(store, PARTITIONS)
    assert await claimed(store) == []
    store.advance(4)
    assert await store.write(due_turns, RING_AGAIN_SECONDS * SECOND, PARTITIONS) == 1


async def test_a_bell_without_a_row_gets_one_when_it_has_to_wait(store: MovableStore) -> None:
    keeper = Keeper(store, bells_need_rows=False)
    await arrive(store)
    await asyncio.sleep(0)
    (bell,) = keeper.taken
    await StoredOutbox(store).postpone(replace(bell, attempt=3), 5)
    assert await claimed(store) == []
    store.advance(6)
    (row,) = await StoredOutbox(store).claim(100, 30)
    assert (row.id, row.body, row.attempt) == (bell.id, bell.body, 4)


async def test_what_no_timer_would_miss_has_a_row_whoever_takes_it(store: MovableStore) -> None:
    async def fact(tx: Tx) -> str:
        told = envelope("session.ended", {}, at=0, organization_id=ORGANIZATION, conversation_id=None)
        await post(tx, Exchange.EVENTS, "session.ended", told)
        return told.id

    keeper = Keeper(store, bells_need_rows=False)
    row = await store.write(fact)
    await asyncio.sleep(0)
    assert [posting.has_row for posting in keeper.taken] == [True]
    store.advance(HANDED_SECONDS + 1)
    assert await claimed(store) == [row]


async def test_what_waits_or_finds_nobody_ready_is_left_in_the_table(store: MovableStore) -> None:
    keeper = Keeper(store)
    (later,) = await store.write(posted, delay_seconds=5)
    keeper.ready = False
    (now,) = await store.write(posted)
    await asyncio.sleep(0)
    assert keeper.taken == []
    assert await claimed(store) == [now]
    store.advance(6)
    assert await claimed(store) == [later]


async def test_a_unit_that_is_undone_hands_nothing_over(store: MovableStore) -> None:
    async def undone(tx: Tx) -> None:
        await posted(tx)
        raise LookupError

    keeper = Keeper(store)
    with pytest.raises(LookupError):
        await store.write(undone)
    (row,) = await store.write(posted)
    await asyncio.sleep(0)
    assert [posting.id for posting in keeper.taken] == [row]


async def test_what_is_published_is_deleted(store: MovableStore) -> None:
    broker = Broker(*[PublishResult.PUBLISHED] * 3)
    forwarder = Forwarder(StoredOutbox(store), broker)
    store.hand_over_to(forwarder)
    rows = [*await store.write(posted, 2), *await store.write(posted)]
    await gone(store)
    assert broker.published == rows
    await forwarder.stop()


async def test_what_is_not_published_is_due_at_once_for_the_relays(
    store: MovableStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.forward._STOP_SECONDS", 60.0)  # a busy database is slow to give rows back
    woken = asyncio.Event()
    store.on_wake(Wake.OUTBOX, woken.set)
    broker = Broker(PublishResult.RETURNED, PublishResult.FAILED, PublishResult.PUBLISHED)
    forwarder = Forwarder(StoredOutbox(store), broker)
    store.hand_over_to(forwarder)
    returned, failed, _ = await store.write(posted, 3)
    async with asyncio.timeout(30):
        while not broker.published:  # noqa: ASYNC110 - what it waits for happens soon
            await asyncio.sleep(0.01)
        await forwarder.stop()
        await woken.wait()
    assert sorted(await claimed(store)) == sorted([returned, failed])


async def test_without_a_broker_rows_are_left_to_the_relays(store: MovableStore) -> None:
    broker = Broker()
    forwarder = Forwarder(StoredOutbox(store), broker)
    store.hand_over_to(forwarder)
    broker.connected = False
    first = await store.write(posted)
    broker.connected = True
    await forwarder.stop()
    second = await store.write(posted)
    assert await claimed(store) == first + second
    assert broker.published == []
