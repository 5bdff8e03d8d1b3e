"""What an agent of this process may do besides what the protocol lets agents say.

None of it travels: an agent behind a URL cannot send these.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from gateway.domain.agent import AgentEvent
from gateway.domain.message import JsonObject


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a turn has come. It is kept, under the fencing number, before the agent goes on.

    A later attempt of the same turn is given it, and so repeats nothing that is in it.
    """

    state: JsonObject


class PolicyPoint(StrEnum):
    """Where a policy looks."""

    INPUT = "input"
    """What the end user wrote."""
    TOOL_CALL = "tool_call"
    REPLY = "reply"


class PolicyAction(StrEnum):
    """What a policy does with what it matches."""

    BLOCK = "block"
    """The turn ends with the safe message."""
    REQUIRE_APPROVAL = "require_approval"
    """A person decides whether the tool is called."""
    REDACT = "redact"
    """What matches is replaced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyApplied:
    """A policy matched; kept with the turn's messages."""

    policy: str
    point: PolicyPoint
    action: PolicyAction
    tool: str | None = None
    safe_message: str = ""
    """Said where the action is `block`."""


@dataclass(frozen=True, slots=True)
class Digest:
    """What is kept of a conversation's beginning, so that later turns need not read it again."""

    up_to: int
    """The seq of the last message in it."""
    text: str


MAX_FACT = 300
"""Characters of a fact."""
MAX_FACTS = 20
"""Facts of one conversation."""


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that later conversations with this person are to know."""

    text: str


def with_facts(known: Sequence[str], new: Sequence[str]) -> list[str]:
    """All facts of a conversation, each once; where they are too many, the newest."""
    return list(dict.fromkeys([*known, *(" ".join(fact.split())[:MAX_FACT] for fact in new)]))[-MAX_FACTS:]


@dataclass(frozen=True, slots=True)
class Embedded:
    """An embedding model has read something for the turn."""

    tokens: int


AgentStep = AgentEvent | Progress | PolicyApplied | Digest | Fact | Embedded
