"""What is made of a conversation once it is over: its transcript in, a summary out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.domain.conversation import Conversation
from gateway.domain.message import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What a conversation came to."""

    messages: int
    user_messages: int
    agent_messages: int
    operator_messages: int
    turns: int
    failed_turns: int
    handoffs: int
    approvals: int
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Transcript:
    """A conversation that is over, as it is summed up."""

    conversation: Conversation
    messages: Sequence[Message]
    """Ascending; of a long one the beginning and the end. Of what was spoken over: what was heard."""
    counts: Counts
    known: Sequence[str] = ()
    """Facts that are remembered of the person already, also from this conversation."""
    proven: bool = True
    """Somebody has proven to be the person: of nobody else is anything remembered."""
    erased: bool = False
    """The person is no more."""
    stopped: bool = False
    """The agent may not be asked now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What is kept of a conversation."""

    text: str
    facts: Sequence[str] = ()
    """About the person, for later conversations."""
    input_tokens: int = 0
    output_tokens: int = 0


class Summarise(Protocol):
    """Sums conversations up."""

    async def __call__(self, transcript: Transcript) -> Summary | None:
        """None where there is nothing to tell. Raises AgentFailed to be asked again later."""
        ...
