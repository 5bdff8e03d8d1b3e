"""Daily caps: counted once, exact where messages leave, braked when reached, and let go on the next day."""

import asyncio
from dataclasses import replace

import pytest

from gateway.domain.clock import SECOND
from gateway.domain.delivery import Failure, Part, PartText, Refused
from gateway.domain.errors import Braked
from gateway.domain.ports.store import Store, Tx
from gateway.domain.send_rules import SendRules
from gateway.domain.turn import Claim, NotNow
from gateway.domain.turn_rules import TurnRules
from gateway.domain.usage import DAY, MILLION, Cap, Caps, Meter, Usage
from gateway.service.brake import pauses_of
from gateway.service.claim import next_turn
from gateway.service.deliver import LaneClaim, claim_lane
from gateway.service.fail import stop_sender
from gateway.service.lanes import wait_in_lane
from gateway.service.parts import PartClaim, claim_part, settle_part_and_wait
from gateway.service.respond import Finished, finish_turn
from gateway.service.usage import Applied, apply_caps, today
from tests.contract import scene
from tests.contract.conftest import MovableStore
from tests.contract.scene import ORGANIZATION, PARTITIONS, arrive, claimed, refused, reply, say, sms
from tests.contract.test_units_deliver import held, said

DAY_SECONDS = DAY // SECOND
NOTHING_APPLIED = Applied(frozenset())


