"""Deliveries and receipts: order by lane, attempts committed before they are made, facts never undone."""

import asyncio
import itertools
from collections.abc import Sequence

import pytest

from gateway.domain.conversation import SessionType
from gateway.domain.delivery import (
    Delivery,
    DeliveryState,
    Failure,
    Part,
    PartState,
    PartText,
    Receipt,
    Refused,
)
from gateway.domain.errors import Fenced
from gateway.domain.ids import new_id
from gateway.domain.ports.store import Store
from gateway.domain.turn import Claim, NotNow
from gateway.service.deliver import LaneClaim, claim_lane, settle_delivery, settle_part_and_delivery
from gateway.service.due import due_lanes
from gateway.service.fail import fail_delivery
from gateway.service.lanes import postpone_lane, release_lane
from gateway.service.parts import PartClaim, claim_part, postpone_part, settle_part
from gateway.service.receive import Received, receive
from tests.contract import scene
from tests.contract.conftest import MovableStore
from tests.contract.scene import answer, arrive, claimed, rows

PROVIDER = "twilio"


async def said(store: Store, *texts: str) -> str:
    """A conversation in which the agent has just said this; its id."""
    accepted = await arrive(store)
    await answer(store, await claimed(store, accepted.conversation_id), *texts)
    return accepted.conversation_id


async def lane_of(store: Store, conversation_id: str) -> str:
    return str((await rows(store, "test_deliveries", id=conversation_id))[0]["lane"])


async def held(store: Store, conversation_id: str) -> LaneClaim:
    lane = await lane_of(store, conversation_id)
    claim = await store.write(claim_lane, lane, await scene.worker(store))
    assert isinstance(claim, LaneClaim), claim
    return claim


async def attempted(store: Store, claim: LaneClaim, *texts: str, part: int = 0) -> Part:
    """Claim a part, storing the parts first where `texts` are given; as it is then."""
    unstored = Part(delivery_id=claim.delivery.id, index=part, text="", hash="")
    cut = [PartText(text, "GSM-7", 1) for text in texts]
    attempt = await store.write(claim_part, claim.ref, unstored, PROVIDER, cut)
    assert isinstance(attempt, PartClaim)
    return unstored


def receipt(
    part: Part, state: PartState, *, by_reference: bool = True, sid: str = "SM1", attempt: int = 1
) -> Receipt:
    return Receipt(
        provider=PROVIDER,
        provider_message_id=sid,
        state=state,
        raw_status=state.value,
        error_code="30003" if state is PartState.FAILED else None,
        delivery_id=part.delivery_id if by_reference else None,
        part_index=part.index if by_reference else None,
        attempt=attempt if by_reference else None,
    )


async def parts(store: Store, conversation_id: str) -> list[str]:
    return [p["state"] for p in await rows(store, "test_parts", id=conversation_id)]


async def shown(store: Store, conversation_id: str) -> list[str]:
    """The delivery statuses of the agent's messages."""
    messages = await rows(store, "test_messages", id=conversation_id)
    return [m["delivery_status"] for m in messages if m["role"] == "assistant"]


async def told(store: Store) -> list[str]:
    """What the outside was told of messages, sorted."""
    return sorted(
        body["type"]
        for exchange, key, body in await scene.postings(store)
        if exchange == "events" and key == body["type"] and key.startswith("message.")
    )


async def sent(store: Store, *texts: str) -> tuple[str, list[Part]]:
    """A conversation whose one reply was taken by the provider as these parts, SM1, SM2 …"""
    conversation_id = await said(store, " ".join(texts))
    claim = await held(store, conversation_id)
    for index in range(len(texts)):
        part = await attempted(store, claim, *(texts if index == 0 else ()), part=index)
        if index < len(texts) - 1:
            await store.write(settle_part, part, f"SM{index + 1}")
        else:
            await store.write(settle_part_and_delivery, claim.ref, claim.delivery, part, f"SM{index + 1}")
    return conversation_id, [
        Part(delivery_id=claim.delivery.id, index=index, text="", hash="") for index in range(len(texts))
    ]


async def test_one_worker_of_many_gets_the_lane(store: Store) -> None:
    lane = await lane_of(store, await said(store, "one"))
    workers = [await scene.worker(store) for _ in range(10)]
    claims = await asyncio.gather(*(store.write(claim_lane, lane, w) for w in workers))
    assert sum(isinstance(claim, LaneClaim) for claim in claims) == 1
    assert {claim for claim in claims if not isinstance(claim, LaneClaim)} == {NotNow.LEASED}


