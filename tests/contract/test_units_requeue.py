"""Dead letters: looked up by the beginning of an id, requeued once, and only where that can be done."""

import json
from dataclasses import replace

import pytest

from gateway.domain.delivery import DeliveryState, Failure, Part, PartText, Refused
from gateway.domain.errors import ErrorCode
from gateway.domain.ids import new_id
from gateway.domain.message import InboundAttachment, Role
from gateway.domain.ports.store import Store
from gateway.domain.turn import NotNow
from gateway.service.accept import accept
from gateway.service.close import close
from gateway.service.dead import MAX_BODY, bury, letter, letters_like, open_letters, settle
from gateway.service.deliver import LaneClaim, claim_lane, settle_delivery, settle_part_and_delivery
from gateway.service.fail import fail_delivery
from gateway.service.parts import PartClaim, claim_part, settle_part
from gateway.service.requeue import CannotRequeue, requeue
from gateway.service.turn_failure import fail_turn
from tests.contract import scene
from tests.contract.conftest import MovableStore
from tests.contract.scene import PARTITIONS, ROUTE, answer, arrive, claimed, rows, sms, texts_of


async def only_letter(store: Store) -> str:
    (found,) = await store.read(open_letters, 10)
    return found.id


async def given_up(store: Store, text: str = "hello") -> str:
    """A conversation whose turn was given up; its id."""
    accepted = await arrive(store, sms(text))
    claim = await claimed(store, accepted.conversation_id)
    await store.write(fail_turn, claim, ErrorCode.AGENT_FAILED, "given up", PARTITIONS)
    return accepted.conversation_id


async def refused_part(store: Store) -> tuple[str, LaneClaim]:
    """A conversation whose reply of three parts was refused at the second."""
    accepted = await arrive(store)
    await answer(store, await claimed(store, accepted.conversation_id), "one two three")
    claim = await lane(store, accepted.conversation_id)
    cut = [PartText(text, "GSM-7", 1) for text in ("one", "two", "three")]
    first, second = (Part(delivery_id=claim.delivery.id, index=n, text="", hash="") for n in (0, 1))
    assert await store.write(claim_part, claim.ref, first, "twilio", cut)
    await store.write(settle_part, first, "SM1")
    assert await store.write(claim_part, claim.ref, second, "twilio")
    refused = Refused(Failure.PERMANENT, "21612")
    assert await store.write(fail_delivery, claim.ref, claim.delivery, second, refused) is None
    return accepted.conversation_id, claim


async def lane(store: Store, conversation_id: str) -> LaneClaim:
    delivery = (await rows(store, "test_deliveries", id=conversation_id))[0]
    claim = await store.write(claim_lane, delivery["lane"], await scene.worker(store))
    assert isinstance(claim, LaneClaim), claim
    return claim


async def test_a_turn_is_asked_again_under_a_new_id(store: MovableStore) -> None:
    conversation_id = await given_up(store)
    (dead,) = await rows(store, "test_turns", id=conversation_id)
    await scene.clear_outbox(store)
    letter_id = await only_letter(store)
    await store.write(requeue, letter_id, PARTITIONS)
    await scene.consistent(store, conversation_id)
    (bell,) = await scene.posted(store, "turn.due")
    assert bell["conversation_id"] == conversation_id
    claim = await claimed(store, conversation_id)
    assert claim.turn_id != dead["id"]
    assert claim.attempt == 1
    assert texts_of(claim.request) == ["hello"]
    await answer(store, claim, "at last")
    await scene.consistent(store, conversation_id)
    messages = await rows(store, "test_messages", id=conversation_id)
    assert [(m["content"], m["turn_id"] == claim.turn_id) for m in messages] == [
        ("hello", True),
        ("at last", True),
    ]


async def test_what_arrived_meanwhile_is_answered_with_it(store: MovableStore) -> None:
    conversation_id = await given_up(store, "one")
    await arrive(store, sms("two"))
    await store.write(requeue, await only_letter(store), PARTITIONS)
    await scene.consistent(store, conversation_id)
    claim = await claimed(store, conversation_id)
    assert texts_of(claim.request) == ["one", "two"]
    await answer(store, claim)
    assert await scene.refused(store, conversation_id) is NotNow.ANSWERED


async def test_a_letter_is_requeued_once(store: MovableStore) -> None:
    conversation_id = await given_up(store)
    letter_id = await only_letter(store)
    await store.write(requeue, letter_id, PARTITIONS)
    with pytest.raises(CannotRequeue, match="requeued already"):
        await store.write(requeue, letter_id, PARTITIONS)
    assert await store.read(open_letters, 10) == []
    kept = await store.read(letter, letter_id)
    assert kept is not None
    assert kept.settled_how == "requeued"
    await scene.consistent(store, conversation_id)


async def test_a_turn_of_an_ended_conversation_stays_a_letter(store: MovableStore) -> None:
    conversation_id = await given_up(store)
    await store.write(close, scene.ORGANIZATION, conversation_id, None, PARTITIONS)
    letter_id = await only_letter(store)
    with pytest.raises(CannotRequeue, match="ended"):
        await store.write(requeue, letter_id, PARTITIONS)
    assert await only_letter(store) == letter_id


