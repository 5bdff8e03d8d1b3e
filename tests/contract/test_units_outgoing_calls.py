"""Calls that we begin: dialled once, reported in any order, ended once."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from gateway.domain.call_rules import CallRules, OnMachine
from gateway.domain.clock import SECOND
from gateway.domain.conversation import Status
from gateway.domain.errors import ErrorCode, GatewayError
from gateway.domain.message import Channel
from gateway.domain.outgoing_call import (
    DIALED_AT_MOST,
    LOOK_EVERY,
    AnsweredBy,
    AnsweredReport,
    CallReport,
    CallState,
    Command,
    OutgoingCall,
    Recording,
    Standing,
)
from gateway.domain.ports.store import Row
from gateway.domain.quiet import QuietHours
from gateway.service.begin_call import NewOutgoingCall, begin_call
from gateway.service.brake import pause, resume
from gateway.service.call_over import close_ended_calls
from gateway.service.call_progress import bound_calls, note_answered_by, report_call
from gateway.service.close import close
from gateway.service.dial import CallTask, Task, claim_call, dial_again, fail_call, find_again, told
from gateway.service.due import due_calls
from gateway.service.recordings import record_call
from gateway.service.suppress import suppress
from tests.contract import scene
from tests.contract.conftest import MovableStore as Store
from tests.contract.scene import ORGANIZATION, OURS, PARTITIONS, ROUTE, THEIRS

SID, OTHER = "CA" + "1" * 32, "CA" + "2" * 32
ONGOING = [CallState.INITIATED, CallState.RINGING, CallState.ANSWERED]


def night_at(at: int) -> QuietHours:
    """The hours in which it is quiet where THEIRS is, as at this moment (µs)."""
    hour = datetime.fromtimestamp(at / SECOND, ZoneInfo("America/Los_Angeles")).hour
    return QuietHours(time(hour), time((hour + 3) % 24))


def never(_number: str) -> QuietHours | None:
    return None


def rules(**given: Any) -> Callable[[str], CallRules]:
    """The same for every number."""
    return lambda _number: CallRules(**given)


def new(**changed: Any) -> NewOutgoingCall:
    """A wish to call somebody."""
    wanted: dict[str, Any] = {
        "end_user_id": None,
        "their_address": THEIRS,
        "our_address": OURS,
        "first_message": None,
        "metadata": {"order": 7},
        "context_variables": {"name": "Ada"},
    }
    return NewOutgoingCall(**{**wanted, **changed})


class Line:
    """One call that we begin, as its worker and its provider see it."""

    def __init__(self, store: Store, conversation_id: str) -> None:
        self.store = store
        self.id = conversation_id

    async def claim(self, quiet: Callable[[str], QuietHours | None] = never) -> CallTask | None:
        """What is to be done."""
        return await self.store.write(claim_call, ORGANIZATION, self.id, quiet, PARTITIONS)

    async def dialed(self) -> OutgoingCall:
        """An attempt, claimed."""
        task = await self.claim()
        assert task is not None
        assert task.task is Task.DIAL
        return task.call

    async def report(self, state: CallState, *, sid: str = SID, raw: str = "", **given: Any) -> Standing:
        """Its provider says how far it is."""
        report = CallReport(
            provider="twilio", call_id=sid, conversation_id=self.id, state=state, raw=raw or state.value
        )
        return await self.store.write(report_call, ORGANIZATION, report, rules(**given), PARTITIONS)

    async def answered_by(self, who: AnsweredBy, on_machine: OnMachine | None, *, sid: str = SID) -> None:
        """Machine detection has a result."""
        report = AnsweredReport(call_id=sid, conversation_id=self.id, who=who, raw=f"{who}_raw")
        await self.store.write(
            note_answered_by, ORGANIZATION, report, rules(on_machine=on_machine), PARTITIONS
        )

    async def row(self) -> Row:
        """Its conversation."""
        return await scene.conversation(self.store, self.id)

    async def stored(self) -> Row:
        """Its own row."""
        (row,) = await scene.rows(self.store, "test_outgoing_call", id=self.id)
        return row

    async def statuses(self) -> list[str]:
        """What its timeline has of statuses."""
        timeline = await scene.rows(self.store, "test_timeline", id=self.id)
        return [json.loads(e["body"])["session_status"] for e in timeline if e["kind"] == "status"]

    async def transcript(self) -> list[str]:
        """What its transcript has."""
        return [m["content"] for m in await scene.rows(self.store, "test_messages", id=self.id)]


async def begun(store: Store) -> Line:
    """A call that nobody has been asked to dial yet."""
    return Line(store, (await store.write(begin_call, new(), ROUTE)).id)


@pytest.fixture
async def line(store: Store) -> Line:
    """The same."""
    return await begun(store)


async def test_a_call_is_wanted(line: Line) -> None:
    row = await line.row()
    assert (row["status"], row["channel"], row["origin"]) == ("queued", "voice", "outbound")
    assert (row["our_address"], row["their_address"]) == (OURS, THEIRS)
    assert json.loads(row["metadata"]) == {"order": 7}
    assert json.loads(row["context_variables"]) == {"name": "Ada"}
    (bell,) = await scene.posted(line.store, "call.due")
    assert bell["conversation_id"] == line.id


async def test_an_end_user_is_called_at_their_number(store: Store) -> None:
    person = (await scene.arrive(store)).end_user_id
    wish = new(end_user_id=person, their_address=None)
    begun = await store.write(begin_call, wish, ROUTE)
    assert (begun.their_address, begun.end_user_id) == (THEIRS, person)


async def test_whoever_has_no_number_is_not_called(store: Store) -> None:
    conversation = await scene.conversation(store, await scene.api_conversation(store))
    for person, code in (
        (conversation["end_user_id"], ErrorCode.NO_ADDRESS),
        (ORGANIZATION, ErrorCode.END_USER_NOT_FOUND),
    ):
        with pytest.raises(GatewayError) as refused:
            await store.write(begin_call, new(end_user_id=str(person), their_address=None), ROUTE)
        assert refused.value.code is code


async def test_whoever_wants_no_calls_gets_none(store: Store) -> None:
    await store.write(suppress, ORGANIZATION, Channel.VOICE, (OURS, THEIRS), "operator")
    with pytest.raises(GatewayError) as refused:
        await store.write(begin_call, new(), ROUTE)
    assert refused.value.code is ErrorCode.SUPPRESSED


async def test_who_takes_consent_back_while_a_call_waits_is_not_called(line: Line) -> None:
    await line.store.write(suppress, ORGANIZATION, Channel.VOICE, (OURS, THEIRS), "operator")
    assert await line.claim() is None
    assert (await line.row())["status"] == "error"
    assert await line.transcript() == ["Call failed: suppressed."]


async def test_one_worker_dials_and_the_others_wait(line: Line) -> None:
    call = await line.dialed()
    assert (call.attempt, call.ours, call.theirs) == (1, OURS, THEIRS)
    assert await line.claim() is None
    line.store.advance(LOOK_EVERY - 1)
    assert await line.claim() is None
    line.store.advance(2)
    task = await line.claim()
    assert task is not None
    assert (task.task, task.call.attempt) == (Task.FIND, 1)
    assert await line.claim() is None  # whoever looks, looks alone


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


async def test_an_attempt_that_left_no_trace_is_made_again_and_then_given_up(line: Line) -> None:
    for attempt in range(1, DIALED_AT_MOST + 1):
        call = await line.dialed()
        assert call.attempt == attempt
        line.store.advance(LOOK_EVERY)
        assert await line.claim() is not None
        await line.store.write(find_again, call, PARTITIONS)
    assert (await line.row())["status"] == "error"
    assert await line.transcript() == ["Call failed: not_taken."]


async def test_a_call_that_turned_out_to_be_taken_is_not_dialled_again(line: Line) -> None:
    call = await line.dialed()
    await line.report(CallState.INITIATED)
    await line.store.write(find_again, call, PARTITIONS)
    await line.store.write(fail_call, call, "21211", PARTITIONS)
    assert (await line.stored())["state"] == "initiated"
    assert (await line.row())["status"] == "queued"


async def test_who_looked_for_an_older_attempt_starts_no_second_one(line: Line) -> None:
    first = await line.dialed()
    await line.store.write(find_again, first, PARTITIONS)
    second = await line.dialed()
    assert second.attempt == 2
    await line.store.write(find_again, first, PARTITIONS)
    assert (await line.stored())["state"] == "dialing"


async def test_the_second_of_two_calls_is_not_ours(line: Line) -> None:
    await line.dialed()
    assert (await line.report(CallState.RINGING)).ours
    standing = await line.report(CallState.ANSWERED, sid=OTHER)
    assert not standing.ours
    assert (await line.row())["status"] == "ringing"
    assert await line.store.read(bound_calls, [SID, OTHER]) == {SID}


async def test_a_call_that_is_refused_for_now_is_made_later(line: Line) -> None:
    call = await line.dialed()

    async def refused(call: OutgoingCall) -> None:
        await line.store.write(
            dial_again, call, delay_seconds=5, reason="20429", at_most=2, partitions=PARTITIONS
        )

    await refused(call)
    assert await line.claim() is None
    line.store.advance(5)
    await refused(await line.dialed())
    assert await line.transcript() == ["Call failed: 20429."]


async def test_a_call_that_is_refused_for_good_or_waited_too_long_is_an_error(store: Store) -> None:
    refused = await begun(store)
    await store.write(fail_call, await refused.dialed(), "21211", PARTITIONS)
    assert (await refused.row())["status"] == "error"
    assert await refused.transcript() == ["Call failed: 21211."]
    late = await begun(store)
    store.advance(13 * 3600)
    assert await late.claim() is None
    assert await late.transcript() == ["Call failed: expired."]


async def test_a_pause_holds_calls_up(line: Line) -> None:
    await line.store.write(pause, ORGANIZATION, ROUTE.agent_id, by="me", reason=None)
    assert await line.claim() is None
    line.store.advance(60)
    assert await line.store.write(due_calls, 5 * SECOND) == 0
    await line.store.write(resume, ROUTE.agent_id, PARTITIONS)
    assert await line.store.write(due_calls, 5 * SECOND) == 1
    assert await line.store.write(due_calls, 5 * SECOND) == 0
    await line.dialed()


async def test_nobody_is_called_while_it_is_quiet_where_they_are(line: Line) -> None:
    row = await line.row()
    night = night_at(row["created_at"])
    assert await line.claim(lambda _number: night) is None
    due = (await line.stored())["due_at"]
    assert due > row["created_at"]
    assert (await line.row())["ttl_expires_at"] == due + ROUTE.idle_ttl
    assert await line.claim() is None
    line.store.advance((due - row["created_at"]) / SECOND)
    await line.dialed()


async def test_a_call_that_is_wanted_at_night_waits_for_the_morning(store: Store) -> None:
    now = (await scene.conversation(store, await scene.api_conversation(store)))["created_at"]
    held = await store.write(begin_call, new(), replace(ROUTE, quiet=night_at(now)))
    assert await scene.posted(store, "call.due") == []
    (stored,) = await scene.rows(store, "test_outgoing_call", id=held.id)
    assert held.status is Status.QUEUED
    assert held.ttl_expires_at == stored["due_at"] + ROUTE.idle_ttl


async def test_a_call_that_is_closed_before_it_is_dialled_never_is(line: Line) -> None:
    await line.store.write(close, ORGANIZATION, line.id, "changed my mind", PARTITIONS)
    assert await line.claim() is None
    assert (await line.stored())["state"] == "canceled"


async def test_a_call_that_is_closed_while_it_rings_is_hung_up(line: Line) -> None:
    await line.dialed()
    await line.report(CallState.RINGING)
    await line.store.write(close, ORGANIZATION, line.id, "changed my mind", PARTITIONS)
    task = await line.claim()
    assert task is not None
    assert (task.task, task.command, task.call.call_id) == (Task.TELL, Command.HANG_UP, SID)
    await line.store.write(told, task.call, Command.HANG_UP)
    assert await line.claim() is None
    line.store.advance(3 * LOOK_EVERY)
    task = await line.claim()
    assert task is not None
    assert task.task is Task.LOOK
    await line.report(CallState.CANCELED)
    assert (await line.row())["status"] == "closed"


async def test_a_call_that_is_closed_while_it_is_dialled_is_hung_up(line: Line) -> None:
    await line.dialed()
    await line.store.write(close, ORGANIZATION, line.id, "changed my mind", PARTITIONS)
    standing = await line.report(CallState.INITIATED)
    assert standing.status is Status.CLOSED
    task = await line.claim()
    assert task is not None
    assert task.command is Command.HANG_UP


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