@pytest.fixture
async def store(store: MovableStore) -> MovableStore:
    """At noon: no test meets the end of a day by itself."""

    async def clock(tx: Tx) -> int:
        row = await tx.one("usage_clock")
        assert row is not None
        return int(row["at"])

    store.advance((-await store.read(clock) % DAY + DAY // 2) / SECOND)
    return store


def capped(messages: int | None = None, spend: float | None = None) -> Meter:
    """A meter under these caps; a million tokens cost 2 to read and 8 to write, a segment 0.01."""
    caps = Caps(
        organization_id=ORGANIZATION,
        messages_per_day=messages,
        spend_per_day=None if spend is None else round(spend * MILLION),
    )
    return Meter(caps=caps, input_price=2 * MILLION, output_price=8 * MILLION, segment_price=MILLION // 100)


async def turn_finished(store: Store, claim: Claim, meter: Meter, tokens: tuple[int, int]) -> Finished:
    """Commit a turn that took so many tokens."""
    whole = replace(reply("fine"), input_tokens=tokens[0], output_tokens=tokens[1])
    return await store.write(finish_turn, claim, whole, PARTITIONS, TurnRules(meter=meter))


async def applied(store: Store, meter: Meter) -> Applied:
    return await store.write(apply_caps, meter.caps, PARTITIONS)


async def leaves(store: Store, claim: LaneClaim, meter: Meter, index: int = 0) -> Part:
    """A part's attempt is committed."""
    texts = [PartText(text=text, encoding="gsm7", segments=2) for text in ("on", "e")]
    part = Part(delivery_id=claim.delivery.id, index=index, text=texts[index].text, hash="", segments=2)
    rules = SendRules(meter=meter)
    made = await store.write(claim_part, claim.ref, part, "twilio", () if index else texts, rules)
    assert isinstance(made, PartClaim)
    return part


def test_what_things_cost() -> None:
    meter = capped(spend=1)
    assert meter.turn(1_000_000, 500_000) == Usage(turns=1, tokens=1_500_000, spend=6 * MILLION)
    assert meter.turn(None, None) == Usage(turns=1)
    embeds = replace(meter, embeddings_price=MILLION // 2)
    assert embeds.turn(None, None, 2_000_000) == Usage(turns=1, tokens=2_000_000, spend=MILLION)
    assert replace(meter, input_price=1).turn(1, 0).spend == 1  # never nothing
    assert meter.part(3) == Usage(messages=1, spend=30_000)


async def test_turns_and_parts_are_counted_of_their_day(store: MovableStore) -> None:
    meter = capped(messages=100, spend=100)
    before = await store.read(today, ORGANIZATION)
    assert (before.used, before.reached) == (Usage(), ())
    accepted = await arrive(store)
    await turn_finished(store, await claimed(store, accepted.conversation_id), meter, (1000, 100))
    claim = await held(store, accepted.conversation_id)
    await leaves(store, claim, meter)
    now = await store.read(today, ORGANIZATION)
    assert now.used == Usage(messages=1, turns=1, tokens=1100, spend=2000 + 800 + 20_000)
    assert now.ends_at % DAY == 0
    store.advance(DAY_SECONDS)
    tomorrow = await store.read(today, ORGANIZATION)
    assert (tomorrow.used, tomorrow.ends_at) == (Usage(), now.ends_at + DAY)


async def test_another_organisations_usage_is_not_counted(store: MovableStore) -> None:
    elsewhere = Caps(organization_id="00000000-0000-5000-8000-000000000000", messages_per_day=1)
    meter = Meter(caps=elsewhere)
    claim = await held(store, await said(store, "one"))
    await leaves(store, claim, meter)
    await leaves(store, claim, meter, 1)
    assert (await store.read(today, elsewhere.organization_id)).used == Usage()


async def test_at_the_cap_on_spend_the_turn_is_committed_and_the_next_one_waits(store: MovableStore) -> None:
    meter = capped(spend=0.01)
    conversation_id = await scene.api_conversation(store)
    await say(store, conversation_id, "one")
    second = await say(store, conversation_id, "two")
    claim = await claimed(store, conversation_id)
    await scene.clear_outbox(store)
    assert (await turn_finished(store, claim, meter, (5000, 0))).more
    assert (await store.read(today, ORGANIZATION)).reached == (Cap.SPEND,)
    (told,) = await scene.posted(store, "organisation.cap_reached")
    assert told["data"]["cap"] == "spend"
    assert told["conversation_id"] is None
    assert await store.write(next_turn, claim.lease) is NotNow.BRAKED
    assert await store.read(pauses_of, ORGANIZATION) == []  # nobody has paused anything
    third = await say(store, conversation_id, "three")
    assert third.queued_seq == 3
    store.advance(3600)  # of the same day
    assert await applied(store, meter) == Applied(frozenset({Cap.SPEND}))
    assert await refused(store, conversation_id) is NotNow.BRAKED
    await scene.clear_outbox(store)
    store.advance(DAY_SECONDS)
    assert await applied(store, meter) == Applied(frozenset(), (Cap.SPEND,))
    assert await applied(store, meter) == NOTHING_APPLIED
    assert len(await scene.posted(store, "turn.due")) == 1
    again = await claimed(store, conversation_id)
    assert scene.texts_of(again.request) == ["two", "three"]
    assert again.turn_id == third.turn_id
    assert second.turn_id != third.turn_id  # "two" was a turn of its own until the brake was on
    await turn_finished(store, again, meter, (1, 1))
    await scene.consistent(store, conversation_id)


async def test_at_the_cap_on_messages_agents_answer_and_nothing_leaves(store: MovableStore) -> None:
    meter = capped(messages=1)
    accepted = await arrive(store, sms("one"))
    await turn_finished(store, await claimed(store, accepted.conversation_id), meter, (1, 1))
    claim = await held(store, accepted.conversation_id)
    part = await leaves(store, claim, meter)
    await store.write(settle_part_and_wait, claim.ref, part, "SM1", 0)
    lane = claim.ref.lane
    assert await store.write(claim_lane, lane, await scene.worker(store)) is NotNow.BRAKED
    await arrive(store, sms("two"))
    await turn_finished(store, await claimed(store, accepted.conversation_id), meter, (1, 1))
    assert await store.write(claim_lane, lane, await scene.worker(store)) is NotNow.BRAKED
    await scene.clear_outbox(store)
    store.advance(DAY_SECONDS)
    assert await applied(store, meter) == Applied(frozenset(), (Cap.MESSAGES,))
    assert len(await scene.posted(store, "delivery.due")) == 1
    claim = await held(store, accepted.conversation_id)
    assert claim.delivery.text == "fine"
    await leaves(store, claim, meter, 1)


async def test_of_many_at_once_no_more_leave_than_the_cap(store: MovableStore) -> None:
    meter = capped(messages=3)
    lanes = []
    for n in range(8):
        accepted = await arrive(store, sms(sender=f"+141555502{n:02}"))
        await scene.answer(store, await claimed(store, accepted.conversation_id))
        lanes.append(await held(store, accepted.conversation_id))

    async def attempt(claim: LaneClaim) -> bool:
        try:
            await leaves(store, claim, meter)
        except Braked:
            await store.write(wait_in_lane, claim.ref)
            return False
        return True

    assert sum(await asyncio.gather(*map(attempt, lanes))) == 3
    assert (await store.read(today, ORGANIZATION)).used.messages == 3
    assert len(await scene.posted(store, "organisation.cap_reached")) == 1


async def test_a_second_attempt_is_the_same_message(store: MovableStore) -> None:
    meter = capped(messages=2)
    claim = await held(store, await said(store, "one"))
    await leaves(store, claim, meter)
    await leaves(store, claim, meter)
    assert (await store.read(today, ORGANIZATION)).used.messages == 1


async def test_what_a_stopped_sender_tried_is_not_counted(store: MovableStore) -> None:
    meter = capped(messages=2)
    claim = await held(store, await said(store, "one"))
    part = await leaves(store, claim, meter)
    refusal = Refused(Failure.CONFIGURATION, "20003")
    await store.write(stop_sender, claim.ref, claim.delivery, part, refusal)
    assert (await store.read(today, ORGANIZATION)).used.messages == 0


@pytest.mark.parametrize("cap", list(Cap))
async def test_a_cap_that_is_raised_or_lowered_is_in_force_at_once(store: MovableStore, cap: Cap) -> None:
    def limited(limit: int | None) -> Meter:
        return capped(messages=limit) if cap is Cap.MESSAGES else capped(spend=limit)

    claim = await held(store, await said(store, "one"))
    many = limited(1000)
    await leaves(store, claim, replace(many, segment_price=2 * MILLION))
    await leaves(store, claim, replace(many, segment_price=2 * MILLION), 1)
    assert await applied(store, many) == NOTHING_APPLIED
    assert (await applied(store, limited(2))).in_force == {cap}
    assert (await store.read(today, ORGANIZATION)).reached == (cap,)
    assert (await applied(store, limited(9))).lifted == (cap,)
    assert (await applied(store, limited(1))).in_force == {cap}
    assert (await applied(store, limited(None))).lifted == (cap,)


async def test_looks_at_once_lift_once(store: MovableStore) -> None:
    meter = capped(messages=1)
    await leaves(store, await held(store, await said(store, "one")), meter)
    store.advance(DAY_SECONDS)
    found = await asyncio.gather(*(applied(store, meter) for _ in range(5)))
    assert [look.lifted for look in found if look.lifted] == [(Cap.MESSAGES,)]
