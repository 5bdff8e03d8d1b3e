"""Another of our numbers takes over: what has not left moves, in its order, and nothing else does."""

from dataclasses import replace

import pytest

from gateway.domain.consent import ConsentRules
from gateway.domain.delivery import Failure, Part, PartText, Refused
from gateway.domain.errors import Fenced
from gateway.domain.ports.store import Store
from gateway.domain.send_rules import SendRules
from gateway.service.accept import accept
from gateway.service.deliver import LaneClaim, settle_delivery
from gateway.service.failover import calls_for_another, fail_over
from gateway.service.parts import STOPPED, PartClaim, claim_part, settle_part_and_wait
from gateway.service.senders import halted_senders
from tests.contract import scene
from tests.contract.conftest import MovableStore
from tests.contract.lanes import held, said, unstored
from tests.contract.scene import ORGANIZATION, OURS, ROUTE, THEIRS, answer, arrive, claimed, rows, sms, to

OTHER = "+15550177"
POOL = replace(ROUTE, senders=(OURS, OTHER), consent=ConsentRules(senders=(OURS, OTHER)))
RULES = SendRules(failover=OTHER)
BAD_CREDENTIALS = Refused(Failure.CONFIGURATION, "20003")
NEW_LANE = f"{ORGANIZATION}|sms|{OTHER}|{THEIRS}"


async def attempted(store: Store, claim: LaneClaim, *texts: str) -> None:
    """The first part is on its way."""
    cut = [PartText(text, "GSM-7", 1) for text in texts]
    outcome = await store.write(claim_part, claim.ref, unstored(claim), "twilio", cut, RULES)
    assert isinstance(outcome, PartClaim)


async def moved(store: Store, claim: LaneClaim, refused: Refused | None = BAD_CREDENTIALS) -> int:
    return await store.write(fail_over, claim.ref, claim.delivery, unstored(claim), refused, OTHER)


async def test_all_that_waits_moves_in_its_order(store: MovableStore) -> None:
    conversation_id, lane = await said(store, "one", "two", "three")
    claim = await held(store, lane)
    await attempted(store, claim, "one")
    await scene.clear_outbox(store)
    assert await moved(store, claim) == 3

    deliveries = await rows(store, "test_deliveries", id=conversation_id)
    assert [(d["text"], d["lane"], d["sender"]) for d in deliveries] == [
        (text, NEW_LANE, OTHER) for text in ("one", "two", "three")
    ]
    (part,) = await rows(store, "test_parts", id=conversation_id)
    assert (part["state"], part["attempt"], part["error_code"]) == ("pending", 0, "20003")
    (conversation,) = await rows(store, "test_conversation", id=conversation_id)
    assert conversation["our_address"] == OTHER
    (stopped,) = await store.read(halted_senders)
    assert (stopped.address, stopped.code) == (OURS, "20003")
    bells = await scene.posted(store, "delivery.due")
    assert [bell["data"]["lane"] for bell in bells] == [NEW_LANE]

    (old,) = await rows(store, "test_lane", id=lane)
    assert (old["settled"], old["queued"], old["lease_owner"]) == (3, 3, None)
    texts = []
    taken = await held(store, NEW_LANE)
    delivery = taken.delivery
    while True:
        texts.append(delivery.text)
        following = await store.write(settle_delivery, taken.ref, delivery, delivery.state.SENT)
        if following is None:
            break
        delivery = following
    assert texts == ["one", "two", "three"]


async def test_what_is_said_next_follows_what_has_moved(store: MovableStore) -> None:
    conversation_id, lane = await said(store, "one")
    claim = await held(store, lane)
    await attempted(store, claim, "one")
    await moved(store, claim)
    again = await store.write(accept, to(sms("and?"), OTHER), POOL)
    assert again.conversation_id == conversation_id
    await answer(store, await claimed(store, conversation_id), "two")
    deliveries = await rows(store, "test_deliveries", id=conversation_id)
    assert [(d["text"], d["lane"]) for d in deliveries] == [("one", NEW_LANE), ("two", NEW_LANE)]


async def test_numbers_that_are_one_sender_share_a_conversation(store: MovableStore) -> None:
    first = await store.write(accept, sms("one"), POOL)
    second = await store.write(accept, to(sms("two"), OTHER), POOL)
    assert second.conversation_id == first.conversation_id
    (conversation,) = await rows(store, "test_conversation", id=first.conversation_id)
    assert conversation["our_address"] == OTHER
    await store.write(accept, sms("three"), POOL)
    (conversation,) = await rows(store, "test_conversation", id=first.conversation_id)
    assert conversation["our_address"] == OURS