async def test_a_lane_is_worked_off_in_order_and_then_free(store: Store) -> None:
    conversation_id = await said(store, "one", "two")
    claim = await held(store, conversation_id)
    texts = []
    delivery: Delivery | None = claim.delivery
    while delivery is not None:
        texts.append(delivery.text)
        current = LaneClaim(claim.ref, delivery)
        part = await attempted(store, current, delivery.text)
        if delivery.text == "two":
            await answer(store, await late_turn(store), "three")
        delivery = await store.write(
            settle_part_and_delivery, claim.ref, delivery, part, f"SM-{delivery.text}"
        )
    assert texts == ["one", "two", "three"]
    lane = await lane_of(store, conversation_id)
    assert await store.write(claim_lane, lane, await scene.worker(store)) is NotNow.ANSWERED
    assert await shown(store, conversation_id) == ["sent", "sent", "sent"]


async def late_turn(store: Store) -> Claim:
    accepted = await arrive(store)
    return await claimed(store, accepted.conversation_id)


async def test_what_the_first_claim_stored_is_what_everybody_sends(store: MovableStore) -> None:
    conversation_id = await said(store, "one two")
    first = await held(store, conversation_id)
    await attempted(store, first, "one", "two")
    store.advance(scene.LIFETIME + 1)
    again = await held(store, conversation_id)
    assert again.ref.fence > first.ref.fence
    assert [(p.index, p.text, p.state, p.attempt) for p in again.delivery.parts] == [
        (0, "one", PartState.SENDING, 1),
        (1, "two", PartState.PENDING, 0),
    ]
    assert (again.delivery.parts[0].claimed_at or 0) > 0
    with pytest.raises(Fenced):
        await store.write(claim_part, first.ref, again.delivery.parts[1], PROVIDER, [])
    with pytest.raises(Fenced):
        await store.write(claim_part, first.ref, again.delivery.parts[0], PROVIDER, [PartText("other")])
    with pytest.raises(Fenced):
        await store.write(settle_delivery, first.ref, first.delivery, DeliveryState.SENT)
    with pytest.raises(Fenced):
        await store.write(postpone_lane, first.ref, 5)
    await store.write(release_lane, first.ref)
    claim = await store.write(claim_part, again.ref, again.delivery.parts[0], PROVIDER, [])
    assert isinstance(claim, PartClaim)
    assert claim.attempt == 2
    assert [p["text"] for p in await rows(store, "test_parts", id=conversation_id)] == ["one", "two"]


async def test_a_dead_workers_answer_still_counts(store: MovableStore) -> None:
    conversation_id = await said(store, "one")
    first = await held(store, conversation_id)
    part = await attempted(store, first, "one")
    store.advance(scene.LIFETIME + 1)
    await held(store, conversation_id)
    await store.write(settle_part, part, "SM1")
    assert await parts(store, conversation_id) == ["accepted"]


async def test_a_postponed_part_holds_its_lane_until_it_is_due(store: MovableStore) -> None:
    conversation_id = await said(store, "one", "two")
    claim = await held(store, conversation_id)
    part = await attempted(store, claim, "one")
    await store.write(
        postpone_part, claim.ref, part, PartState.UNKNOWN, error_code="timeout", delay_seconds=20
    )
    lane = await lane_of(store, conversation_id)
    assert await store.write(claim_lane, lane, await scene.worker(store)) is NotNow.NOT_DUE
    assert await store.write(due_lanes, 0) == 0
    store.advance(20)
    await scene.clear_outbox(store)
    assert await store.write(due_lanes, 15_000_000) == 1
    assert await store.write(due_lanes, 15_000_000) == 0
    ((exchange, key, bell),) = await scene.postings(store)
    assert (exchange, key, bell["data"]["lane"]) == ("outbound", "sms", lane)
    again = await held(store, conversation_id)
    assert again.delivery.id == claim.delivery.id
    assert again.delivery.parts[0].state is PartState.UNKNOWN


async def test_a_refused_part_fails_the_delivery_once(store: Store) -> None:
    conversation_id = await said(store, "one two", "next")
    claim = await held(store, conversation_id)
    part = await attempted(store, claim, "one", "two")
    refused = Refused(Failure.PERMANENT, "21610")
    following = await store.write(fail_delivery, claim.ref, claim.delivery, part, refused)
    assert following is not None
    assert following.text == "next"
    assert await parts(store, conversation_id) == ["failed", "canceled"]
    assert await shown(store, conversation_id) == ["failed", "pending"]
    (fact,) = await scene.posted(store, "message.failed")
    assert fact["data"]["error_code"] == "21610"
    assert len(await rows(store, "test_dead_letters")) == 1
    assert await store.write(receive, receipt(part, PartState.FAILED)) is Received.STALE
    assert await told(store) == ["message.failed"]


