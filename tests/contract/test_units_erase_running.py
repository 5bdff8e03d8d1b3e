"""Erasing a person stops what runs and withdraws what has not left."""

import pytest

from gateway.domain.delivery import DeliveryState, Part, PartText
from gateway.domain.envelope import Envelope
from gateway.domain.errors import Fenced
from gateway.domain.ids import new_id
from gateway.domain.mail_report import MailReport, ReportKind
from gateway.domain.ports.store import Store
from gateway.domain.turn import NotNow, Path
from gateway.service.deliver import LaneClaim, claim_lane, settle_delivery
from gateway.service.mail_reports import take_report
from gateway.service.parts import claim_part, settle_part
from gateway.service.respond import finish_turn
from gateway.service.webhook_deliveries import fan_out
from gateway.service.webhook_endpoints import EndpointFields, create_endpoint
from tests.contract import scene
from tests.contract.conftest import MovableStore
from tests.contract.scene import (
    ORGANIZATION,
    PARTITIONS,
    THEIR_MAILBOX,
    answer,
    arrive,
    claimed,
    rows,
    sms,
)
from tests.contract.test_units_erase import erase, erased
from tests.contract.test_units_mail_reports import sent
from workers.timers import erase_all


async def test_a_running_turn_is_superseded_and_nothing_more_is_said(store: MovableStore) -> None:
    accepted = await arrive(store)
    claim = await claimed(store, accepted.conversation_id)
    await erase(store, accepted.end_user_id)
    (turn,) = await rows(store, "test_turns", id=accepted.conversation_id)
    assert turn["state"] == "superseded"
    with pytest.raises(Fenced):
        await store.write(finish_turn, claim, scene.reply("too late"), PARTITIONS)
    await erase_all(store, PARTITIONS)
    with pytest.raises(Fenced):
        await store.write(finish_turn, claim, scene.reply("too late"), PARTITIONS)
    assert await scene.refused(store, accepted.conversation_id) is NotNow.ANSWERED
    assert await rows(store, "test_turns", id=accepted.conversation_id) == []


async def sending(store: Store, conversation_id: str) -> LaneClaim:
    """A worker that is about to send the first delivery."""
    (delivery, *_) = await rows(store, "test_deliveries", id=conversation_id)
    claim = await store.write(claim_lane, delivery["lane"], await scene.worker(store))
    assert isinstance(claim, LaneClaim)
    return claim


async def test_what_has_not_left_never_will_and_what_is_leaving_harms_nothing(store: MovableStore) -> None:
    accepted = await arrive(store)
    await answer(store, await claimed(store, accepted.conversation_id), "one", "two")
    claim = await sending(store, accepted.conversation_id)
    part = Part(delivery_id=claim.delivery.id, index=0, text="", hash="")
    begun = await store.write(claim_part, claim.ref, part, "twilio", [PartText("one")])
    assert begun is not None
    await erase(store, accepted.end_user_id)
    await erase_all(store, PARTITIONS)
    # the answer of the provider comes now
    with pytest.raises(Fenced):
        await store.write(settle_part, part, "SM1")
    with pytest.raises(Fenced):
        await store.write(settle_delivery, claim.ref, claim.delivery, DeliveryState.SENT)
    with pytest.raises(Fenced):
        await store.write(claim_part, claim.ref, part, "twilio", [PartText("one")])
    assert await store.write(claim_lane, claim.ref.lane, new_id()) is NotNow.ANSWERED
    for query in ("test_lanes", "test_all_parts", "test_all_deliveries"):
        assert await rows(store, query) == []
    # the same number again, as a new person
    again = await arrive(store)
    await answer(store, await claimed(store, again.conversation_id), "three")
    assert (await sending(store, again.conversation_id)).delivery.text == "three"


async def test_what_was_unanswered_opens_no_conversation(store: MovableStore) -> None:
    accepted = await arrive(store)
    await answer(store, await claimed(store, accepted.conversation_id), path=Path.HANDOFF)
    await arrive(store, sms("anybody?"))
    await erased(store, accepted.end_user_id)
    assert await rows(store, "test_conversations") == []


async def test_that_conversations_ended_is_told_and_calls_for_a_person_are_not(store: MovableStore) -> None:
    fields = EndpointFields(url="https://example.org/", description="", events=None)
    await store.write(create_endpoint, ORGANIZATION, fields)
    accepted = await arrive(store)
    await answer(store, await claimed(store, accepted.conversation_id), path=Path.HANDOFF)
    (asked,) = await scene.posted(store, "conversation.handoff_requested")
    assert asked["data"]["conversation_id"] == accepted.conversation_id
    await erase(store, accepted.end_user_id)
    (closed,) = await scene.posted(store, "conversation.closed")
    assert closed["data"]["reason"] == "the end user was erased"
    assert await store.write(fan_out, Envelope.model_validate(closed)) == 1
    await erase_all(store, PARTITIONS)
    assert await store.write(fan_out, Envelope.model_validate(asked)) == 0
    (told,) = await rows(store, "test_webhook_deliveries")
    assert told["type"] == "conversation.closed"


@pytest.mark.parametrize("first", ["the bounce", "the request"])
async def test_mail_that_comes_back_leaves_nothing_of_an_address_that_is_erased(
    store: MovableStore, first: str
) -> None:
    conversation_id, delivery = await sent(store)
    (person,) = {row["end_user_id"] for row in await rows(store, "test_conversations")}
    bounced = MailReport(
        kind=ReportKind.BAD_ADDRESS, code="5.1.1", received_at=0, text="", delivery_id=delivery["id"]
    )
    if first == "the request":
        await erase(store, person)
    assert await store.write(take_report, bounced) is not None
    assert [row["their_address"] for row in await rows(store, "test_suppressions")] == [THEIR_MAILBOX]
    await erased(store, person)
    assert await rows(store, "test_suppressions") == []
    assert await store.write(take_report, bounced) is None  # and none comes any more
    assert conversation_id not in {row["id"] for row in await rows(store, "test_conversations")}
