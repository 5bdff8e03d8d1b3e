"""A text that did not arrive for now is sent once more, later, and never one that did arrive."""

from dataclasses import replace

import pytest

from gateway.domain.clock import SECOND
from gateway.domain.delivery import LATE_AT_MOST, Again, DeliveryState, Failure, Part, PartState, Receipt
from gateway.domain.ports.store import Store
from gateway.domain.turn import NotNow
from gateway.service.close import close
from gateway.service.deliver import (
    LaneClaim,
    claim_lane,
    settle_delivery,
    settle_part_and_delivery,
)
from gateway.service.parts import PartClaim, claim_part, settle_part
from gateway.service.receive import Received, receive
from tests.contract import scene
from tests.contract.conftest import MovableStore
from tests.contract.scene import rows
from tests.contract.test_units_deliver import (
    PROVIDER,
    attempted,
    held,
    lane_of,
    parts,
    receipt,
    said,
    sent,
    shown,
    told,
)

SOON = Again(after=1800, times=2)


def lost(part: Part, *, sid: str = "SM1", attempt: int = 1, again: Again | None = SOON) -> Receipt:
    return replace(
        receipt(part, PartState.FAILED, sid=sid, attempt=attempt), failure=Failure.TRANSIENT, again=again
    )


async def own_lane(store: Store, conversation_id: str) -> str:
    (delivery,) = await rows(store, "test_deliveries", id=conversation_id)
    return str(delivery["lane"])


async def claim(store: Store, conversation_id: str) -> LaneClaim:
    found = await store.write(claim_lane, await own_lane(store, conversation_id), await scene.worker(store))
    assert isinstance(found, LaneClaim), found
    return found


async def tried(store: Store, conversation_id: str, sid: str) -> int:
    """What is due is sent, and taken as `sid`; the number of the attempt."""
    found = await claim(store, conversation_id)
    part = next(part for part in found.delivery.parts if not part.state.left)
    attempt = await store.write(claim_part, found.ref, part, PROVIDER)
    assert isinstance(attempt, PartClaim)
    await store.write(settle_part_and_delivery, found.ref, found.delivery, part, sid)
    return attempt.attempt


async def test_it_is_sent_again_after_its_time_and_told_only_when_it_fails_for_good(
    store: MovableStore,
) -> None:
    conversation_id, (part,) = await sent(store, "one")
    base = await lane_of(store, conversation_id)
    for attempt, sid in enumerate(("SM1", "SM2"), 1):
        await scene.clear_outbox(store)
        assert await store.write(receive, lost(part, sid=sid, attempt=attempt)) is Received.APPLIED
        assert (await parts(store, conversation_id), await shown(store, conversation_id)) == (
            ["pending"],
            ["sending"],
        )
        assert await told(store) == []
        lane = await own_lane(store, conversation_id)
        assert lane == f"{base.partition('|' + part.delivery_id)[0]}|{part.delivery_id}"
        assert [bell["data"]["lane"] for bell in await scene.posted(store, "delivery.due")] == [lane]
        store.advance(SOON.after - 5)
        assert await store.write(claim_lane, lane, await scene.worker(store)) is NotNow.NOT_DUE
        store.advance(6)
        assert await tried(store, conversation_id, f"SM{attempt + 1}") == attempt + 1
        assert await shown(store, conversation_id) == ["sent"]
    assert await store.write(receive, lost(part, sid="SM3", attempt=3)) is Received.APPLIED
    assert (await parts(store, conversation_id), await shown(store, conversation_id)) == (
        ["failed"],
        ["failed"],
    )
    assert await told(store) == ["message.failed"]


