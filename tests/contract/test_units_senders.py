"""Senders: the rate all workers keep, stopped by their provider, resumed; replies replaced or given up."""

import pytest

from gateway.domain.clock import SECOND
from gateway.domain.delivery import DeliveryState, Failure, Part, PartState, PartText, Receipt, Refused
from gateway.domain.errors import Fenced
from gateway.domain.ports.store import Store
from gateway.domain.send_rules import SendRules
from gateway.domain.turn import NotNow
from gateway.service.dead import open_letters
from gateway.service.deliver import LaneClaim, claim_lane, settle_delivery, settle_part_and_delivery
from gateway.service.due import due_lanes
from gateway.service.fail import GIVEN_UP, fail_delivery, give_up_part, resume_sender, stop_sender
from gateway.service.parts import (
    WAITING,
    PartClaim,
    claim_part,
    postpone_part,
    settle_part_and_wait,
)
from gateway.service.receive import Received, close_unconfirmed, receive
from gateway.service.requeue import CannotRequeue, requeue
from gateway.service.senders import TRY_AGAIN_SECONDS, HaltedSender, halted_senders
from tests.contract import scene
from tests.contract.conftest import MovableStore
from tests.contract.lanes import held, said, unstored
from tests.contract.scene import PARTITIONS, arrive, rows, sms

PROVIDER = "twilio"
BAD_CREDENTIALS = Refused(Failure.CONFIGURATION, "20003")


def unsent(claim: LaneClaim, index: int = 0) -> Part:
    if claim.delivery.parts:
        return claim.delivery.parts[index]
    return unstored(claim, index)


async def attempt(
    store: Store, claim: LaneClaim, *texts: str, part: int = 0, rules: SendRules | None = None
) -> object:
    cut = [PartText(text, "GSM-7", 1) for text in texts]
    return await store.write(claim_part, claim.ref, unsent(claim, part), PROVIDER, cut, rules or SendRules())


async def bells(store: Store, lane: str) -> int:
    return sum(bell["data"]["lane"] == lane for bell in await scene.posted(store, "delivery.due"))


