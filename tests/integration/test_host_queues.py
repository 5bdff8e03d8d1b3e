"""The reference voice host on the queues: what is doubled, lost on the way, or outlived by a restart."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.host_core import TRANSFER, Core, Running, core_at, intent, say, up


@pytest.fixture
async def core(rabbit_url: str, amqp_prefix: str) -> AsyncIterator[Core]:
    """The gateway's end of the shared broker."""
    async with core_at(rabbit_url, amqp_prefix) as opened:
        yield opened


@pytest.fixture
async def running(core: Core, rabbit_url: str, amqp_prefix: str, tmp_path: Path) -> AsyncIterator[Running]:
    """A host on the shared broker."""
    started = Running(tmp_path, rabbit_url, amqp_prefix)
    await started.start()
    yield started
    await started.stop()


async def test_a_doubled_intent_is_done_once_and_answered_twice(core: Core, running: Running) -> None:
    caller, call_id = await up(core, running.peer)
    wanted = intent(call_id, "transfer", TRANSFER)
    for _ in range(2):
        await core.tell("voice.intent", wanted)
    (progress,) = await core.events(1)
    assert (progress["kind"], progress["state"]) == ("intent.progress", "refer")
    other = intent(call_id, "transfer", TRANSFER)
    for _ in range(2):
        await core.tell("voice.intent", other)
    busy = await core.events(2)
    assert busy[0] == busy[1]
    assert (busy[0]["intent_id"], busy[0]["state"]) == (other["intent_id"], "rejected_busy")
    assert caller.referred == 1
    caller.close()


async def test_what_came_too_late_or_is_not_wanted_any_more(core: Core, running: Running) -> None:
    caller, call_id = await up(core, running.peer)
    late = intent(call_id, "transfer", TRANSFER, not_after="2026-01-01T00:00:00Z")
    unwanted = intent(call_id, "transfer", TRANSFER)
    await core.tell("voice.intent", late)
    await core.tell("voice.intent", intent(call_id, "cancel", {"intent_id": unwanted["intent_id"]}))
    await core.tell("voice.intent", unwanted)
    told = await core.events(3)
    assert [(event["state"], event["seq"]) for event in told] == [
        ("expired", 0),
        ("done", 1),
        ("canceled", 2),
    ]
    assert caller.referred == 0
    caller.close()


async def test_what_is_not_valid_blocks_nothing_and_is_kept_with_its_reason(
    core: Core, running: Running, amqp_prefix: str
) -> None:
    caller, call_id = await up(core, running.peer)
    wrong = intent(call_id, "transfer", {"mode": "cold"})
    await core.tell("voice.intent", {**wrong, "kind": "dance"})
    await core.tell("voice.dance", {})
    await core.tell("voice.intent", wrong)
    await core.tell("voice.intent", intent(call_id, "say", {"n": 0}), "h1.say")
    assert set(await core.dead_letters(4)) == {
        (f"{amqp_prefix}voice.h1", "not a valid voice.intent: kind: enum"),
        (f"{amqp_prefix}voice.h1", "a voice host is told voice.intent and voice.event"),
        (f"{amqp_prefix}voice.h1", "not a valid payload of transfer: destination: missing"),
        (f"{amqp_prefix}voice.h1.say", "not a valid payload of say: utterance_id: missing"),
    }
    await core.tell("voice.intent", say(call_id, "hello"), "h1.say")
    failed, spoken = await core.events(2)
    assert (failed["intent_id"], failed["state"]) == (wrong["intent_id"], "failed")
    assert failed["reason"] == "unsupported"
    assert spoken["state"] == "spoken"
    assert caller.referred == 0
    caller.close()


async def test_a_successor_ends_what_a_killed_host_had(
    core: Core, running: Running, rabbit_url: str, amqp_prefix: str, tmp_path: Path
) -> None:
    caller, call_id = await up(core, running.peer)
    wanted = intent(call_id, "transfer", TRANSFER)
    await core.tell("voice.intent", wanted)
    progress = await core.events(1)
    await running.stop()
    successor = Running(tmp_path, rabbit_url, amqp_prefix)
    await successor.start()
    lost, ended = await core.news(2, progress)
    assert (lost["intent_id"], lost["state"], lost["seq"]) == (wanted["intent_id"], "host_lost", 1)
    assert (ended["kind"], ended["reason"]) == ("call.ended", "host_lost")
    await core.tell("voice.intent", wanted)
    assert await core.events(1) == [lost]
    await core.nothing_waits()
    assert caller.referred == 1
    await successor.stop()
    caller.close()
