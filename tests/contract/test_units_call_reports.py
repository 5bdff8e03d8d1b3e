"""Calls that we begin: what is reported of them in any order, and their one end."""

import json

import pytest

from gateway.domain.call_rules import OnMachine
from gateway.domain.clock import SECOND
from gateway.domain.conversation import Status
from gateway.domain.outgoing_call import (
    AnsweredBy,
    CallState,
    Command,
    Recording,
)
from gateway.service.call_over import close_ended_calls
from gateway.service.close import close
from gateway.service.recordings import record_call
from tests.contract import scene
from tests.contract.conftest import MovableStore as Store
from tests.contract.outgoing_line import ONGOING, OTHER, SID, Line, begun
from tests.contract.scene import ORGANIZATION, PARTITIONS


@pytest.fixture
async def line(store: Store) -> Line:
    """The same."""
    return await begun(store)


@pytest.mark.parametrize("first", ["answer", "callback"])
async def test_a_call_becomes_active_step_by_step(line: Line, first: str) -> None:
    await line.dialed()
    order = ONGOING if first == "answer" else [CallState.RINGING, CallState.INITIATED, CallState.ANSWERED]
    seen = []
    for state in order:
        line.store.advance(3)
        await line.report(state)
        seen.append((await line.row())["status"])
    assert seen == (
        ["queued", "ringing", "active"] if first == "answer" else ["ringing", "ringing", "active"]
    )
    row = await line.row()
    assert row["started_at"] >= row["created_at"] + 9 * SECOND
    assert await line.statuses() == ["ringing", "active"]
    await scene.consistent(line.store, line.id)


async def test_what_comes_of_the_call_finds_its_conversation(line: Line) -> None:
    await line.dialed()
    await line.report(CallState.ANSWERED)
    accepted = await scene.arrive(line.store, scene.call("hello", SID))
    assert accepted.conversation_id == line.id
    assert accepted.turn_expected


async def test_a_call_that_nobody_answers_is_an_error(store: Store) -> None:
    for state in (CallState.BUSY, CallState.NO_ANSWER, CallState.FAILED, CallState.CANCELED):
        line, sid = await begun(store), f"CA{state}"
        await line.dialed()
        await line.report(CallState.RINGING, sid=sid)
        for _ in range(2):
            standing = await line.report(state, sid=sid)
            assert standing.status is Status.ERROR
        assert (await line.row())["status"] == "error"
        assert await line.transcript() == [f"Call failed: {state}."]
        assert await line.claim() is None
    reasons = {closed["data"]["reason"] for closed in await scene.posted(store, "conversation.closed")}
    assert reasons == {"busy", "no_answer", "failed", "canceled"}


async def test_a_call_that_was_answered_and_is_over_closes(line: Line) -> None:
    await line.dialed()
    await line.report(CallState.ANSWERED)
    line.store.advance(60)
    for _ in range(2):
        await line.report(CallState.COMPLETED)
    row = await line.row()
    assert row["status"] == "closed"
    assert row["ended_at"] - row["started_at"] >= 60 * SECOND
    assert await line.transcript() == ["Call ended."]
    assert (await line.stored())["due_at"] is None


async def test_reports_that_overtake_each_other_come_to_the_same(line: Line) -> None:
    await line.dialed()
    for state in (CallState.COMPLETED, CallState.RINGING, CallState.ANSWERED, CallState.INITIATED):
        await line.report(state)
    assert await line.statuses() == ["ringing", "active", "closed"]
    assert (await line.stored())["state"] == "completed"
    await scene.consistent(line.store, line.id)


async def test_a_word_that_is_not_known_is_kept_and_changes_nothing(line: Line) -> None:
    await line.dialed()
    await line.report(CallState.UNKNOWN, raw="levitating")
    assert (await line.stored())["state"] == "unknown"
    await line.report(CallState.RINGING)
    await line.report(CallState.UNKNOWN, raw="hovering")
    stored = await line.stored()
    assert (stored["state"], stored["raw_state"]) == ("ringing", "hovering")


