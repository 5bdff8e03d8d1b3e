"""Paused: nothing is claimed, committed or sent, nothing is lost, and all goes on in order afterwards."""

import asyncio
from dataclasses import replace

import pytest

from gateway.domain.errors import Braked, Fenced
from gateway.domain.message import Channel
from gateway.domain.ports.store import Store
from gateway.domain.turn import NotNow, Path, TurnOutcome
from gateway.service.brake import (
    pause,
    pause_of,
    paused_subjects,
    pauses_of,
    resume,
    set_aside,
    stopped,
)
from gateway.service.claim import claim_turn, next_turn
from gateway.service.deliver import (
    LaneClaim,
    claim_lane,
    settle_delivery,
    settle_part_and_delivery,
)
from gateway.service.due import due_lanes, due_turns
from gateway.service.expire import expire_idle
from gateway.service.lanes import wait_in_lane
from gateway.service.outcomes import Progress, progress
from gateway.service.parts import claim_part
from tests.contract import scene
from tests.contract.conftest import MovableStore
from tests.contract.scene import (
    ORGANIZATION,
    PARTITIONS,
    ROUTE,
    answer,
    arrive,
    claimed,
    conversation,
    refused,
    rows,
    say,
    sms,
    texts_of,
)
from tests.contract.test_units_deliver import attempted, held, lane_of, said

SUBJECTS = pytest.mark.parametrize("subject", [ORGANIZATION, ROUTE.agent_id], ids=["organisation", "agent"])


async def paused(store: Store, subject: str = ORGANIZATION) -> None:
    await store.write(pause, ORGANIZATION, subject, by="olga", reason="it raves")


async def resumed(store: Store, subject: str = ORGANIZATION) -> bool:
    return await store.write(resume, subject, PARTITIONS)


async def outcome(store: Store, conversation_id: str, message_id: str) -> TurnOutcome:
    found = await store.read(progress, conversation_id, message_id)
    assert isinstance(found, TurnOutcome)
    return found


async def test_a_pause_is_set_once_and_lifted_once(store: MovableStore) -> None:
    await paused(store)
    first = await store.read(pause_of, ORGANIZATION)
    assert first is not None
    assert (first.reason, first.set_by) == ("it raves", "olga")
    store.advance(5)
    again = await store.write(pause, ORGANIZATION, ORGANIZATION, by="kim", reason=None)
    assert (again.reason, again.set_by, again.set_at) == (None, "olga", first.set_at)
    await paused(store, ROUTE.agent_id)
    assert [p.subject_id for p in await store.read(pauses_of, ORGANIZATION)] == [ORGANIZATION, ROUTE.agent_id]
    assert await store.read(paused_subjects) == {ORGANIZATION, ROUTE.agent_id}
    assert await store.read(stopped, ORGANIZATION, "00000000-0000-5000-8000-000000000000")
    assert [await resumed(store), await resumed(store)] == [True, False]
    assert await store.read(pause_of, ORGANIZATION) is None


@SUBJECTS
async def test_what_comes_in_waits_and_is_answered_in_one_turn(store: MovableStore, subject: str) -> None:
    await paused(store, subject)
    accepted = await arrive(store, sms("one"))
    await arrive(store, sms("two"))
    assert await refused(store, accepted.conversation_id) is NotNow.BRAKED
    await scene.clear_outbox(store)
    store.advance(60)
    assert await store.write(due_turns, 0, PARTITIONS) == 0  # nothing circles
    assert await resumed(store, subject)
    assert len(await scene.posted(store, "turn.due")) == 1
    claim = await claimed(store, accepted.conversation_id)
    assert texts_of(claim.request) == ["one", "two"]
    await answer(store, claim)
    await scene.consistent(store, accepted.conversation_id)


async def test_another_agent_goes_on(store: MovableStore) -> None:
    await paused(store, "00000000-0000-5000-8000-000000000000")
    await claimed(store, (await arrive(store)).conversation_id)


@SUBJECTS
async def test_an_api_turn_is_queued_on_arrival(store: MovableStore, subject: str) -> None:
    conversation_id = await scene.api_conversation(store)
    await paused(store, subject)
    first, second = await say(store, conversation_id, "one"), await say(store, conversation_id, "two")
    assert (first.queued_seq, second.queued_seq) == (0, 1)
    assert first.turn_id == second.turn_id
    waits = await outcome(store, conversation_id, second.message_id)
    assert (waits.path, waits.decision_source, waits.message_seqs) == (Path.QUEUED, "policy", (1,))
    assert (waits.turn_id, waits.session_status) == (second.turn_id, "active")
    await resumed(store, subject)
    claim = await claimed(store, conversation_id)
    assert claim.turn_id == first.turn_id
    await answer(store, claim, "to both")
    assert (await outcome(store, conversation_id, first.message_id)).text == "to both"
    await scene.consistent(store, conversation_id)


async def test_api_turns_that_wait_their_place_are_queued(store: MovableStore) -> None:
    conversation_id = await scene.api_conversation(store)
    worker = await scene.worker(store)
    running = await say(store, conversation_id, "one")
    claim = await claimed(store, conversation_id, worker)
    waiting = [await say(store, conversation_id, text) for text in ("two", "three")]
    assert await store.read(progress, conversation_id, waiting[0].message_id) is Progress.WAITING
    await paused(store)
    await store.write(set_aside, claim.lease)
    assert await refused(store, conversation_id, worker) is NotNow.BRAKED
    later = await outcome(store, conversation_id, running.message_id)
    assert (later.path, later.turn_id, later.message_seqs) == (Path.QUEUED, claim.turn_id, (0,))
    queued = [await outcome(store, conversation_id, item.message_id) for item in waiting]
    assert [found.message_seqs for found in queued] == [(1,), (2,)]
    assert len({found.turn_id for found in queued}) == 1
    await scene.consistent(store, conversation_id)
    await resumed(store)
    again = await claimed(store, conversation_id, worker)
    assert (again.turn_id, texts_of(again.request)) == (claim.turn_id, ["one"])
    assert (await answer(store, again)).more
    rest = await store.write(next_turn, again.lease)
    assert not isinstance(rest, NotNow)
    assert (rest.turn_id, texts_of(rest.request)) == (queued[0].turn_id, ["two", "three"])
    assert not (await answer(store, rest)).more
    await scene.consistent(store, conversation_id)


