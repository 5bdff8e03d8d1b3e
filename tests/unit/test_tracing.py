"""Which trace work belongs to, and what is recorded of it."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pytest

from gateway import tracing
from gateway.tracing import (
    Kind,
    Value,
    continued,
    new_traceparent,
    note,
    parse_traceparent,
    span,
    traceparent,
)


@dataclass
class Kept:
    """A span in memory."""

    name: str
    parent: str | None
    known: dict[str, Value]
    traceparent: str = field(default_factory=new_traceparent)
    ended: bool = False
    error: str | None = None

    def note(self, attributes: Mapping[str, Value]) -> None:
        """Add."""
        self.known.update(attributes)

    def end(self, error: str | None) -> None:
        """Over."""
        self.ended, self.error = True, error


class Memory:
    """Keeps spans."""

    def __init__(self) -> None:
        self.spans: list[Kept] = []

    def begin(self, name: str, kind: Kind, parent: str | None, attributes: Mapping[str, Value]) -> Kept:
        """One more."""
        self.spans.append(Kept(name, parent, dict(attributes)))
        return self.spans[-1]


@pytest.fixture
def memory() -> Iterator[Memory]:
    """Spans are recorded."""
    kept = Memory()
    tracing.record(kept)
    yield kept
    tracing.stop_recording()


def test_a_valid_header_is_continued_and_what_was_before_comes_back() -> None:
    outer, inner = new_traceparent(), new_traceparent()
    with continued(outer):
        with continued(inner):
            assert traceparent() == inner
        assert traceparent() == outer
    assert traceparent() not in (outer, inner)


@pytest.mark.parametrize("header", [None, "", "00-nonsense", 7])
def test_else_a_trace_begins_that_all_of_the_work_shares(header: object) -> None:
    with continued(new_traceparent()), continued(header):
        first = traceparent()
        assert parse_traceparent(first) == first
        assert traceparent() == first
    with continued(header):
        assert traceparent() != first


def test_outside_of_any_trace_each_begins_one() -> None:
    assert traceparent() != traceparent()


async def test_tasks_keep_their_trace_and_do_not_see_each_other() -> None:
    async def work(header: str) -> str:
        with continued(header):
            await asyncio.sleep(0)
            return await asyncio.create_task(caused())

    async def caused() -> str:
        await asyncio.sleep(0)
        return traceparent()

    headers = [new_traceparent() for _ in range(20)]
    assert await asyncio.gather(*map(work, headers)) == headers


def test_unrecorded_spans_leave_the_trace_as_it_is() -> None:
    header = new_traceparent()
    with continued(header), span("turn", Kind.CONSUMER, turn_id="1"):
        note(path="single")
        assert traceparent() == header
    assert not tracing.is_recording()


def test_a_span_is_the_parent_of_what_it_causes(memory: Memory) -> None:
    header = new_traceparent()
    with continued(header):
        with span("turn", turn_id="1"):
            with span("agent"):
                note(deltas=2)
            note(path="single")
            told = traceparent()
        assert traceparent() == header
    turn, agent = memory.spans
    assert (turn.parent, agent.parent, told) == (header, turn.traceparent, turn.traceparent)
    assert (turn.known, agent.known) == ({"turn_id": "1", "path": "single"}, {"deltas": 2})
    assert turn.ended
    assert agent.ended


def test_recorded_the_first_span_begins_the_trace(memory: Memory) -> None:
    with continued(None), span("accept"):
        pass
    assert memory.spans[0].parent is None


def test_of_a_failure_only_its_kind_is_recorded(memory: Memory) -> None:
    with pytest.raises(ValueError, match="secret"), span("agent"):
        raise ValueError("a secret")
    assert memory.spans[0].error == "ValueError"
    assert "secret" not in repr(memory.spans[0])


def test_a_span_that_outlives_the_recorder_ends(memory: Memory) -> None:
    with span("turn"):
        tracing.stop_recording()
        note(path="single")
    assert memory.spans[0].ended
    with span("turn"):
        pass
    assert len(memory.spans) == 1


def test_nobody_imports_the_sdk_who_does_not_export() -> None:
    heavy = "[m for m in sys.modules if m.startswith(('opentelemetry.sdk', 'opentelemetry.exporter'))]"
    code = f"import sys, gateway.cli, gateway.app; print({heavy})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
