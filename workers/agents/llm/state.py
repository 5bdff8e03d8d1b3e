"""How far a turn has come: what the model said, what its tools answered, what people decided.

It is kept with the turn after each step, so that another attempt, or the decision on a tool call, goes on
from there: no request to the model and no call of a tool is made twice for what is in it.
"""

import re
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ToolCallPart,
    ToolReturnPart,
)
from pydantic_core import to_json

from gateway.domain.agent import AgentFailed, ApprovalDecision, TurnRequest
from gateway.domain.message import JsonObject

MAX_STATE = 4_194_304
"""Bytes of a turn's state as JSON."""

_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


@dataclass(frozen=True, slots=True)
class Result:
    """What a call of a tool came to."""

    output: Any = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Parked:
    """Where a turn stopped for a decision: what is on stored messages already, and need not be said again."""

    call_id: str
    responses: int
    """Messages of the turn so far whose text was said."""
    told: tuple[str, ...]
    """Calls whose results were told."""


@dataclass(slots=True)
class TurnState:
    """One turn's state."""

    messages: list[ModelMessage] = field(default_factory=list)
    """What followed on the conversation so far."""
    results: dict[str, Result] = field(default_factory=dict)
    """Of the calls of the newest response, until the model has been given them; and of all before."""
    decisions: dict[str, ApprovalDecision] = field(default_factory=dict)
    parked: list[Parked] = field(default_factory=list)

    def dump(self) -> JsonObject:
        """As JSON; AgentFailed where it is too large, or nothing a database keeps."""
        written = to_json(_ADAPTER.dump_python(self, mode="json"))
        if len(written) > MAX_STATE:
            raise AgentFailed(f"a turn of more than {MAX_STATE} bytes")
        if _NUL.search(written):
            raise AgentFailed("the model or a tool wrote a NUL character")
        return _ADAPTER.dump_python(self, mode="json")  # type: ignore[no-any-return]

    def open_calls(self) -> list[ToolCallPart]:
        """The calls of the newest response that the model has been told nothing of."""
        answered: set[str] = set()
        for message in reversed(self.messages):
            if isinstance(message, ModelResponse):
                calls = [part for part in message.parts if isinstance(part, ToolCallPart)]
                return [call for call in calls if call.tool_call_id not in answered]
            if isinstance(message, ModelRequest):
                answered |= {part.tool_call_id for part in message.parts if isinstance(part, ToolReturnPart)}
        return []

    def said(self, decided: ApprovalDecision | None) -> Parked:
        """What of this turn is on stored messages already: all until it was parked for this decision."""
        if decided is not None:
            for parked in reversed(self.parked):
                if parked.call_id == decided.tool_call_id:
                    return parked
        return Parked("", 0, ())


_ADAPTER = TypeAdapter(TurnState)


def state_of(turn: TurnRequest) -> TurnState:
    """The state an earlier attempt left, with the newest decision; empty for a turn that begins."""
    state = _ADAPTER.validate_python(turn.state) if turn.state else TurnState()
    if turn.approval is not None:
        state.decisions[turn.approval.tool_call_id] = turn.approval
    return state
