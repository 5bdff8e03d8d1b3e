"""Calls that we begin: wanted, dialled once, held up, and hung up."""

import json
from dataclasses import replace

import pytest

from gateway.domain.clock import SECOND
from gateway.domain.conversation import Status
from gateway.domain.errors import ErrorCode, GatewayError
from gateway.domain.message import Channel
from gateway.domain.outgoing_call import (
    DIALED_AT_MOST,
    LOOK_EVERY,
    CallState,
    Command,
    OutgoingCall,
)
from gateway.service.begin_call import begin_call
from gateway.service.brake import pause, resume
from gateway.service.call_progress import bound_calls
from gateway.service.close import close
from gateway.service.dial import Task, dial_again, fail_call, find_again, told
from gateway.service.due import due_calls
from gateway.service.suppress import suppress
from tests.contract import scene
from tests.contract.conftest import MovableStore as Store
from tests.contract.outgoing_line import OTHER, SID, Line, begun, new, night_at
from tests.contract.scene import ORGANIZATION, OURS, PARTITIONS, ROUTE, THEIRS


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
    assert await line.store.read(bound_calls, ORGANIZATION, [SID, OTHER, "another"]) == {SID, OTHER}


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
