"""Simulations as operators ask for them and read their reports."""

from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field, StrictBool

from gateway.api.schemas import desk_examples
from gateway.api.schemas.common import Request, Shape, Time, Uuid, example, time_of
from gateway.api.schemas.conversations import MAX_SAID
from gateway.domain.clock import rfc3339
from gateway.domain.conversation import Status
from gateway.domain.simulation import (
    MAX_STEPS,
    Expectation,
    Simulation,
    SimulationStatus,
    Step,
    StepStatus,
    differing,
    misses,
)

_Part = Annotated[str, Field(min_length=1, max_length=10_000)]


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


Parts = Annotated[
    list[_Part], BeforeValidator(_listed, json_schema_input_type=list[_Part] | _Part), Field(max_length=50)
]


class ExpectationBody(Request):
    """What a turn is to come to; what is left out may be anything."""

    contains: Parts = Field(
        default_factory=list, description="In the reply, as written; one text or several."
    )
    not_contains: Parts = Field(default_factory=list, description="Not in the reply; one text or several.")
    path: str | None = Field(default=None, max_length=100, examples=["single"])
    session_status: Status | None = None


class StepBody(Request):
    """One turn of a script."""

    user: str = Field(min_length=1, max_length=MAX_SAID)
    expect: ExpectationBody = ExpectationBody()


def _said(value: object) -> object:
    return {"user": value} if isinstance(value, str) else value


_Said = Annotated[str, Field(min_length=1, max_length=MAX_SAID)]
_Step = Annotated[StepBody, BeforeValidator(_said, json_schema_input_type=StepBody | _Said)]
"""A turn of which nothing is expected may be its text alone."""


class SimulationBody(Request):
    """A script to replay against an agent."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "script": [
                    {"user": "Where is my order?", "expect": {"contains": "order", "path": "single"}},
                    {"user": "bye", "expect": {"session_status": "closed"}},
                ]
            }
        }
    )

    script: list[_Step] = Field(
        min_length=1, max_length=MAX_STEPS, description="What the end user says, turn by turn."
    )
    context_variables: dict[str, Any] = Field(default_factory=dict)
    revision_id: str | None = Field(
        default=None, max_length=128, description="A stored revision, such as a draft; else the one in force."
    )
    compare: StrictBool = Field(
        default=False, description="Replay the script against the revision in force, too, and compare."
    )

    @property
    def steps(self) -> list[Step]:
        """The script as it is replayed."""
        return [Step(user=step.user, expect=_expectation(step.expect)) for step in self.script]


def _expectation(body: ExpectationBody) -> Expectation:
    return Expectation(
        contains=tuple(body.contains),
        not_contains=tuple(body.not_contains),
        path=body.path,
        session_status=None if body.session_status is None else body.session_status.value,
    )


class ExpectationShape(Shape):
    """What a turn was to come to."""

    contains: list[str]
    not_contains: list[str]
    path: str | None
    session_status: str | None


class TurnReport(Shape):
    """One turn of a script and what came of it; the same in every replay that went the same way."""

    number: int = Field(description="From 1.")
    user: str
    expect: ExpectationShape
    status: StepStatus
    text: str | None = Field(description="The reply; null while there is none.")
    path: str | None
    session_status: str | None
    error: str | None
    misses: list[str] = Field(description="What was expected and is not so.")


class ComparedTurn(Shape):
    """What the same turn came to in the replay that is compared with."""

    number: int = Field(description="From 1.")
    same: bool = Field(description="Whether text, path, session status and error are the same in both.")
    text: str | None
    path: str | None
    session_status: str | None
    error: str | None


class Comparison(Shape):
    """The replay of the same script against the revision that was in force."""

    simulation_id: Uuid
    revision_id: str
    status: SimulationStatus
    differing: list[int] = Field(description="The turns, by number, that both have played and that differ.")
    turns: list[ComparedTurn]


class SimulationReport(Shape):
    """A replay. `turns` holds no id and no time, so that two reports can be compared line by line."""

    model_config = example(desk_examples.SIMULATION)

    id: Uuid
    conversation_id: Uuid
    agent_id: Uuid
    revision_id: str
    status: SimulationStatus
    started_at: Time
    finished_at: Time | None
    turns: list[TurnReport]
    comparison: Comparison | None = Field(description="null: nothing was to be compared with.")


def simulation_report(simulation: Simulation, baseline: Simulation | None = None) -> SimulationReport:
    """A simulation as it stands, and beside it the one it is compared with."""
    return SimulationReport.model_construct(
        id=simulation.conversation_id,
        conversation_id=simulation.conversation_id,
        agent_id=simulation.agent_id,
        revision_id=simulation.revision_id,
        status=simulation.status,
        started_at=rfc3339(simulation.started_at),
        finished_at=time_of(simulation.finished_at),
        turns=[_turn(simulation, number) for number in range(len(simulation.script))],
        comparison=None if baseline is None else _comparison(simulation, baseline),
    )


def _comparison(simulation: Simulation, baseline: Simulation) -> Comparison:
    return Comparison.model_construct(
        simulation_id=baseline.conversation_id,
        revision_id=baseline.revision_id,
        status=baseline.status,
        differing=[number + 1 for number in differing(simulation, baseline)],
        turns=[
            ComparedTurn.model_construct(
                number=number + 1,
                same=number < len(simulation.results) and simulation.results[number] == result,
                text=result.text,
                path=result.path,
                session_status=result.session_status,
                error=result.error,
            )
            for number, result in enumerate(baseline.results)
        ],
    )


def _turn(simulation: Simulation, number: int) -> TurnReport:
    step = simulation.script[number]
    result = simulation.results[number] if number < len(simulation.results) else None
    return TurnReport.model_construct(
        number=number + 1,
        user=step.user,
        expect=ExpectationShape.model_construct(
            contains=list(step.expect.contains),
            not_contains=list(step.expect.not_contains),
            path=step.expect.path,
            session_status=step.expect.session_status,
        ),
        status=simulation.step_status(number),
        text=result.text if result else None,
        path=result.path if result else None,
        session_status=result.session_status if result else None,
        error=result.error if result else None,
        misses=[] if result is None else misses(step.expect, result),
    )
