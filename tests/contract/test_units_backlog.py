"""What waits in the database is counted, and no longer once it is done."""

from gateway.domain.ports.store import Store
from gateway.service.backlog import Backlog, backlog
from gateway.service.dead import bury, settle
from tests.contract.scene import answer, arrive, claimed, clear_outbox, sms


async def test_what_waits_is_counted(store: Store) -> None:
    await clear_outbox(store)
    before = await store.read(backlog)

    accepted = await arrive(store, sms("are you there?", sender="+14155550177"))
    waiting = await store.read(backlog)
    assert waiting.turns == before.turns + 1
    assert waiting.outbox > before.outbox

    await answer(store, await claimed(store, accepted.conversation_id), "I am")
    answered = await store.read(backlog)
    assert (answered.turns, answered.deliveries) == (before.turns, before.deliveries + 1)


async def test_a_dead_letter_counts_until_it_is_settled(store: Store) -> None:
    before = await store.read(backlog)

    letter = await store.write(bury, "turns.1", "cannot be read", "{")
    assert await store.read(backlog) == Backlog(
        before.outbox, before.turns, before.deliveries, before.dead_letters + 1
    )

    await store.write(settle, letter, "discarded")
    assert await store.read(backlog) == before