async def test_a_sandboxed_reply_stays_here_and_nobody_is_told(store: Store) -> None:
    conversation_id = await said(store, "one")
    claim = await held(store, conversation_id)
    assert await store.write(settle_delivery, claim.ref, claim.delivery, DeliveryState.SANDBOXED) is None
    assert await shown(store, conversation_id) == ["sandboxed"]
    assert await told(store) == []


async def test_a_take_over_cancels_what_has_not_left(store: Store) -> None:
    conversation_id = await said(store, "one two")
    claim = await held(store, conversation_id)
    part = await attempted(store, claim, "one", "two")
    await store.write(settle_part, part, "SM1")
    await scene.clear_outbox(store)
    await scene.operate(store, conversation_id, "I am here", take_over=True)
    assert len(await scene.posted(store, "delivery.due")) == 1
    second = Part(delivery_id=claim.delivery.id, index=1, text="", hash="")
    assert await store.write(claim_part, claim.ref, second, PROVIDER, []) is None
    following = await store.write(settle_delivery, claim.ref, claim.delivery, DeliveryState.CANCELED)
    assert following is not None
    assert following.text == "I am here"
    assert await parts(store, conversation_id) == ["accepted", "canceled"]
    assert await shown(store, conversation_id) == ["failed", "pending"]
    (fact,) = await scene.posted(store, "message.failed")
    assert fact["data"]["error_code"] == "canceled"
    assert await store.write(receive, receipt(part, PartState.DELIVERED)) is Received.APPLIED
    assert await shown(store, conversation_id) == ["failed", "pending"]


async def test_a_reply_that_had_left_is_not_canceled(store: Store) -> None:
    conversation_id = await said(store, "one")
    claim = await held(store, conversation_id)
    part = await attempted(store, claim, "one")
    await scene.operate(store, conversation_id, take_over=True)
    await store.write(settle_part_and_delivery, claim.ref, claim.delivery, part, "SM1")
    assert await shown(store, conversation_id) == ["sent"]


async def test_a_receipt_before_the_answer_proves_that_the_part_was_taken(store: Store) -> None:
    conversation_id = await said(store, "one")
    claim = await held(store, conversation_id)
    part = await attempted(store, claim, "one")
    await store.write(
        postpone_part, claim.ref, part, PartState.UNKNOWN, error_code="timeout", delay_seconds=0
    )
    again = await held(store, conversation_id)
    assert await store.write(receive, receipt(part, PartState.ACCEPTED)) is Received.APPLIED
    (row,) = await rows(store, "test_parts", id=conversation_id)
    assert (row["state"], row["provider_message_id"]) == ("accepted", "SM1")
    # the worker that is about to repeat it is refused, and shown the delivery as it is now
    assert await store.write(claim_part, again.ref, again.delivery.parts[0], PROVIDER, []) is None
    current = await store.write(settle_delivery, again.ref, again.delivery, DeliveryState.CANCELED)
    assert current is not None
    assert current.id == again.delivery.id
    assert current.parts[0].state is PartState.ACCEPTED
    assert await store.write(settle_delivery, again.ref, current, DeliveryState.SENT) is None
    assert await shown(store, conversation_id) == ["sent"]


async def test_delivered_before_the_end_is_shown_and_told_at_the_end(store: Store) -> None:
    conversation_id = await said(store, "one")
    claim = await held(store, conversation_id)
    part = await attempted(store, claim, "one")
    assert await store.write(receive, receipt(part, PartState.DELIVERED)) is Received.APPLIED
    assert await shown(store, conversation_id) == ["pending"]
    await store.write(settle_part_and_delivery, claim.ref, claim.delivery, part, "SM1")
    assert await parts(store, conversation_id) == ["delivered"]
    assert await shown(store, conversation_id) == ["delivered"]
    assert await told(store) == ["message.delivered"]


@pytest.mark.parametrize("by_reference", [True, False])
async def test_receipts_in_any_order_end_alike(store: Store, by_reference: bool) -> None:
    conversation_id, (part,) = await sent(store, "one")
    for state in (PartState.DELIVERED, PartState.SENT, PartState.DELIVERED, PartState.FAILED):
        await store.write(receive, receipt(part, state, by_reference=by_reference))
    assert await parts(store, conversation_id) == ["delivered"]
    assert await shown(store, conversation_id) == ["delivered"]
    assert await told(store) == ["message.delivered"]


