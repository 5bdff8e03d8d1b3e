"""What time brings about: once, whoever looks, also when everything was down and much is overdue."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

import pytest
from prometheus_client import REGISTRY

from gateway.domain.call_rules import CallRules
from gateway.domain.clock import SECOND
from gateway.domain.fallback import NO_FALLBACKS
from gateway.domain.ports.store import Store, Tx
from gateway.domain.send_rules import ATTEMPTS
from gateway.domain.turn import Path
from gateway.service.batch import AT_ONCE, Batch
from gateway.service.closings import CLAIM_SECONDS
from gateway.service.erase import GRACE, erase_step, request_erasure
from tests.contract import scene
from tests.contract.conftest import MovableStore
from tests.contract.scene import ORGANIZATION, PARTITIONS, answer, arrive, claimed, conversation, rows, sms
from workers.closings import Closer
from workers.timers import FAULTS, Timer, Timers, overdue, timers

MANY = 2 * AT_ONCE + 3


def all_of(store: Store) -> Sequence[Timer]:
    """The timers of the gateway."""
    return timers(store, PARTITIONS, lambda _: NO_FALLBACKS, Closer(store), lambda _number: CallRules())


def look(store: Store, name: str) -> Callable[[], Awaitable[object]]:
    """One look of a timer of the gateway."""
    (timer,) = [t for t in all_of(store) if t.name == name]
    return timer.look


async def parked(store: Store, count: int) -> list[str]:
    """Conversations that wait for decisions of a minute."""
    found = []
    for number in range(count):
        accepted = await arrive(store, sms("refund", sender=f"+1415555{number:04}"))
        claim = await claimed(store, accepted.conversation_id)
        await answer(store, claim, path=Path.APPROVAL, approval={**scene.APPROVAL, "timeout_seconds": 60})
        found.append(accepted.conversation_id)
    return found


async def test_many_looks_decide_all_that_is_overdue_and_each_once(store: MovableStore) -> None:
    conversations = await parked(store, MANY)
    await look(store, "approvals")()
    assert (await conversation(store, conversations[0]))["status"] == "awaiting_approval"
    store.advance(3600)  # everything was down
    await asyncio.gather(*(look(store, "approvals")() for _ in range(4)))
    for conversation_id in conversations:
        (approval,) = await rows(store, "test_approvals", id=conversation_id)
        assert (approval["status"], approval["decided_by"]) == ("timed_out", "timeout")
        row = await conversation(store, conversation_id)
        assert (row["status"], row["message_count"]) == ("closed", 3)  # the safe message is said once
    await scene.consistent(store, conversations[0])


async def spoil(store: Store, query: str, row_id: str) -> None:
    """Make a row one that nobody can read."""

    async def write(tx: Tx) -> None:
        await tx.run(query, id=row_id)

    await store.write(write)


async def test_who_cannot_be_read_holds_up_no_other(store: MovableStore) -> None:
    conversations = await parked(store, 5)
    for bad in (conversations[0], conversations[2]):
        await spoil(store, "test_conversation_spoil", bad)
    store.advance(3600)
    with pytest.raises(ValueError, match="not a valid Priority"):
        await look(store, "approvals")()
    statuses = [(await conversation(store, one))["status"] for one in conversations]
    assert statuses == ["awaiting_approval", "closed", "awaiting_approval", "closed", "closed"]


async def test_who_cannot_be_read_does_not_keep_others_from_expiring(store: MovableStore) -> None:
    conversations = [await scene.api_conversation(store) for _ in range(AT_ONCE + 2)]
    await spoil(store, "test_conversation_spoil", conversations[1])
    store.advance(2 * 3600)
    with pytest.raises(ValueError, match="not a valid Priority"):
        await look(store, "idle")()
    (left,) = {one for one in conversations if (await conversation(store, one))["status"] != "expired"}
    assert left == conversations[1]


async def test_an_erasure_that_cannot_be_read_holds_up_no_other(store: MovableStore) -> None:
    people = [(await arrive(store, sms(sender=f"+1415555020{n}"))).end_user_id for n in range(3)]
    for person in people:
        await store.write(request_erasure, ORGANIZATION, person, PARTITIONS)
        store.advance(1)
    await spoil(store, "test_erasure_spoil", people[0])
    for _ in range(2):  # the second look is the last one
        with pytest.raises(ValueError, match="unpack"):
            await look(store, "erasures")()
        store.advance(GRACE / SECOND + 1)
    assert (await store.write(erase_step, PARTITIONS, 1)) is None
    with pytest.raises(ValueError, match="unpack"):
        await store.write(erase_step, PARTITIONS)


async def test_an_end_that_cannot_be_read_is_given_up_and_holds_up_no_other(store: MovableStore) -> None:
    """It would be looked at each minute, and its conversation be kept for ever."""
    ended = [await scene.api_conversation(store) for _ in range(3)]
    store.advance(2 * 3600)
    await look(store, "idle")()
    await spoil(store, "test_conversation_spoil", ended[0])
    for left in (ended[:1],) * ATTEMPTS:
        with pytest.raises(ValueError, match="not a valid Priority"):
            await look(store, "closings")()
        assert [row["conversation_id"] for row in await rows(store, "test_closings")] == left
        store.advance(CLAIM_SECONDS + 1)
    await look(store, "closings")()
    assert await rows(store, "test_closings") == []


async def test_a_look_at_which_everything_fails_ends() -> None:
    looked = 0

    async def fail(_batch: Batch) -> int:
        nonlocal looked
        looked += 1
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await overdue(fail)
    assert looked == FAULTS


async def test_one_look_expires_all_that_is_idle(store: MovableStore) -> None:
    conversations = [await scene.api_conversation(store) for _ in range(MANY)]
    store.advance(2 * 3600)
    await look(store, "idle")()
    assert {(await conversation(store, c))["status"] for c in conversations} == {"expired"}


def test_what_is_due_to_the_second_is_looked_for_each_second() -> None:
    """± 2 s: at most one between two looks, and one for the look."""
    every = {timer.name: timer.every for timer in all_of(_no_store())}
    assert {every[name] for name in ("approvals", "handoffs", "closings")} == {1}


def _no_store() -> Store:
    return MovableStore.__new__(MovableStore)


async def test_a_timer_that_fails_looks_again(caplog: pytest.LogCaptureFixture) -> None:
    looked = 0
    again = asyncio.Event()

    async def fail() -> None:
        nonlocal looked
        looked += 1
        if looked > 1:
            again.set()
        raise RuntimeError("what a person wrote")

    before = failures()
    running = Timers([Timer("broken", 0.001, fail)])
    with caplog.at_level(logging.ERROR):
        await running.start()
        await asyncio.wait_for(again.wait(), 60)
        await running.stop()
    assert "what a person wrote" not in caplog.text
    assert {record.__dict__["action"] for record in caplog.records} == {"timer.failed"}
    assert all(record.__dict__["at"].startswith("fail:") for record in caplog.records)
    assert failures() == before + len(caplog.records)


def failures() -> float:
    """How often the timer of the test before has failed."""
    return REGISTRY.get_sample_value("gateway_timer_failures_total", {"timer": "broken"}) or 0
