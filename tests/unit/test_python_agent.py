"""Agents in Python, the functions of this very module among them."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextvars import ContextVar

import pytest

from gateway.domain.agent import AgentEvent, AgentFailed, Delta, MessageEnd, TurnRequest
from gateway.settings import SettingsError
from tests.turns import turn_of
from workers.agents import own_task
from workers.agents.python import PythonAgent

steps: list[str] = []
hold: asyncio.Event
scope: ContextVar[str] = ContextVar("scope", default="")


@pytest.fixture(autouse=True)
async def _fresh() -> AsyncIterator[None]:
    global hold
    steps.clear()
    hold = asyncio.Event()
    yield
    hold.set()
    if own_task._running:
        await asyncio.wait(set(own_task._running))


async def echo(turn: TurnRequest) -> AsyncIterator[AgentEvent]:
    yield Delta(text=turn.input_text)
    yield MessageEnd()


async def dicts(turn: TurnRequest) -> AsyncIterator[object]:
    yield {"type": "delta", "text": turn.input_text}
    yield {"type": "handoff", "reason": "asked"}


async def stepwise(turn: TurnRequest) -> AsyncIterator[AgentEvent]:
    token = scope.set("mine")
    try:
        for number in range(3):
            steps.append(f"step {number}")
            yield Delta(text=str(number))
    finally:
        await asyncio.sleep(0)
        scope.reset(token)  # raises in another context than that of `set`
        steps.append("closed")


async def stuck(turn: TurnRequest) -> AsyncIterator[AgentEvent]:
    try:
        yield Delta(text="one moment")
        await hold.wait()
    finally:
        steps.append("closed")


async def stubborn(turn: TurnRequest) -> AsyncIterator[AgentEvent]:
    yield Delta(text="one moment")
    while not hold.is_set():
        with contextlib.suppress(asyncio.CancelledError):
            await hold.wait()


async def raises(turn: TurnRequest) -> AsyncIterator[AgentEvent]:
    yield Delta(text="one moment")
    raise ValueError("secret 1234")


async def exits(turn: TurnRequest) -> AsyncIterator[AgentEvent]:
    yield Delta(text="one moment")
    raise SystemExit(3)


async def gives_up(turn: TurnRequest) -> AsyncIterator[AgentEvent]:
    yield Delta(text="one moment")
    raise AgentFailed("no money")


async def cancels_itself(turn: TurnRequest) -> AsyncIterator[AgentEvent]:
    yield Delta(text="one moment")
    raise asyncio.CancelledError


async def is_cancelled_later(turn: TurnRequest) -> AsyncIterator[AgentEvent]:
    me = asyncio.current_task()
    assert me is not None
    asyncio.get_running_loop().call_soon(me.cancel)
    yield Delta(text="one moment")


async def wrong_type(turn: TurnRequest) -> AsyncIterator[object]:
    yield "secret 1234"


async def wrong_field(turn: TurnRequest) -> AsyncIterator[object]:
    yield {"type": "delta", "text": ["secret 1234"]}


async def unknown_event(turn: TurnRequest) -> AsyncIterator[object]:
    yield {"type": "secret 1234"}


def not_async(turn: TurnRequest) -> list[AgentEvent]:
    return []


def agent(name: str) -> PythonAgent:
    return PythonAgent(f"{__name__}:{name}")


def start(name: str) -> AsyncGenerator[AgentEvent, None]:
    stream = agent(name).answer(turn_of("hello"))
    assert isinstance(stream, AsyncGenerator)
    return stream


async def collect(name: str) -> list[AgentEvent]:
    return [event async for event in start(name)]


async def test_events_as_models_or_as_fields() -> None:
    assert await collect("echo") == [Delta(text="hello"), MessageEnd()]
    assert [event.type for event in await collect("dicts")] == ["delta", "handoff"]


async def test_it_goes_no_further_than_it_is_asked() -> None:
    stream = start("stepwise")
    assert await anext(stream) == Delta(text="0")
    for _ in range(5):
        await asyncio.sleep(0)
    assert steps == ["step 0"]
    assert await anext(stream) == Delta(text="1")
    await stream.aclose()
    assert steps == ["step 0", "step 1", "closed"]


async def test_it_may_be_read_from_several_tasks() -> None:
    stream = start("stepwise")
    for _ in range(3):
        await asyncio.create_task(asyncio.wait_for(anext(stream), 60))
    assert await anext(stream, None) is None
    assert steps[-1] == "closed"


async def test_closing_cancels_what_it_waits_for() -> None:
    stream = start("stuck")
    await anext(stream)
    waiting = asyncio.create_task(asyncio.wait_for(anext(stream), 60))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})
    await stream.aclose()
    assert steps == ["closed"]


async def test_a_time_out_ends_it() -> None:
    stream = start("stuck")
    await anext(stream)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await anext(stream)
    await stream.aclose()
    assert steps == ["closed"]


async def test_one_that_ignores_its_cancellation_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_task, "CLOSE_SECONDS", 0.02)
    async with asyncio.timeout(60):
        stream = start("stubborn")
        await anext(stream)
        waiting = asyncio.create_task(asyncio.wait_for(anext(stream), 0.02))
        with pytest.raises(TimeoutError):
            await waiting
    assert len(own_task._running) == 1


@pytest.mark.parametrize("pause", [0, 1, 5])
async def test_what_ends_while_nobody_waits_is_told_the_next_time(pause: int) -> None:
    stream = start("is_cancelled_later")
    assert await anext(stream) == Delta(text="one moment")
    for _ in range(pause):
        await asyncio.sleep(0)
    with pytest.raises(AgentFailed, match="the agent cancelled itself"):
        await asyncio.wait_for(anext(stream), 60)


async def test_closing_before_the_first_event_runs_nothing() -> None:
    stream = start("stepwise")
    await stream.aclose()
    assert steps == []


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("raises", "the agent raised ValueError"),
        ("exits", "the agent raised SystemExit"),
        ("gives_up", "no money"),
        ("cancels_itself", "the agent cancelled itself"),
        ("wrong_type", "an event that is not valid: type (model_attributes_type)"),
        ("wrong_field", "an event that is not valid: delta.text (string_type)"),
        ("unknown_event", "an event that is not valid: type (union_tag_invalid)"),
    ],
)
async def test_whatever_goes_wrong_is_a_failure_of_the_agent(name: str, reason: str) -> None:
    with pytest.raises(AgentFailed) as caught:
        await collect(name)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("no_such_package.agents:answer", "importing no_such_package.agents failed: ModuleNotFoundError"),
        (f"{__name__}:missing", f"{__name__} has no missing"),
        (f"{__name__}:not_async", "must be an async generator function"),
    ],
)
def test_an_unusable_target_is_named_at_the_start(target: str, problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        PythonAgent(target)
    [line] = caught.value.problems
    assert line.startswith(f"{target}: ")
    assert problem in line