async def test_a_stop_holds_for_all_of_them(store: MovableStore) -> None:
    await store.write(accept, sms("hello"), POOL)
    await store.write(accept, sms("STOP"), POOL)
    stopped = {row["our_address"] for row in await rows(store, "test_suppressions") if not row["derived"]}
    assert stopped == {OURS, OTHER}
    await store.write(accept, to(sms("START"), OTHER), POOL)
    assert await rows(store, "test_suppressions") == []


async def test_a_reply_that_has_begun_stays_and_so_does_what_follows(store: MovableStore) -> None:
    conversation_id, lane = await said(store, "one two", "three")
    claim = await held(store, lane)
    await attempted(store, claim, "one", "two")
    await store.write(settle_part_and_wait, claim.ref, unstored(claim), "SM1", 0.0)
    again = await held(store, lane)
    second = again.delivery.parts[1]
    assert isinstance(await store.write(claim_part, again.ref, second, "twilio", (), RULES), PartClaim)
    assert await store.write(fail_over, again.ref, again.delivery, second, BAD_CREDENTIALS, OTHER) == 0
    deliveries = await rows(store, "test_deliveries", id=conversation_id)
    assert {d["lane"] for d in deliveries} == {lane}
    assert await store.read(halted_senders) == []
    parts = await rows(store, "test_parts", id=conversation_id)
    assert [part["state"] for part in parts] == ["accepted", "sending"]


async def test_an_unknown_outcome_never_moves(store: MovableStore) -> None:
    _, lane = await said(store, "one")
    claim = await held(store, lane)
    await attempted(store, claim, "one")
    store.advance(scene.LIFETIME + 1)  # its worker is dead: the attempt may have been taken
    other = await held(store, lane)
    assert await moved(store, other, refused=None) == 0
    (old,) = await rows(store, "test_lane", id=lane)
    assert (old["settled"], old["queued"]) == (0, 1)


async def test_a_sender_that_is_stopped_already_gives_way_at_once(store: MovableStore) -> None:
    _, lane = await said(store, "one")
    claim = await held(store, lane)
    await attempted(store, claim, "one")
    await moved(store, claim)
    conversation_id, _ = await said(store, "two")  # OURS again: it is the number that was written to
    deliveries = await rows(store, "test_deliveries", id=conversation_id)
    assert deliveries[-1]["lane"] == NEW_LANE  # the conversation has moved

    accepted = await arrive(store, sms(sender="+14155550199"))
    await answer(store, await claimed(store, accepted.conversation_id), "three")
    (third,) = await rows(store, "test_deliveries", id=accepted.conversation_id)
    waiting = await held(store, third["lane"])
    cut = [PartText("three", "GSM-7", 1)]
    outcome = await store.write(claim_part, waiting.ref, unstored(waiting), "twilio", cut, RULES)
    assert outcome is STOPPED
    assert await moved(store, waiting, refused=None) == 1


async def test_who_has_lost_the_lane_moves_nothing(store: MovableStore) -> None:
    _, lane = await said(store, "one")
    claim = await held(store, lane)
    await attempted(store, claim, "one")
    store.advance(scene.LIFETIME + 1)
    await held(store, lane)
    with pytest.raises(Fenced):
        await moved(store, claim)


@pytest.mark.parametrize(
    ("refused", "refusals", "calls"),
    [
        (Refused(Failure.CONFIGURATION, "20003"), 0, True),
        (Refused(Failure.UNROUTABLE, "21612"), 0, True),
        (Refused(Failure.TRANSIENT, "not_sent"), 0, False),
        (Refused(Failure.TRANSIENT, "not_sent"), 1, True),
        (Refused(Failure.TRANSIENT, "20429"), 4, False),
        (Refused(Failure.OPTED_OUT, "21610"), 0, False),
        (Refused(Failure.BAD_ADDRESS, "21211"), 0, False),
        (Refused(Failure.PERMANENT, "21617"), 0, False),
    ],
)
def test_only_what_is_the_senders_own_calls_for_another(refused: Refused, refusals: int, calls: bool) -> None:
    part = Part(delivery_id="d", index=0, text="", hash="", attempt=refusals, refusals=refusals)
    assert calls_for_another(refused, part) is calls
