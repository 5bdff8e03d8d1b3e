"""What follows once from the end of a conversation: summary, memory, analytics; and when it is forgotten."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest

from gateway.domain.clock import SECOND
from gateway.domain.conversation import SessionType
from gateway.domain.ids import named_id
from gateway.domain.message import SenderAuth
from gateway.domain.ports.store import Row, Store, Tx
from gateway.domain.summary import Summary, Transcript
from gateway.domain.turn import Path
from gateway.service.analyse import Days, analyse
from gateway.service.approve import Decision, Resolution, resolve_approval
from gateway.service.close import close
from gateway.service.closings import CLAIM_SECONDS, claim_closings, finish_closing, transcript_of
from gateway.service.expire import expire_idle
from gateway.service.purge import purge
from gateway.service.remember import BUDGET, NEWEST
from gateway.service.respond import finish_turn
from gateway.service.retire import retire
from tests.contract import scene
from tests.contract.conftest import MovableStore
from tests.contract.scene import (
    ORGANIZATION,
    PARTITIONS,
    answer,
    arrive,
    claimed,
    conversation,
    rows,
    say,
    sms,
)
from workers.closings import Closer
from workers.timers import retire_all

HOUR = 3600
RETENTION = 30 * 24 * HOUR


async def shut(store: Store, conversation_id: str) -> None:
    await store.write(close, ORGANIZATION, conversation_id, "done", PARTITIONS)


async def talked(store: Store, text: str = "Where is my order?", answer_text: str = "On its way.") -> str:
    accepted = await arrive(store, sms(text))
    await answer(store, await claimed(store, accepted.conversation_id), answer_text)
    return accepted.conversation_id


async def sum_up(store: Store) -> int:
    return await Closer(store).look()


async def by_close(store: MovableStore) -> str:
    conversation_id = await talked(store)
    await shut(store, conversation_id)
    return conversation_id


async def by_agent(store: MovableStore) -> str:
    accepted = await arrive(store)
    claim = await claimed(store, accepted.conversation_id)
    await answer(store, claim, "bye", path=Path.CLOSED_BY_AGENT)
    return accepted.conversation_id


async def by_idleness(store: MovableStore) -> str:
    conversation_id = await talked(store)
    store.advance(HOUR + 1)
    assert await store.write(expire_idle, PARTITIONS) == 1
    return conversation_id


async def by_rejection(store: MovableStore) -> str:
    accepted = await arrive(store, sms("refund"))
    claim = await claimed(store, accepted.conversation_id)
    await answer(store, claim, "one moment", path=Path.APPROVAL, approval=scene.APPROVAL)
    (approval,) = await rows(store, "test_approvals", id=accepted.conversation_id)
    no = Resolution(decision=Decision.REJECT, decided_by="olga")
    await store.write(resolve_approval, ORGANIZATION, approval["id"], no, PARTITIONS)
    return accepted.conversation_id


@pytest.mark.parametrize("end", [by_close, by_agent, by_idleness, by_rejection])
async def test_every_end_is_summed_up_once(
    store: MovableStore, end: Callable[[MovableStore], Awaitable[str]]
) -> None:
    conversation_id = await end(store)
    (closing,) = await rows(store, "test_closings")
    assert closing["conversation_id"] == conversation_id
    assert await sum_up(store) == 1
    row = await conversation(store, conversation_id)
    assert row["memory_synced"]
    assert "Asked:" in row["summary"]
    (memory,) = await rows(store, "test_memories")
    assert (memory["end_user_id"], memory["text"]) == (row["end_user_id"], row["summary"])
    (analysed,) = await rows(store, "test_analytics")
    assert (analysed["channel"], analysed["status"]) == ("sms", row["status"])
    assert (analysed["messages"], analysed["user_messages"]) == (row["message_count"], 1)
    assert await rows(store, "test_closings") == []
    await shut(store, conversation_id)
    assert await sum_up(store) == 0


async def test_two_workers_and_one_that_was_killed_sum_up_once(store: MovableStore) -> None:
    ended = [await by_agent(store) for _ in range(5)]
    (killed, *_others) = await store.write(claim_closings)  # and its worker is killed
    transcript = await store.read(transcript_of, killed)
    assert await sum_up(store) == 0
    store.advance(CLAIM_SECONDS + 1)
    assert sum(await asyncio.gather(*(sum_up(store) for _ in range(2)))) == 5
    # it was only slow: what it made comes too late
    assert not await store.write(finish_closing, killed, transcript, Summary(text="another summary"))
    for query in ("test_memories", "test_analytics"):
        assert {r["conversation_id"] for r in await rows(store, query)} == set(ended)
        assert len(await rows(store, query)) == 5
    assert "another" not in (await conversation(store, killed.conversation_id))["summary"]


async def test_what_kills_its_worker_again_and_again_is_closed_without_a_summary(store: MovableStore) -> None:
    async def deadly(transcript: Transcript) -> Summary | None:
        raise RuntimeError("killed")

    conversation_id = await by_close(store)
    for _ in range(5):
        with pytest.raises(RuntimeError):
            await Closer(store, deadly).look()
        store.advance(CLAIM_SECONDS + 1)
    assert await Closer(store, deadly).look() == 1
    row = await conversation(store, conversation_id)
    assert (row["summary"], bool(row["memory_synced"])) == (None, True)
    assert len(await rows(store, "test_analytics")) == 1
    assert await rows(store, "test_memories") == []


async def test_what_is_not_live_is_not_summed_up(store: MovableStore) -> None:
    for session_type in (SessionType.TEST, SessionType.SIMULATION):
        conversation_id = await talked(store)
        await scene.become(store, conversation_id, session_type)
        await shut(store, conversation_id)
    assert await rows(store, "test_closings") == []


async def test_a_conversation_deleted_before_it_was_summed_up(store: MovableStore) -> None:
    conversation_id = await by_close(store)
    (claim,) = await store.write(claim_closings)
    await purge(store, ORGANIZATION, conversation_id)
    assert not await store.write(finish_closing, claim, None, Summary(text="text"))
    for query in ("test_closings", "test_memories", "test_analytics"):
        assert await rows(store, query) == []


async def told(store: Store, text: str = "hello again") -> list[dict[str, str]]:
    accepted = await arrive(store, sms(text))
    claim = await claimed(store, accepted.conversation_id)
    await answer(store, claim)
    await shut(store, accepted.conversation_id)
    return claim.request.memory


async def test_memory_is_fed_to_later_conversations_of_that_person(store: MovableStore) -> None:
    assert await told(store, "Where is my order?") == []
    await sum_up(store)
    store.advance(1)
    (memory,) = await told(store)
    assert "Where is my order?" in memory["text"]
    assert memory["channel"] == "sms"
    await sum_up(store)
    newest, oldest = await told(store)
    assert newest["date"] > oldest["date"] == memory["date"]
    assert oldest == memory
    stranger = await arrive(store, sms(sender="+14155550199"))
    assert (await claimed(store, stranger.conversation_id)).request.memory == []
    await say_by_mail(store)


async def say_by_mail(store: Store) -> None:
    """Unproven mail is told nothing, whoever it claims to be."""
    accepted = await arrive(store, scene.mail(auth=SenderAuth.UNVERIFIED))
    await answer(store, await claimed(store, accepted.conversation_id))
    await shut(store, accepted.conversation_id)
    assert await sum_up(store) >= 1
    assert accepted.conversation_id not in {r["conversation_id"] for r in await rows(store, "test_memories")}
    row = await conversation(store, accepted.conversation_id)
    assert not row["memory_synced"]
    assert row["summary"] is not None


async def test_an_unverified_or_sandboxed_conversation_is_told_nothing(store: MovableStore) -> None:
    await told(store)
    await sum_up(store)

    async def distrust(tx: Tx, conversation_id: str) -> None:
        await tx.run("test_unverified", id=conversation_id)

    accepted = await arrive(store)
    await store.write(distrust, accepted.conversation_id)
    claim = await claimed(store, accepted.conversation_id)
    assert claim.request.memory == []
    await answer(store, claim)
    await shut(store, accepted.conversation_id)
    accepted = await arrive(store)
    await scene.become(store, accepted.conversation_id, SessionType.TEST)
    assert (await claimed(store, accepted.conversation_id)).request.memory == []


async def test_memory_has_a_budget(store: MovableStore) -> None:
    async def remember(tx: Tx, end_user_id: str, number: int, text: str) -> None:
        await tx.run(
            "memory_insert",
            conversation_id=f"00000000-0000-7000-8000-{number:012}",
            organization_id=ORGANIZATION,
            end_user_id=end_user_id,
            channel="sms",
            text=text,
            facts=None,
        )

    accepted = await arrive(store)
    for number in range(NEWEST + 5):
        await store.write(remember, accepted.end_user_id, number, f"memory {number}")
        store.advance(1)
    claim = await claimed(store, accepted.conversation_id)
    assert [m["text"] for m in claim.request.memory] == [f"memory {n}" for n in range(NEWEST + 4, 4, -1)]
    await store.write(remember, accepted.end_user_id, 100, "x" * (BUDGET - 20))
    await answer(store, claim)
    await arrive(store)
    again = await claimed(store, accepted.conversation_id)
    assert [m["text"][:9] for m in again.request.memory] == ["xxxxxxxxx", "memory 24", "memory 23"]


async def test_analytics_are_summed_by_day_channel_and_outcome(store: MovableStore) -> None:
    await by_close(store)
    await by_agent(store)
    await by_rejection(store)
    await sum_up(store)
    (row, *_) = await rows(store, "test_analytics")
    days = Days.chosen(None, None, row["ended_at"])
    found = await store.read(analyse, ORGANIZATION, days)
    assert found.total.conversations == 3
    assert found.by_channel == {"sms": found.total}
    assert found.by_status == {"closed": found.total}
    assert list(found.by_day) == [days.last.isoformat()]
    assert (found.total.approvals, found.total.turns, found.total.user_messages) == (1, 3, 3)
    elsewhere = await store.read(analyse, named_id("another organisation"), days)
    assert (elsewhere.total.conversations, elsewhere.by_day) == (0, {})
    before = Days.chosen(None, None, row["ended_at"] - 24 * HOUR * SECOND)
    assert (await store.read(analyse, ORGANIZATION, before)).total.conversations == 0


async def left(store: Store, conversation_id: str) -> int:
    (row,) = await rows(store, "test_left_over", id=conversation_id)
    return int(row["remaining"])


async def _record(tx: Tx, conversation_id: str) -> None:
    await tx.run("conversation_recorded", id=conversation_id, recording_url="https://host.test/1.wav")


async def test_what_was_said_is_deleted_when_its_retention_is_over(store: MovableStore) -> None:
    conversation_id = await by_close(store)
    still_open = (await arrive(store, sms(sender="+14155550177"))).conversation_id
    await store.write(_record, conversation_id)
    store.advance(RETENTION + 1)
    assert await retire_all(store) == 0  # not before it has been summed up
    await sum_up(store)
    kept = await left(store, conversation_id)
    assert kept > 0
    steps = await asyncio.gather(*(retire_all(store) for _ in range(2)))
    assert sum(steps) > 0
    row = await conversation(store, conversation_id)
    assert await left(store, conversation_id) == 0
    assert row["archived_at"] is not None
    assert (row["summary"], json.loads(row["metadata"]), row["message_count"]) == (None, {}, 2)
    assert (row["recording_url"], bool(row["has_recording"])) == (None, False)
    assert await rows(store, "test_memories") == []
    assert len(await rows(store, "test_analytics")) == 1
    assert await retire_all(store) == 0
    assert (await conversation(store, still_open))["archived_at"] is None
    assert await left(store, still_open) > 0


async def test_a_long_conversation_is_deleted_in_steps(store: MovableStore) -> None:
    conversation_id = await scene.api_conversation(store)
    await say(store, conversation_id)
    claim = await claimed(store, conversation_id)
    long = scene.reply(*(f"{n}" for n in range(450)), path=Path.CLOSED_BY_AGENT)
    await store.write(finish_turn, claim, long, PARTITIONS)
    await sum_up(store)
    store.advance(RETENTION + 1)
    assert await store.write(retire)
    messages: list[Row] = await rows(store, "test_messages", id=conversation_id)
    assert len(messages) == 451 - 200
    assert (await conversation(store, conversation_id))["archived_at"] is None
    await retire_all(store)
    assert await left(store, conversation_id) == 0
    assert (await conversation(store, conversation_id))["archived_at"] is not None