@SUBJECTS
async def test_a_running_turn_does_not_commit_and_starts_over(store: MovableStore, subject: str) -> None:
    accepted = await arrive(store, sms("one"))
    claim = await claimed(store, accepted.conversation_id)
    await paused(store, subject)
    with pytest.raises(Braked):
        await answer(store, claim, "too late")
    await store.write(set_aside, claim.lease)
    await arrive(store, sms("two"))
    assert await refused(store, accepted.conversation_id) is NotNow.BRAKED
    await resumed(store, subject)
    again = await claimed(store, accepted.conversation_id)
    assert (again.turn_id, again.attempt) == (claim.turn_id, 2)
    assert texts_of(again.request) == ["one"]
    with pytest.raises(Fenced):
        await answer(store, claim, "much too late")
    assert (await answer(store, again, "fine")).more


async def test_a_pause_between_two_turns_lets_the_lease_go(store: MovableStore) -> None:
    conversation_id = await scene.api_conversation(store)
    first, second = await say(store, conversation_id, "one"), await say(store, conversation_id, "two")
    claim = await claimed(store, conversation_id)
    assert (await answer(store, claim)).more
    await paused(store)
    assert await store.write(next_turn, claim.lease) is NotNow.BRAKED
    assert (await conversation(store, conversation_id))["lease_owner"] is None
    assert (await outcome(store, conversation_id, second.message_id)).path is Path.QUEUED
    assert (await outcome(store, conversation_id, first.message_id)).path is Path.SINGLE


async def test_a_pause_and_claims_at_once(store: MovableStore) -> None:
    """Whoever claimed before the pause cannot commit after it; nobody claims after it."""
    workers = [await scene.worker(store) for _ in range(10)]
    met = [await arrive(store, sms(sender=f"+141555502{n:02}")) for n in range(10)]
    _, claims = await asyncio.gather(
        paused(store),
        asyncio.gather(
            *(store.write(claim_turn, a.conversation_id, w) for a, w in zip(met, workers, strict=True))
        ),
    )
    for claim in claims:
        if isinstance(claim, NotNow):
            assert claim is NotNow.BRAKED
        else:
            with pytest.raises(Braked):
                await answer(store, claim)
    assert {await refused(store, a.conversation_id) for a in met} <= {NotNow.BRAKED}
    await resumed(store)


@SUBJECTS
async def test_what_was_said_stays_until_it_may_leave(store: MovableStore, subject: str) -> None:
    conversation_id = await said(store, "one", "two")
    lane = await lane_of(store, conversation_id)
    await paused(store, subject)
    worker = await scene.worker(store)
    assert await store.write(claim_lane, lane, worker) is NotNow.BRAKED
    store.advance(60)
    assert await store.write(due_lanes, 0) == 0
    await scene.clear_outbox(store)
    assert await resumed(store, subject)
    assert len(await scene.posted(store, "delivery.due")) == 1
    claim = await store.write(claim_lane, lane, await scene.worker(store))
    assert isinstance(claim, LaneClaim)
    assert claim.delivery.text == "one"


@SUBJECTS
async def test_a_pause_between_two_parts_and_two_deliveries(store: MovableStore, subject: str) -> None:
    conversation_id = await said(store, "one", "two")
    claim = await held(store, conversation_id)
    first = await attempted(store, claim, "on", "e")
    await paused(store, subject)
    second = replace(first, index=1)
    with pytest.raises(Braked):
        await store.write(claim_part, claim.ref, second, "twilio")
    await store.write(wait_in_lane, claim.ref)
    await resumed(store, subject)
    claim = await held(store, conversation_id)
    assert [part.state for part in claim.delivery.parts] == ["sending", "pending"]
    await attempted(store, claim, part=1)
    await paused(store, subject)
    # what has left is settled, and what comes next waits
    assert await store.write(settle_part_and_delivery, claim.ref, claim.delivery, second, "SM2") is None
    (lane,) = await rows(store, "test_lane", id=claim.ref.lane)
    assert (lane["lease_owner"], lane["settled"], lane["rung_at"]) == (None, 1, None)


async def test_an_agents_pause_holds_its_words_and_not_a_persons(store: MovableStore) -> None:
    conversation_id = await said(store, "nonsense")
    await paused(store, ROUTE.agent_id)
    assert await store.write(
        claim_lane, await lane_of(store, conversation_id), await scene.worker(store)
    ) is (NotNow.BRAKED)
    await scene.operate(store, conversation_id, "Sorry, I am here now", take_over=True)
    claim = await held(store, conversation_id)  # taken over: what the agent said never leaves
    assert claim.delivery.state == "canceled"
    following = await store.write(settle_delivery, claim.ref, claim.delivery, claim.delivery.state)
    assert following is not None
    assert following.text == "Sorry, I am here now"


async def test_a_brake_keeps_what_it_holds_from_expiring(store: MovableStore) -> None:
    await paused(store)
    accepted = await arrive(store)
    store.advance(2 * 3600)
    assert await store.write(expire_idle, PARTITIONS) == 0
    assert (await conversation(store, accepted.conversation_id))["channel"] == Channel.SMS
