"""Simulations: replayed by the commits of their own turns, closed at their end, and never live."""

from collections.abc import Sequence
from typing import Any

import pytest

from gateway.domain.errors import ErrorCode, GatewayError
from gateway.domain.ports.store import Store
from gateway.domain.simulation import Expectation, Simulation, SimulationStatus, Step, StepStatus
from gateway.domain.turn import NotNow, Path
from gateway.service.begin import begin_test
from gateway.service.close import close
from gateway.service.retire import retire
from gateway.service.simulate import simulate, simulation
from gateway.service.turn_failure import fail_turn
from tests.contract import scene
from tests.contract.conftest import MovableStore
from tests.contract.scene import (
    ORGANIZATION,
    PARTITIONS,
    ROUTE,
    answer,
    claimed,
    conversation,
    operate,
    refused,
    rows,
    say,
    texts_of,
)


async def begun(store: Store, *script: Step) -> str:
    return (await store.write(simulate, ROUTE, script, {"plan": "gold"})).conversation_id


async def report(store: Store, conversation_id: str) -> Simulation:
    found = await store.read(simulation, ORGANIZATION, conversation_id)
    assert found is not None
    return found


def steps(simulated: Simulation) -> Sequence[StepStatus]:
    return [simulated.step_status(n) for n in range(len(simulated.script))]


async def played(store: Store, conversation_id: str, *texts: str, **more: Any) -> list[str]:
    claim = await claimed(store, conversation_id)
    finished = await answer(store, claim, *texts, **more)
    assert not finished.more
    return texts_of(claim.request)


async def test_a_script_is_played_turn_by_turn(store: MovableStore) -> None:
    conversation_id = await begun(
        store,
        Step(user="one", expect=Expectation(contains=("fine",), path="single")),
        Step(user="two", expect=Expectation(not_contains=("fine",))),
    )
    assert len(await scene.posted(store, "message.inbound")) == 1
    assert await played(store, conversation_id, "fine") == ["one"]
    now = await report(store, conversation_id)
    assert (now.status, steps(now)) == (
        SimulationStatus.RUNNING,
        [StepStatus.PASSED, StepStatus.PENDING],
    )
    assert len(await scene.posted(store, "message.inbound")) == 2
    assert await played(store, conversation_id, "fine too") == ["two"]
    now = await report(store, conversation_id)
    assert (now.status, steps(now)) == (SimulationStatus.FAILED, [StepStatus.PASSED, StepStatus.FAILED])
    assert (now.script[0].expect.contains, now.results[1].text) == (("fine",), "fine too")
    row = await conversation(store, conversation_id)
    assert (row["status"], row["message_count"]) == ("closed", 4)
    assert await rows(store, "test_closings") == []
    assert await rows(store, "test_end_users") == []
    await scene.consistent(store, conversation_id)


async def test_a_killed_worker_plays_no_turn_twice(store: MovableStore) -> None:
    conversation_id = await begun(store, Step(user="one"), Step(user="two"))
    killed = await claimed(store, conversation_id)
    store.advance(scene.LIFETIME + 1)
    again = await claimed(store, conversation_id)
    assert (again.turn_id, again.attempt) == (killed.turn_id, 2)
    await answer(store, again)
    assert await played(store, conversation_id) == ["two"]
    assert (await report(store, conversation_id)).status is SimulationStatus.PASSED
    assert await refused(store, conversation_id) is NotNow.ANSWERED


@pytest.mark.parametrize(
    ("path", "status", "more"),
    [
        (Path.HANDOFF, "waiting_for_human", {}),
        (Path.APPROVAL, "awaiting_approval", {"approval": scene.APPROVAL}),
        (Path.CLOSED_BY_AGENT, "closed", {}),
    ],
)
async def test_where_a_conversation_cannot_go_on_the_rest_is_skipped(
    store: MovableStore, path: Path, status: str, more: dict[str, Any]
) -> None:
    conversation_id = await begun(
        store, Step(user="one", expect=Expectation(path=path, session_status=status)), Step(user="two")
    )
    await played(store, conversation_id, path=path, **more)
    now = await report(store, conversation_id)
    assert (now.status, steps(now)) == (SimulationStatus.FAILED, [StepStatus.PASSED, StepStatus.SKIPPED])
    assert (await conversation(store, conversation_id))["status"] == "closed"
    open_ones = [
        r["status"]
        for query in ("test_handoffs", "test_approvals")
        for r in await rows(store, query, id=conversation_id)
    ]
    assert set(open_ones) <= {"cancelled"}
    assert len(await rows(store, "test_conversations")) == 1
    await scene.consistent(store, conversation_id)


async def test_a_failed_turn_is_reported_and_the_next_one_played(store: MovableStore) -> None:
    conversation_id = await begun(store, Step(user="one"), Step(user="two"))
    claim = await claimed(store, conversation_id)
    await store.write(fail_turn, claim, ErrorCode.AGENT_FAILED, "no", PARTITIONS)
    assert await played(store, conversation_id) == ["two"]
    now = await report(store, conversation_id)
    assert (steps(now), now.results[0].error) == ([StepStatus.FAILED, StepStatus.PASSED], "agent_failed")


async def test_nobody_else_speaks_in_a_simulation(store: MovableStore) -> None:
    conversation_id = await begun(store, Step(user="one"))
    for _ in range(2):
        with pytest.raises(GatewayError) as said:
            await say(store, conversation_id)
        with pytest.raises(GatewayError) as taken:
            await operate(store, conversation_id, take_over=True)
        assert said.value.code is taken.value.code is ErrorCode.SIMULATION_READ_ONLY
        if (await conversation(store, conversation_id))["status"] == "active":
            await played(store, conversation_id)


async def test_closing_a_simulation_ends_it(store: MovableStore) -> None:
    conversation_id = await begun(store, Step(user="one"), Step(user="two"))
    await store.write(close, ORGANIZATION, conversation_id, None, PARTITIONS)
    now = await report(store, conversation_id)
    assert (now.status, steps(now)) == (SimulationStatus.FAILED, [StepStatus.SKIPPED, StepStatus.SKIPPED])


async def test_a_report_goes_with_its_conversation(store: MovableStore) -> None:
    conversation_id = await begun(store, Step(user="one"))
    await played(store, conversation_id)
    store.advance(31 * 24 * 3600)
    while await store.write(retire):
        pass
    assert await store.read(simulation, ORGANIZATION, conversation_id) is None


async def test_a_test_conversation_writes_nobody_down(store: MovableStore) -> None:
    made = await store.write(begin_test, ROUTE, context_variables={}, metadata={})
    await say(store, made.id)
    await answer(store, await claimed(store, made.id))
    assert await rows(store, "test_end_users") == []