async def test_nothing_is_told_of_a_call_that_is_over(line: Line) -> None:
    await line.dialed()
    await line.report(CallState.ANSWERED)
    await line.report(CallState.COMPLETED, closes=False)
    assert (await line.row())["status"] == "active"
    await line.store.write(close, ORGANIZATION, line.id, "done", PARTITIONS)
    assert await line.claim() is None


ON_MACHINE = (
    (AnsweredBy.HUMAN, OnMachine.HANG_UP, "active", None),
    (AnsweredBy.UNKNOWN, OnMachine.HANG_UP, "active", None),
    (AnsweredBy.MACHINE, OnMachine.HANG_UP, "closed", Command.HANG_UP),
    (AnsweredBy.FAX, OnMachine.LEAVE_MESSAGE, "closed", Command.HANG_UP),
    (AnsweredBy.MACHINE, OnMachine.LEAVE_MESSAGE, "active", Command.LEAVE_MESSAGE),
    (AnsweredBy.MACHINE, OnMachine.GO_ON, "active", None),
    (AnsweredBy.MACHINE, None, "active", None),
)
"""Who answers, what is configured, what becomes of the conversation, what the provider is told."""


async def test_who_answers_is_noted_and_a_machine_is_dealt_with(store: Store) -> None:
    for place, (who, on_machine, status, command) in enumerate(ON_MACHINE):
        line, sid = await begun(store), f"CA{place}"
        await line.dialed()
        await line.report(CallState.ANSWERED, sid=sid)
        for _ in range(2):
            await line.answered_by(who, on_machine, sid=sid)
        await line.answered_by(AnsweredBy.HUMAN, on_machine, sid=sid)  # the first result counts
        row = await line.row()
        assert (row["status"], json.loads(row["metadata"])) == (
            status,
            {"order": 7, "answered_by": who.value},
        )
        assert await line.transcript() == [f"Answered by: {who}."]
        task = await line.claim()
        assert (task and task.command) == command


async def test_a_recording_is_shown_once(line: Line) -> None:
    await line.dialed()
    await line.report(CallState.ANSWERED)
    await line.report(CallState.COMPLETED)
    recording = Recording(
        provider="twilio", call_id=SID, recording_id="RE1", url="https://api.test/RE1", seconds=3
    )
    assert [await line.store.write(record_call, ORGANIZATION, recording) for _ in range(2)] == [True, False]
    row = await line.row()
    assert (bool(row["has_recording"]), row["recording_url"]) == (True, "https://api.test/RE1")
    assert await line.transcript() == ["Call ended.", "The call was recorded."]


async def test_a_recording_of_an_unknown_call_is_nobodys(line: Line) -> None:
    recording = Recording(provider="twilio", call_id=OTHER, recording_id="RE1", url="https://x", seconds=None)
    assert not await line.store.write(record_call, ORGANIZATION, recording)


async def test_after_its_call_a_conversation_may_wait_with_closing(line: Line) -> None:
    await line.dialed()
    await line.report(CallState.ANSWERED)
    await line.report(CallState.COMPLETED, ring_back_seconds=60)
    line.store.advance(59)
    assert await line.store.write(close_ended_calls, PARTITIONS) == 0
    assert (await line.row())["status"] == "active"
    line.store.advance(2)
    assert await line.store.write(close_ended_calls, PARTITIONS) == 1
    assert (await line.row())["status"] == "closed"
    assert await line.store.write(close_ended_calls, PARTITIONS) == 0


async def test_reports_of_a_call_that_is_gone_are_nobodys(store: Store) -> None:
    gone = Line(store, ORGANIZATION)
    assert not (await gone.report(CallState.ANSWERED)).ours
    await gone.answered_by(AnsweredBy.MACHINE, OnMachine.HANG_UP)
    assert await gone.claim() is None
