"""Simulations: a script of user turns, what is expected of each, and what came of it."""

from dataclasses import dataclass
from enum import StrEnum

MAX_STEPS = 200
"""Turns of one script."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What a turn is to come to; what is left out may be anything. Texts are compared as they are written."""

    contains: tuple[str, ...] = ()
    not_contains: tuple[str, ...] = ()
    path: str | None = None
    session_status: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One turn of a script."""

    user: str
    expect: Expectation = Expectation()


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a turn came to."""

    text: str
    path: str | None
    session_status: str
    error: str | None = None


class StepStatus(StrEnum):
    """How a turn of a script stands."""

    PENDING = "pending"
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    """The conversation could not go on before it was its turn."""


class SimulationStatus(StrEnum):
    """How a simulation stands."""

    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """A script and what came of it so far. Times in µs."""

    conversation_id: str
    agent_id: str
    revision_id: str
    script: tuple[Step, ...]
    results: tuple[Result, ...]
    started_at: int
    finished_at: int | None
    baseline_id: str | None = None
    """The replay of the same script that it is compared with."""

    def step_status(self, number: int) -> StepStatus:
        """How the step with this index stands."""
        if number < len(self.results):
            missed = misses(self.script[number].expect, self.results[number])
            return StepStatus.FAILED if missed else StepStatus.PASSED
        return StepStatus.PENDING if self.finished_at is None else StepStatus.SKIPPED

    @property
    def status(self) -> SimulationStatus:
        """Passed only if every turn was played and came to what was expected."""
        if self.finished_at is None:
            return SimulationStatus.RUNNING
        steps = {self.step_status(number) for number in range(len(self.script))}
        return SimulationStatus.PASSED if steps <= {StepStatus.PASSED} else SimulationStatus.FAILED


def misses(expect: Expectation, result: Result) -> list[str]:
    """What of an expectation was not met, a sentence each; a failed turn never meets one."""
    missed = [f"the turn failed: {result.error}"] if result.error is not None else []
    missed += [f"the reply does not contain {text!r}" for text in expect.contains if text not in result.text]
    missed += [f"the reply contains {text!r}" for text in expect.not_contains if text in result.text]
    if expect.path is not None and expect.path != result.path:
        missed.append(f"the path is {result.path}, not {expect.path}")
    if expect.session_status is not None and expect.session_status != result.session_status:
        missed.append(f"the session is {result.session_status}, not {expect.session_status}")
    return missed


def differing(simulation: Simulation, baseline: Simulation) -> list[int]:
    """The indices of the turns that came to something else in the other replay of the same script.

    A turn that only one of the two came to differs once both are over.
    """
    both_over = simulation.finished_at is not None and baseline.finished_at is not None
    played = [len(simulation.results), len(baseline.results)]
    differ = [n for n in range(min(played)) if simulation.results[n] != baseline.results[n]]
    return differ + (list(range(min(played), max(played))) if both_over else [])
