"""The outbox: claimed by expiry, deleted when published, and never kept by a relay that died."""

import asyncio

from gateway.domain.envelope import Envelope
from gateway.domain.ports.store import Store
from gateway.service.outbox import StoredOutbox
from gateway.tracing import continued, new_traceparent, parse_traceparent, traceparent
from tests.contract import scene
from tests.contract.conftest import MovableStore
from tests.contract.scene import arrive, sms


async def filled(store: Store, number: int) -> StoredOutbox:
    """An outbox with this many rows."""
    for n in range(number):
        await arrive(store, sms(sender=f"+141555506{n:02}"))
    return StoredOutbox(store)


async def test_a_row_is_in_the_trace_of_the_unit_that_wrote_it(store: Store) -> None:
    async def traced(number: int) -> str:
        with continued(new_traceparent()):
            accepted = await arrive(store, sms(sender=f"+141555506{number:02}"))
            places[accepted.conversation_id] = traceparent()
        return accepted.conversation_id

    places: dict[str, str] = {}
    await asyncio.gather(*map(traced, range(10)))
    postings = await StoredOutbox(store).claim(20, 30)
    rows = {
        str(Envelope.model_validate_json(posting.body).conversation_id): posting.traceparent
        for posting in postings
    }
    assert rows == places
    assert len(set(places.values())) == 10


async def test_a_row_of_no_trace_begins_one(store: Store) -> None:
    outbox = await filled(store, 2)
    first, second = (posting.traceparent for posting in await outbox.claim(10, 30))
    assert parse_traceparent(first) == first != second == parse_traceparent(second)


async def test_relays_share_what_is_due(store: Store) -> None:
    outbox = await filled(store, 20)
    claims = await asyncio.gather(*(outbox.claim(7, 30) for _ in range(4)))
    ids = [posting.id for claim in claims for posting in claim]
    assert len(ids) == len(set(ids)) == 20
    assert max(len(claim) for claim in claims) == 7
    assert {posting.attempt for claim in claims for posting in claim} == {1}


async def test_a_claim_that_runs_out_is_somebody_elses(store: MovableStore) -> None:
    outbox = await filled(store, 3)
    first = await outbox.claim(10, 30)
    assert await outbox.claim(10, 30) == []
    wait = await outbox.next_due()
    assert wait is not None
    assert 29 < wait <= 30
    store.advance(31)
    again = await outbox.claim(10, 30)
    assert {p.id for p in again} == {p.id for p in first}
    assert {p.attempt for p in again} == {2}


async def test_what_is_done_is_gone_and_what_is_postponed_waits(store: MovableStore) -> None:
    outbox = await filled(store, 3)
    one, two, three = await outbox.claim(10, 30)
    await outbox.done([one.id, two.id])
    await outbox.done([])
    await outbox.postpone(three, 100)
    store.advance(60)
    assert await outbox.claim(10, 30) == []
    store.advance(41)
    assert [p.id for p in await outbox.claim(10, 30)] == [three.id]
    await outbox.done([three.id])
    assert await outbox.next_due() is None


async def test_what_cannot_be_read_is_kept_with_its_reason(store: Store) -> None:
    outbox = StoredOutbox(store)
    await outbox.bury("turns.1", "not JSON", "{\x00", {"x": "y"})
    (letter,) = await scene.rows(store, "test_dead_letters")
    assert (letter["queue"], letter["reason"], letter["body"]) == ("turns.1", "not JSON", "{\ufffd")
    assert letter["conversation_id"] is None


async def test_what_can_be_read_is_kept_with_its_conversation(store: Store) -> None:
    accepted = await arrive(store)
    outbox = StoredOutbox(store)
    (posting,) = await outbox.claim(1, 30)
    await outbox.bury("turns.1", "refused", posting.body, {})
    (letter,) = await scene.rows(store, "test_dead_letters")
    assert letter["conversation_id"] == accepted.conversation_id