async def test_the_message_is_delivered_with_its_last_part(store: Store) -> None:
    conversation_id, (one, two) = await sent(store, "one", "two")
    await store.write(receive, receipt(two, PartState.DELIVERED, sid="SM2"))
    await store.write(receive, receipt(one, PartState.SENT))
    assert await shown(store, conversation_id) == ["sent"]
    assert await told(store) == []
    await store.write(receive, receipt(one, PartState.DELIVERED))
    assert await shown(store, conversation_id) == ["delivered"]
    ((fact),) = await scene.posted(store, "message.delivered")
    assert fact["conversation_id"] == conversation_id
    assert fact["data"]["delivery_status"] == "delivered"


async def test_the_message_fails_with_its_first_part_and_once(store: Store) -> None:
    conversation_id, (one, two) = await sent(store, "one", "two")
    await store.write(receive, receipt(one, PartState.FAILED))
    await store.write(receive, receipt(two, PartState.FAILED, sid="SM2"))
    await store.write(receive, receipt(one, PartState.FAILED))
    assert await shown(store, conversation_id) == ["failed"]
    assert await told(store) == ["message.failed"]
    (row, _) = await rows(store, "test_parts", id=conversation_id)
    assert (row["error_code"], row["raw_status"]) == ("30003", "failed")


async def test_delivered_after_failed_is_believed(store: Store) -> None:
    conversation_id, (part,) = await sent(store, "one")
    await store.write(receive, receipt(part, PartState.FAILED))
    assert await store.write(receive, receipt(part, PartState.DELIVERED)) is Received.APPLIED
    assert await shown(store, conversation_id) == ["delivered"]
    assert await told(store) == ["message.delivered", "message.failed"]


async def test_the_failure_of_an_earlier_attempt_is_not_the_parts(store: MovableStore) -> None:
    conversation_id = await said(store, "one")
    claim = await held(store, conversation_id)
    part = await attempted(store, claim, "one")
    await attempted(store, claim)
    early = receipt(part, PartState.FAILED, sid="SM-first", attempt=1)
    assert await store.write(receive, early) is Received.STALE
    await store.write(settle_part_and_delivery, claim.ref, claim.delivery, part, "SM-second")
    assert await store.write(receive, early) is Received.STALE
    assert await shown(store, conversation_id) == ["sent"]
    arrived = receipt(part, PartState.DELIVERED, sid="SM-first", attempt=1)
    assert await store.write(receive, arrived) is Received.DOUBLED
    assert await store.write(receive, arrived) is Received.STALE
    (row,) = await rows(store, "test_parts", id=conversation_id)
    assert (row["state"], row["provider_message_id"]) == ("delivered", "SM-second")
    assert row["doubled_by"] == "SM-first"


@pytest.mark.parametrize("known", [True, False])
async def test_a_receipt_of_no_part_of_ours_is_ignored(store: Store, known: bool) -> None:
    part = Part(delivery_id=new_id() if known else "not an id", index=0, text="", hash="")
    assert await store.write(receive, receipt(part, PartState.SENT)) is Received.UNKNOWN_PART


async def test_all_receipts_at_once_end_alike(store: Store) -> None:
    names = [f"part-{n}" for n in range(5)]
    conversation_id, sent_parts = await sent(store, *names)
    states: Sequence[PartState] = (PartState.SENT, PartState.DELIVERED, PartState.DELIVERED)
    await asyncio.gather(
        *(
            store.write(receive, receipt(part, state, sid=f"SM{part.index + 1}"))
            for part, state in itertools.product(sent_parts, states)
        )
    )
    assert await parts(store, conversation_id) == ["delivered"] * 5
    assert await shown(store, conversation_id) == ["delivered"]
    assert await told(store) == ["message.delivered"]


async def test_settling_and_receipts_at_once_agree(store: MovableStore) -> None:
    for n in range(10):
        accepted = await arrive(store, scene.sms(sender=f"+141555502{n:02}"))
        await answer(store, await claimed(store, accepted.conversation_id), "one")
        claim = await held(store, accepted.conversation_id)
        part = await attempted(store, claim, "one")
        sid = f"SM-{n}"
        await asyncio.gather(
            store.write(settle_part_and_delivery, claim.ref, claim.delivery, part, sid),
            store.write(receive, receipt(part, PartState.DELIVERED, sid=sid)),
        )
        assert await shown(store, accepted.conversation_id) == ["delivered"]
    assert await told(store) == ["message.delivered"] * 10
    assert store.retries == 0


async def test_nobody_is_told_of_a_test(store: Store) -> None:
    conversation_id, (part,) = await sent(store, "one")
    await scene.become(store, conversation_id, SessionType.TEST)
    await store.write(receive, receipt(part, PartState.DELIVERED))
    assert await shown(store, conversation_id) == ["delivered"]
    assert await told(store) == []
