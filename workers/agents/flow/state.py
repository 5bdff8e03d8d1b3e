"""Where a conversation is in its flow, and what it has kept; committed with each turn."""

import json
from dataclasses import dataclass, field

from gateway.domain.agent import TurnRequest
from gateway.domain.steps import Digest

MAX_VALUE = 2_000
"""Characters of a variable."""
MAX_VARIABLES = 100


@dataclass(slots=True)
class FlowState:
    """Between two turns."""

    at: str | None = None
    """The node that the next input is for; None: the flow begins."""
    variables: dict[str, str] = field(default_factory=dict)

    def keep(self, name: str, value: str) -> None:
        """Set a variable; beyond MAX_VARIABLES only those that are there already."""
        if name in self.variables or len(self.variables) < MAX_VARIABLES:
            self.variables[name] = value[:MAX_VALUE]

    def digest(self, turn: TurnRequest) -> Digest:
        """As it is kept with the conversation."""
        text = json.dumps({"at": self.at, "variables": self.variables}, ensure_ascii=False)
        return Digest(up_to=max(turn.input, default=0), text=text)


def state_of(turn: TurnRequest) -> FlowState:
    """As an earlier turn left it."""
    if turn.digest is None:
        return FlowState()
    kept = json.loads(turn.digest["text"])
    return FlowState(kept["at"], kept["variables"])
