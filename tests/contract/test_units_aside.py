"""A mail that has to wait holds up no other: it leaves the lane for one of its own."""

import pytest

from gateway.domain.delivery import DeliveryState, PartState, PartText
from gateway.domain.errors import Fenced
from gateway.domain.ports.store import Row, Store
from gateway.domain.turn import NotNow
from gateway.service.aside import put_aside, put_part_aside
from gateway.service.contents import delete_contents
from gateway.service.deliver import LaneClaim, claim_lane, settle_delivery, settle_part_and_delivery
from gateway.service.parts import PartClaim, claim_part, settle_part
from tests.contract import scene
from tests.contract.conftest import MovableStore
from tests.contract.lanes import held, said, unstored
from tests.contract.scene import mail, rows


async def attempted(store: Store, claim: LaneClaim) -> None:
    outcome = await store.write(claim_part, claim.ref, unstored(claim), "smtp", [PartText("x")])
    assert isinstance(outcome, PartClaim)


async def aside(store: Store, claim: LaneClaim, delay: float = 60, code: str = "451 4.7.1") -> None:
    await store.write(
        put_part_aside,
        claim.ref,
        unstored(claim),
        PartState.PENDING,
        error_code=code,
        delay_seconds=delay,
    )


async def refused(store: Store, lane: str) -> object:
    return await store.write(claim_lane, lane, await scene.worker(store))


async def lane_row(store: Store, lane: str) -> Row:
    (row,) = await rows(store, "test_lane", id=lane)
    return row


async def test_what_was_said_later_goes_at_once_and_the_first_when_it_is_due(store: MovableStore) -> None:
    conversation_id, lane = await said(store, "one", "two", to=mail())
    first = await held(store, lane)
    await attempted(store, first)
    await scene.clear_outbox(store)
    await aside(store, first)

    own = f"{lane}|{first.delivery.id}"
    bells = [bell["data"]["lane"] for bell in await scene.posted(store, "delivery.due")]
    assert sorted(bells) == sorted([own, lane])
    second = await held(store, lane)
    assert second.delivery.text == "two"
    assert await store.write(settle_delivery, second.ref, second.delivery, DeliveryState.SENT) is None
    assert await refused(store, own) is NotNow.NOT_DUE

    store.advance(61)
    again = await held(store, own)
    assert (again.delivery.text, again.delivery.id) == ("one", first.delivery.id)
    (part,) = again.delivery.parts
    assert (part.state, part.attempt, part.error_code) == (PartState.PENDING, 1, "451 4.7.1")
    await store.write(settle_part_and_delivery, again.ref, again.delivery, part, "<1@example.org>")
    assert await refused(store, own) is NotNow.ANSWERED
    states = {d["state"] for d in await rows(store, "test_deliveries", id=conversation_id)}
    assert states == {"sent"}
    shared = await lane_row(store, lane)
    assert (shared["queued"], shared["settled"]) == (2, 2)


async def test_who_waits_alone_rings_nobody_else(store: Store) -> None:
    _, lane = await said(store, "one", to=mail())
    claim = await held(store, lane)
    await attempted(store, claim)
    await scene.clear_outbox(store)
    await aside(store, claim)
    bells = [bell["data"]["lane"] for bell in await scene.posted(store, "delivery.due")]
    assert bells == [f"{lane}|{claim.delivery.id}"]
    assert await refused(store, lane) is NotNow.ANSWERED


async def test_what_is_refused_again_waits_where_it_is(store: MovableStore) -> None:
    _, lane = await said(store, "one", to=mail())
    claim = await held(store, lane)
    await attempted(store, claim)
    await aside(store, claim)
    own = f"{lane}|{claim.delivery.id}"
    for _ in range(2):
        store.advance(61)
        again = await held(store, own)
        await attempted(store, again)
        await aside(store, again)
    assert await refused(store, own) is NotNow.NOT_DUE
    assert {row["id"] for row in await rows(store, "test_lanes")} >= {lane, own}
    row = await lane_row(store, own)
    assert (row["queued"], row["settled"]) == (1, 0)


async def test_an_unknown_outcome_waits_for_its_look_aside_too(store: MovableStore) -> None:
    _, lane = await said(store, "one", "two", to=mail())
    claim = await held(store, lane)
    await attempted(store, claim)
    store.advance(scene.LIFETIME + 1)  # its worker is dead, the mail perhaps taken
    other = await held(store, lane)
    assert other.delivery.parts[0].state is PartState.SENDING
    await store.write(put_aside, other.ref, other.delivery.id, 9.0)
    assert (await held(store, lane)).delivery.text == "two"
    store.advance(10)
    looked = await held(store, f"{lane}|{claim.delivery.id}")
    assert looked.delivery.parts[0].state is PartState.SENDING


async def test_what_was_shown_to_be_taken_meanwhile_is_settled_at_once(store: Store) -> None:
    _, lane = await said(store, "one", to=mail())
    claim = await held(store, lane)
    await attempted(store, claim)
    await store.write(settle_part, unstored(claim), "<1@example.org>")
    await aside(store, claim)
    again = await held(store, f"{lane}|{claim.delivery.id}")
    assert again.delivery.parts[0].state is PartState.ACCEPTED


async def test_who_has_lost_the_lane_puts_nothing_aside(store: MovableStore) -> None:
    conversation_id, lane = await said(store, "one", to=mail())
    claim = await held(store, lane)
    await attempted(store, claim)
    store.advance(scene.LIFETIME + 1)
    await held(store, lane)
    with pytest.raises(Fenced):
        await aside(store, claim)
    (delivery,) = await rows(store, "test_deliveries", id=conversation_id)
    assert delivery["lane"] == lane


async def test_no_lane_is_left_when_its_conversation_is_deleted(store: Store) -> None:
    conversation_id, lane = await said(store, "one", to=mail())
    claim = await held(store, lane)
    await attempted(store, claim)
    await aside(store, claim)
    while not await store.write(delete_contents, conversation_id):
        pass
    left = {row["id"] for row in await rows(store, "test_lanes")}
    assert not [name for name in left if name.startswith(lane)]
