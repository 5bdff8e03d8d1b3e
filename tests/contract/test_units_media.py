"""Files at providers: fetched by whoever claims them, shown with their message, waited for by its turn."""

from dataclasses import replace

import pytest

from gateway.domain.attachment import AttachmentState
from gateway.domain.clock import SECOND
from gateway.domain.ids import new_id
from gateway.domain.message import Accepted, InboundAttachment
from gateway.domain.ports.files import FileKey, NotFetched
from gateway.domain.ports.store import Store
from gateway.domain.turn import NotNow
from gateway.service.accept import Route, accept
from gateway.service.attachments import attachment, note_file
from gateway.service.media import PendingFile, claim_files, file_kept, file_not_fetched
from tests.contract import scene
from tests.contract.conftest import MovableStore
from tests.contract.scene import ORGANIZATION, PARTITIONS, ROUTE, claimed, posted, refused, sms, texts_of

SHA = "a" * 64
SLOW = replace(ROUTE, coalesce=30 * SECOND)


async def with_files(store: Store, count: int = 1, route: Route = ROUTE) -> Accepted:
    """A text with files that are still at the provider."""
    files = tuple(
        InboundAttachment(id=new_id(), media_type="image/jpeg", source="https://provider.example/1")
        for _ in range(count)
    )
    return await store.write(accept, replace(sms("look"), attachments=files), route)


async def keep(store: Store, file: PendingFile, window: int = 0) -> None:
    await store.write(note_file, FileKey(ORGANIZATION, SHA), 7)
    kept = InboundAttachment(id=new_id(), media_type="image/png", size=7, name="cat.png", sha256=SHA)
    await store.write(file_kept, file, kept, window, PARTITIONS)


async def test_the_turn_waits_for_all_files_and_is_told_what_they_are(store: MovableStore) -> None:
    accepted = await with_files(store, 2)
    assert await refused(store, accepted.conversation_id) is NotNow.NOT_DUE
    first, second = await store.write(claim_files)
    assert await store.write(claim_files) == []
    await scene.clear_outbox(store)
    await keep(store, first)
    assert await refused(store, accepted.conversation_id) is NotNow.NOT_DUE
    assert await posted(store, "turn.due") == []
    await keep(store, second)
    assert len(await posted(store, "turn.due")) == 1
    claim = await claimed(store, accepted.conversation_id)
    told = claim.request.messages[-1].attachments
    assert [(a.media_type, a.size, a.name) for a in told] == [("image/png", 7, "cat.png")] * 2
    stored = await store.read(attachment, ORGANIZATION, first.id)
    assert stored is not None
    assert (stored.state, stored.key) == (AttachmentState.KEPT, FileKey(ORGANIZATION, SHA))


async def test_the_agent_is_asked_without_a_file_that_does_not_come(store: MovableStore) -> None:
    accepted = await with_files(store)
    store.advance(21)
    claim = await claimed(store, accepted.conversation_id)
    assert claim.request.messages[-1].attachments[0].size is None


async def test_a_fetch_is_repeated_and_then_given_up(store: MovableStore) -> None:
    accepted = await with_files(store)
    for attempt in range(1, 6):
        (file,) = await store.write(claim_files)
        assert file.attempt == attempt
        await store.write(file_not_fetched, file, NotFetched("http_503", again=True), 0, PARTITIONS)
        store.advance(601)
    assert await store.write(claim_files) == []
    (told,) = (await claimed(store, accepted.conversation_id)).request.messages[-1].attachments
    stored = await store.read(attachment, ORGANIZATION, told.id)
    assert stored is not None
    assert (stored.state, stored.error) == (AttachmentState.FAILED, "http_503")


async def test_what_is_refused_for_good_is_not_tried_again(store: MovableStore) -> None:
    accepted = await with_files(store)
    (file,) = await store.write(claim_files)
    await store.write(file_not_fetched, file, NotFetched("type_not_taken", again=False), 0, PARTITIONS)
    await claimed(store, accepted.conversation_id)


async def test_a_worker_that_dies_costs_time_only(store: MovableStore) -> None:
    await with_files(store)
    (first,) = await store.write(claim_files)
    store.advance(121)
    (second,) = await store.write(claim_files)
    assert (first.id, second.attempt) == (second.id, 2)


async def test_a_turn_waits_for_more_input_from_its_first_on(store: MovableStore) -> None:
    first = await store.write(accept, sms("one"), SLOW)
    assert await refused(store, first.conversation_id) is NotNow.NOT_DUE
    store.advance(20)
    await store.write(accept, sms("two"), SLOW)
    assert await refused(store, first.conversation_id) is NotNow.NOT_DUE
    store.advance(11)
    claim = await claimed(store, first.conversation_id)
    assert texts_of(claim.request) == ["one", "two"]
    # what comes while it runs is the next turn's, at once
    await store.write(accept, sms("three"), SLOW)
    finished = await scene.answer(store, claim)
    assert finished.more
    later = await claimed(store, first.conversation_id, claim.lease.worker_id)
    assert texts_of(later.request) == ["three"]
    await scene.answer(store, later)
    await store.write(accept, sms("four"), SLOW)
    assert await refused(store, first.conversation_id) is NotNow.NOT_DUE


async def test_a_bell_with_a_window_rings_at_its_end(store: MovableStore) -> None:
    await store.write(accept, sms("one"), SLOW)

    async def due(tx: object) -> int:
        return len(await tx.all("outbox_claim", claim=1, limit=10))  # type: ignore[attr-defined]

    assert await store.write(due) == 0
    store.advance(30)
    assert await store.write(due) == 1


@pytest.mark.parametrize(("window", "waits"), [(0, False), (30, True)])
async def test_a_window_outlasts_the_files(store: MovableStore, window: int, waits: bool) -> None:
    accepted = await with_files(store, route=replace(ROUTE, coalesce=window * SECOND))
    (file,) = await store.write(claim_files)
    await keep(store, file, window * SECOND)
    if waits:
        assert await refused(store, accepted.conversation_id) is NotNow.NOT_DUE
        store.advance(window)
    await claimed(store, accepted.conversation_id)


async def test_without_a_window_nothing_waits(store: MovableStore) -> None:
    accepted = await scene.arrive(store)
    await claimed(store, accepted.conversation_id)