async def test_unsent_parts_are_sent_again_and_sent_ones_are_not(store: MovableStore) -> None:
    conversation_id, before = await refused_part(store)
    await scene.clear_outbox(store)
    await store.write(requeue, await only_letter(store), PARTITIONS)
    parts = await rows(store, "test_parts", id=conversation_id)
    assert [(p["state"], p["attempt"]) for p in parts] == [("accepted", 1), ("pending", 0), ("pending", 0)]
    (bell,) = await scene.posted(store, "delivery.due")
    assert bell["data"]["lane"] == before.ref.lane
    claim = await lane(store, conversation_id)
    assert claim.delivery.id == before.delivery.id
    for part in claim.delivery.parts[1:]:
        attempt = await store.write(claim_part, claim.ref, part, "twilio")
        assert isinstance(attempt, PartClaim)
        assert attempt.attempt == 1
    await store.write(settle_part, claim.delivery.parts[1], "SM2")
    following = await store.write(
        settle_part_and_delivery, claim.ref, claim.delivery, claim.delivery.parts[2], "SM3"
    )
    assert following is None
    (message,) = [m for m in await rows(store, "test_messages", id=conversation_id) if m["delivery_status"]]
    assert message["delivery_status"] == "sent"
    assert await store.write(claim_lane, claim.ref.lane, await scene.worker(store)) is NotNow.ANSWERED


async def test_a_delivery_leaves_after_what_its_lane_has_queued(store: MovableStore) -> None:
    conversation_id, before = await refused_part(store)
    await arrive(store, sms("and now?"))
    await answer(store, await claimed(store, conversation_id), "later")
    await store.write(requeue, await only_letter(store), PARTITIONS)
    claim = await lane(store, conversation_id)
    assert claim.delivery.text == "later"
    following = await store.write(settle_delivery, claim.ref, claim.delivery, DeliveryState.SANDBOXED)
    assert following is not None
    assert following.id == before.delivery.id


async def test_a_delivery_under_way_is_not_requeued_by_a_second_letter(store: MovableStore) -> None:
    await refused_part(store)
    (first,) = await store.read(open_letters, 10)
    await store.write(bury, first.queue, "the same again", first.body)
    await store.write(requeue, first.id, PARTITIONS)
    with pytest.raises(CannotRequeue, match="already"):
        await store.write(requeue, await only_letter(store), PARTITIONS)


@pytest.mark.parametrize(
    ("queue", "way"),
    [
        ("turns.3", ("inbound", "3")),
        ("voice.events", ("voice.events", "event")),
        ("deliveries.email", ("outbound", "email")),
        ("inbound/9", ("inbound", "9")),
        ("voice:host-1.say", ("voice", "host-1.say")),
    ],
)
async def test_another_message_goes_the_way_it_came(
    store: MovableStore, queue: str, way: tuple[str, str]
) -> None:
    body = json.dumps({"v": 7, "what": "we cannot read\n"})
    letter_id = await store.write(bury, queue, "unreadable", body)
    await store.write(requeue, letter_id, PARTITIONS)
    (row,) = await rows(store, "test_outbox")
    assert (row["exchange"], row["routing_key"], row["body"]) == (*way, body)


@pytest.mark.parametrize(
    ("queue", "body", "reason"),
    [
        ("theirs", "{}", "nothing is published to theirs"),
        ("turns.9", "{}", "nothing is published to turns.9"),
        ("elsewhere/key", "{}", "nothing is published to elsewhere/key"),
        ("turns.1", "x" * MAX_BODY, "too large"),
        ("turns", '{"id": "1", "type": "turn.dead", "occurred_at": "", "data": {}}', "does not say"),
        ("turns", '{"id": "1", "type": "delivery.dead", "occurred_at": "", "data": {}}', "does not say"),
    ],
)
async def test_what_cannot_be_requeued_stays(store: MovableStore, queue: str, body: str, reason: str) -> None:
    letter_id = await store.write(bury, queue, "unreadable", body)
    with pytest.raises(CannotRequeue, match=reason):
        await store.write(requeue, letter_id, PARTITIONS)
    assert await only_letter(store) == letter_id
    assert await rows(store, "test_outbox") == []


async def test_an_unknown_letter_cannot_be_requeued(store: MovableStore) -> None:
    with pytest.raises(CannotRequeue, match="no such"):
        await store.write(requeue, new_id(), PARTITIONS)


async def test_letters_come_in_pages_and_settled_ones_do_not(store: MovableStore) -> None:
    ids = [await store.write(bury, "turns", f"number {n}", "{}") for n in range(5)]
    await store.write(settle, ids[3], "discarded")
    first = await store.read(open_letters, 2)
    rest = await store.read(open_letters, 2, first[-1])
    assert {found.id for found in [*first, *rest]} == set(ids) - {ids[3]}
    assert await store.read(open_letters, 2, rest[-1]) == []


async def test_letters_are_found_by_how_their_ids_begin(store: MovableStore) -> None:
    letter_id = await store.write(bury, "turns", "reason", "{}")
    for prefix in (letter_id, letter_id[:10], letter_id[:2].upper(), letter_id.replace("-", "")):
        assert await store.read(letters_like, prefix) == [letter_id]
    assert await store.read(letters_like, "f") == []
    await store.write(bury, "turns", "reason", "{}")
    assert len(await store.read(letters_like, letter_id[:3])) == 2
    with pytest.raises(ValueError, match="base 16"):
        await store.read(letters_like, "xyz")


async def test_a_mail_that_cannot_be_read_is_a_letter_for_a_person(store: MovableStore) -> None:
    original = InboundAttachment(id=new_id(), media_type="message/rfc822", source="kept elsewhere")
    unread = replace(scene.mail(""), role=Role.SYSTEM_EVENT, unreadable=True, original=original)
    accepted = await store.write(accept, unread, ROUTE)
    assert (await store.write(accept, unread, ROUTE)).duplicate
    (found,) = await store.read(open_letters, 10)
    assert found.queue == "inbound.email"
    assert found.conversation_id == accepted.conversation_id
    assert f"/v1/attachments/{original.id}" in found.reason
    with pytest.raises(CannotRequeue, match="look at it as it came"):
        await store.write(requeue, found.id, PARTITIONS)