async def test_what_arrives_after_all_is_not_sent_again(store: MovableStore) -> None:
    conversation_id, (part,) = await sent(store, "one")
    await store.write(receive, lost(part))
    for state in (PartState.SENT, PartState.ACCEPTED, PartState.FAILED):  # late, of the copy that was lost
        assert await store.write(receive, receipt(part, state)) is Received.STALE
        assert await parts(store, conversation_id) == ["pending"]
    assert await store.write(receive, receipt(part, PartState.DELIVERED)) is Received.APPLIED
    store.advance(SOON.after + 1)
    found = await claim(store, conversation_id)
    (now,) = found.delivery.parts
    assert now.state is PartState.DELIVERED
    assert await store.write(claim_part, found.ref, now, PROVIDER) is None
    await store.write(settle_delivery, found.ref, found.delivery, DeliveryState.SENT)
    assert await shown(store, conversation_id) == ["delivered"]


async def test_a_copy_that_arrives_while_the_next_one_is_under_way_counts_and_is_noticed(
    store: MovableStore,
) -> None:
    conversation_id, (part,) = await sent(store, "one")
    await store.write(receive, lost(part))
    store.advance(SOON.after + 1)
    assert await tried(store, conversation_id, "SM2") == 2
    assert await store.write(receive, receipt(part, PartState.DELIVERED)) is Received.DOUBLED
    assert await shown(store, conversation_id) == ["delivered"]
    assert await store.write(receive, lost(part, sid="SM2", attempt=2)) is Received.CONTRADICTED
    assert await parts(store, conversation_id) == ["delivered"]


async def test_only_the_parts_that_were_lost_are_sent_again(store: MovableStore) -> None:
    conversation_id, (first, second) = await sent(store, "one", "two")
    await store.write(receive, receipt(first, PartState.DELIVERED))
    await store.write(receive, lost(second, sid="SM2"))
    assert await parts(store, conversation_id) == ["delivered", "pending"]
    store.advance(SOON.after + 1)
    assert await tried(store, conversation_id, "SM3") == 2
    await store.write(receive, receipt(second, PartState.DELIVERED, sid="SM3", attempt=2))
    assert await shown(store, conversation_id) == ["delivered"]


async def test_one_that_is_lost_while_the_rest_waits_takes_the_rest_with_it(store: MovableStore) -> None:
    conversation_id = await said(store, "one two")
    found = await held(store, conversation_id)
    part = await attempted(store, found, "one", "two")
    await store.write(settle_part, part, "SM1")
    await store.write(receive, lost(part))
    assert await parts(store, conversation_id) == ["failed", "pending"]
    # the worker finds the lost part, and ends the reply
    await store.write(settle_delivery, found.ref, found.delivery, DeliveryState.FAILED, error_code="30003")
    assert await parts(store, conversation_id) == ["pending", "pending"]
    assert await shown(store, conversation_id) == ["sending"]
    store.advance(SOON.after + 1)
    assert (await claim(store, conversation_id)).delivery.id == part.delivery_id


@pytest.mark.parametrize("reason", ["permanent", "too old", "closed", "one for good"])
async def test_it_has_failed_where_nobody_waits_for_it_any_more(store: MovableStore, reason: str) -> None:
    conversation_id, found = await sent(store, "one", "two")
    again: Again | None = SOON
    match reason:
        case "permanent":
            again = None
        case "too old":
            store.advance(LATE_AT_MOST - SOON.after + 60)
        case "closed":
            await store.write(close, scene.ORGANIZATION, conversation_id, None, scene.PARTITIONS)
        case _:
            await store.write(receive, lost(found[1], sid="SM2", again=None))
    await store.write(receive, lost(found[0], again=again))
    assert (await parts(store, conversation_id))[0] == "failed"
    assert await shown(store, conversation_id) == ["failed"]


async def test_what_is_withdrawn_meanwhile_is_not_sent(store: MovableStore) -> None:
    conversation_id, (part,) = await sent(store, "one")
    await store.write(receive, lost(part))
    await store.write(close, scene.ORGANIZATION, conversation_id, None, scene.PARTITIONS)
    store.advance(SOON.after + SECOND)
    found = await claim(store, conversation_id)
    assert found.delivery.state is DeliveryState.CANCELED
    await store.write(settle_delivery, found.ref, found.delivery, DeliveryState.CANCELED)
    assert await parts(store, conversation_id) == ["canceled"]
