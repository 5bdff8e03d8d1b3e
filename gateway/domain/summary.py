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
    """Ascending; of a long one the beginning and the end."""
    counts: Counts


class Summarise(Protocol):
    """Sums conversations up; what is remembered of them is the same text."""

    async def __call__(self, transcript: Transcript) -> str | None:
        """A few sentences; None where there is nothing to tell. Raises Unavailable to be asked again."""
        ...