async def test_a_rate_is_shared_by_all_who_send(store: MovableStore) -> None:
    slow = SendRules(segments_per_second=0.5)
    waits = []
    lanes = []
    for number in range(4):
        _, lane = await said(store, "one", to=sms(sender=f"+1415555010{number}"))
        lanes.append(lane)
        outcome = await attempt(store, await held(store, lane), "one", rules=slow)
        waits.append(outcome is WAITING)
    assert waits == [False, True, True, True]
    for second, lane in ((2, lanes[1]), (4, lanes[2]), (6, lanes[3])):
        (row,) = await rows(store, "test_lane", id=lane)
        (first,) = await rows(store, "test_senders")
        expected = first["next_at"] - (8 - second) * SECOND
        assert row["due_at"] == pytest.approx(expected, abs=SECOND // 2)
        assert await bells(store, lane) == 1
    assert await store.write(claim_lane, lanes[1], await scene.worker(store)) is NotNow.NOT_DUE
    store.advance(4)
    for lane in lanes[1:3]:
        claim = await held(store, lane)
        assert claim.delivery.parts[0].slot_at is not None
        assert isinstance(await attempt(store, claim, rules=slow), PartClaim)
    assert await store.write(claim_lane, lanes[3], await scene.worker(store)) is NotNow.NOT_DUE


async def test_a_rate_that_was_not_used_is_not_saved_up(store: MovableStore) -> None:
    slow = SendRules(segments_per_second=1)
    _, first = await said(store, "one")
    assert isinstance(await attempt(store, await held(store, first), "one", rules=slow), PartClaim)
    store.advance(60)
    _, second = await said(store, "one", to=sms(sender="+14155550199"))
    _, third = await said(store, "one", to=sms(sender="+14155550198"))
    assert isinstance(await attempt(store, await held(store, second), "one", rules=slow), PartClaim)
    assert await attempt(store, await held(store, third), "one", rules=slow) is WAITING


async def test_the_next_part_leaves_after_its_gap(store: MovableStore) -> None:
    conversation_id, lane = await said(store, "one two")
    claim = await held(store, lane)
    assert isinstance(await attempt(store, claim, "one", "two"), PartClaim)
    await scene.clear_outbox(store)
    await store.write(settle_part_and_wait, claim.ref, unsent(claim), "SM1", 1.0)
    assert await bells(store, lane) == 1
    assert await store.write(claim_lane, lane, await scene.worker(store)) is NotNow.NOT_DUE
    store.advance(1)
    again = await held(store, lane)
    assert [part.state for part in again.delivery.parts] == [PartState.ACCEPTED, PartState.PENDING]
    # who lost the lane meanwhile still records what the provider said
    assert isinstance(await attempt(store, again, part=1), PartClaim)
    store.advance(scene.LIFETIME + 1)
    await held(store, lane)
    await store.write(settle_part_and_wait, again.ref, unsent(again, 1), "SM2", 1.0)
    assert [row["state"] for row in await rows(store, "test_parts", id=conversation_id)] == ["accepted"] * 2


async def stopped(store: Store, lane: str) -> LaneClaim:
    """The lane's first part is refused because of its sender."""
    claim = await held(store, lane)
    assert isinstance(await attempt(store, claim, "one"), PartClaim)
    assert await store.write(stop_sender, claim.ref, claim.delivery, unsent(claim), BAD_CREDENTIALS)
    return claim


async def test_a_stopped_sender_keeps_everything_and_one_part_tries(store: MovableStore) -> None:
    conversation_id, lane = await said(store, "one")
    _, other = await said(store, "one", to=sms(sender="+14155550199"))
    claim = await stopped(store, lane)
    (part,) = await rows(store, "test_parts", id=conversation_id)
    assert (part["state"], part["attempt"], part["error_code"]) == ("pending", 0, "20003")
    (told,) = await store.read(open_letters, 10)
    assert told.conversation_id is None
    assert "+15550100" in told.reason
    assert "20003" in told.reason
    (halted,) = await store.read(halted_senders)
    assert halted == HaltedSender(
        channel=claim.delivery.channel,
        address="+15550100",
        code="20003",
        halted_at=halted.halted_at,
        retry_at=halted.halted_at + TRY_AGAIN_SECONDS * SECOND,
    )
    store.advance(1)
    assert await attempt(store, await held(store, other), "one") is WAITING
    store.advance(TRY_AGAIN_SECONDS)
    first, second = await held(store, lane), await held(store, other)
    tries = await attempt(store, first)
    assert isinstance(tries, PartClaim)
    assert (tries.attempt, tries.trying) == (1, True)
    assert await attempt(store, second) is WAITING
    # it is refused again: nothing new is told, nothing is lost
    assert not await store.write(stop_sender, first.ref, first.delivery, unsent(first), BAD_CREDENTIALS)
    assert len(await store.read(open_letters, 10)) == 1
    store.advance(TRY_AGAIN_SECONDS)
    third = await held(store, lane)
    tries = await attempt(store, third)
    assert isinstance(tries, PartClaim)
    assert tries.trying
    assert await store.write(resume_sender, third.delivery)
    assert not await store.write(resume_sender, third.delivery)
    await store.write(settle_part_and_delivery, third.ref, third.delivery, unsent(third), "SM1")
    assert await store.read(halted_senders) == []
    assert await store.read(open_letters, 10) == []
    await scene.clear_outbox(store)
    assert await store.write(due_lanes, 0) == 1
    assert await bells(store, other) == 1
    assert isinstance(await attempt(store, await held(store, other)), PartClaim)


async def test_a_person_resumes_a_sender_by_its_dead_letter(store: MovableStore) -> None:
    _, lane = await said(store, "one")
    claim = await held(store, lane)
    assert isinstance(await attempt(store, claim, "one"), PartClaim)
    await store.write(settle_part_and_delivery, claim.ref, claim.delivery, unsent(claim), "SM1")
    assert await store.write(receive, receipt(claim, "30034", Failure.CONFIGURATION)) is Received.APPLIED
    (halted,) = await store.read(halted_senders)
    assert (halted.code, halted.retry_at) == ("30034", None)
    _, other = await said(store, "one", to=sms(sender="+14155550199"))
    assert await attempt(store, await held(store, other), "one") is WAITING
    store.advance(7 * 24 * 3600)
    assert await attempt(store, await held(store, other)) is WAITING
    (letter,) = await store.read(open_letters, 10)
    assert letter.conversation_id is None
    await store.write(requeue, letter.id, PARTITIONS)
    assert await store.read(halted_senders) == []
    assert isinstance(await attempt(store, await held(store, other)), PartClaim)
    with pytest.raises(CannotRequeue):
        await store.write(requeue, letter.id, PARTITIONS)


def receipt(
    claim: LaneClaim, code: str | None = None, failure: Failure | None = None, sid: str = "SM1"
) -> Receipt:
    return Receipt(
        provider=PROVIDER,
        provider_message_id=sid,
        state=PartState.FAILED if code else PartState.SENT,
        raw_status="undelivered" if code else "sent",
        error_code=code,
        failure=failure,
        delivery_id=claim.delivery.id,
        part_index=0,
        attempt=1,
    )


@pytest.mark.parametrize("by_receipt", [True, False])
async def test_who_opted_out_at_the_provider_is_suppressed(store: Store, by_receipt: bool) -> None:
    _, lane = await said(store, "one")
    claim = await held(store, lane)
    await attempt(store, claim, "one")
    if by_receipt:
        await store.write(settle_part_and_delivery, claim.ref, claim.delivery, unsent(claim), "SM1")
        await store.write(receive, receipt(claim, "21610", Failure.OPTED_OUT))
    else:
        refused = Refused(Failure.OPTED_OUT, "21610")
        await store.write(fail_delivery, claim.ref, claim.delivery, unsent(claim), refused)
    (row,) = await rows(store, "test_suppressions")
    assert (row["our_address"], row["their_address"]) == (scene.OURS, scene.THEIRS)


async def test_an_address_that_takes_nothing_is_marked_and_an_unknown_code_marks_none(store: Store) -> None:
    _, lane = await said(store, "one")
    claim = await held(store, lane)
    await attempt(store, claim, "one")
    await store.write(settle_part_and_delivery, claim.ref, claim.delivery, unsent(claim), "SM1")
    await store.write(receive, receipt(claim, "99999", Failure.PERMANENT))
    (contact,) = await rows(store, "test_contacts")
    assert contact["undeliverable_at"] is None
    _, lane = await said(store, "one", to=sms(sender="+14155550199"))
    claim = await held(store, lane)
    await attempt(store, claim, "one")
    await store.write(settle_part_and_delivery, claim.ref, claim.delivery, unsent(claim), "SM2")
    await store.write(receive, receipt(claim, "30006", Failure.BAD_ADDRESS, sid="SM2"))
    marked = {c["value"]: c["undeliverable_code"] for c in await rows(store, "test_contacts")}
    assert marked == {scene.THEIRS: None, "+14155550199": "30006"}
    await arrive(store, sms(sender="+14155550199"))
    assert all(c["undeliverable_code"] is None for c in await rows(store, "test_contacts"))


async def test_a_later_turn_replaces_what_has_not_left(store: MovableStore) -> None:
    conversation_id, lane = await said(store, "one two")
    eager = SendRules(cancel_unsent=True)
    claim = await held(store, lane)
    assert isinstance(await attempt(store, claim, "one", "two", rules=eager), PartClaim)
    await store.write(settle_part_and_wait, claim.ref, unsent(claim), "SM1", 1.0)
    await said(store, "three")
    store.advance(1)
    again = await held(store, lane)
    assert await attempt(store, again, part=1, rules=eager) is None
    following = await store.write(settle_delivery, again.ref, again.delivery, DeliveryState.CANCELED)
    assert following is not None
    assert following.text == "three"
    assert [row["state"] for row in await rows(store, "test_parts", id=conversation_id)] == [
        "accepted",
        "canceled",
    ]
    assert isinstance(await attempt(store, LaneClaim(again.ref, following), "three", rules=eager), PartClaim)


async def test_without_that_rule_both_turns_are_heard(store: MovableStore) -> None:
    _, lane = await said(store, "one two")
    claim = await held(store, lane)
    await attempt(store, claim, "one", "two")
    await store.write(settle_part_and_wait, claim.ref, unsent(claim), "SM1", 1.0)
    await said(store, "three")
    store.advance(1)
    assert isinstance(await attempt(store, await held(store, lane), part=1), PartClaim)


async def test_a_part_that_is_given_up_stays_unknown_until_a_receipt_tells(store: Store) -> None:
    conversation_id, lane = await said(store, "one")
    claim = await held(store, lane)
    await attempt(store, claim, "one")
    assert await store.write(give_up_part, claim.ref, claim.delivery, unsent(claim)) is None
    (message,) = [m for m in await rows(store, "test_messages", id=conversation_id) if m["seq"] == 1]
    assert message["delivery_status"] == "unknown"
    (letter,) = await store.read(open_letters, 10)
    assert GIVEN_UP in letter.reason
    await store.write(receive, receipt(claim))
    (message,) = [m for m in await rows(store, "test_messages", id=conversation_id) if m["seq"] == 1]
    assert message["delivery_status"] == "sent"


async def test_what_waits_behind_an_unknown_outcome_goes_at_once_when_a_receipt_tells(
    store: MovableStore,
) -> None:
    _, lane = await said(store, "one", "two")
    claim = await held(store, lane)
    await attempt(store, claim, "one")
    await store.write(
        postpone_part, claim.ref, unsent(claim), PartState.UNKNOWN, error_code="timeout", delay_seconds=20
    )
    await scene.clear_outbox(store)
    assert await store.write(receive, receipt(claim)) is Received.APPLIED
    assert await bells(store, lane) == 1
    again = await held(store, lane)
    assert again.delivery.parts[0].state is PartState.SENT
    following = await store.write(settle_delivery, again.ref, again.delivery, DeliveryState.SENT)
    assert following is not None
    assert following.text == "two"
    await scene.clear_outbox(store)
    assert await store.write(receive, receipt(claim, "30005", Failure.BAD_ADDRESS)) is Received.APPLIED
    assert await bells(store, lane) == 0


async def test_a_receipt_that_is_faster_than_the_silence_holds_up_nothing(store: Store) -> None:
    _, lane = await said(store, "one")
    claim = await held(store, lane)
    await attempt(store, claim, "one")
    assert await store.write(receive, receipt(claim)) is Received.APPLIED
    await store.write(
        postpone_part, claim.ref, unsent(claim), PartState.UNKNOWN, error_code="timeout", delay_seconds=20
    )
    assert (await held(store, lane)).delivery.parts[0].state is PartState.SENT


async def test_a_status_we_do_not_know_proves_that_the_part_was_taken(store: Store) -> None:
    conversation_id, lane = await said(store, "one")
    claim = await held(store, lane)
    await attempt(store, claim, "one")
    odd = Receipt(
        provider=PROVIDER,
        provider_message_id="SM1",
        state=PartState.UNKNOWN,
        raw_status="levitating",
        delivery_id=claim.delivery.id,
        part_index=0,
        attempt=1,
    )
    assert await store.write(receive, odd) is Received.APPLIED
    (part,) = await rows(store, "test_parts", id=conversation_id)
    assert (part["state"], part["raw_status"]) == ("accepted", "levitating")
    assert await store.write(receive, receipt(claim)) is Received.APPLIED
    assert await store.write(receive, odd) is Received.STALE
    (part,) = await rows(store, "test_parts", id=conversation_id)
    assert (part["state"], part["raw_status"]) == ("sent", "levitating")


async def test_what_no_receipt_tells_of_is_closed_as_unconfirmed(store: MovableStore) -> None:
    conversation_id, lane = await said(store, "one")
    claim = await held(store, lane)
    await attempt(store, claim, "one")
    await store.write(settle_part_and_delivery, claim.ref, claim.delivery, unsent(claim), "SM1")
    await store.write(receive, receipt(claim))
    store.advance(71 * 3600)
    assert await store.write(close_unconfirmed) == 0
    store.advance(2 * 3600)
    assert await store.write(close_unconfirmed) == 1
    assert await store.write(close_unconfirmed) == 0
    (part,) = await rows(store, "test_parts", id=conversation_id)
    assert part["state"] == "unconfirmed"
    assert await store.write(receive, receipt(claim)) is Received.STALE
    assert await store.write(receive, receipt(claim, "30003", Failure.TRANSIENT)) is Received.APPLIED
    messages = await rows(store, "test_messages", id=conversation_id)
    assert messages[1]["delivery_status"] == "failed"


async def test_a_worker_without_the_lane_changes_nothing_of_it(store: MovableStore) -> None:
    conversation_id, lane = await said(store, "one")
    claim = await held(store, lane)
    await attempt(store, claim, "one")
    store.advance(scene.LIFETIME + 1)
    await held(store, lane)
    with pytest.raises(Fenced):
        await store.write(stop_sender, claim.ref, claim.delivery, unsent(claim), BAD_CREDENTIALS)
    with pytest.raises(Fenced):
        await store.write(give_up_part, claim.ref, claim.delivery, unsent(claim))
    with pytest.raises(Fenced):
        await attempt(store, claim, rules=SendRules(segments_per_second=0.001))
    assert await store.read(halted_senders) == []
    (part,) = await rows(store, "test_parts", id=conversation_id)
    assert part["state"] == "sending"
