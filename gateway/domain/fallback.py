"""What an end user gets when they get no answer: the agent failed, was refused, or no person came in time."""

from dataclasses import dataclass
from enum import StrEnum

SAFE_MESSAGE = "I can't do that, but a colleague will follow up."
"""Said where a policy, or a person, refused and no other text is configured."""


class HandoffTimeoutAction(StrEnum):
    """What becomes of a conversation that nobody took over in time."""

    RETURN = "return"
    """The agent has it again, and answers what waited."""
    CLOSE = "close"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallbacks:
    """As configured for a conversation; what is None does not happen."""

    failure_text: str | None = None
    """Said once where a turn was given up."""
    apology: str | None = None
    """Said at once to a caller who waits on the line, instead of trying again in silence."""
    hold: str | None = None
    """Said to a caller at a voice host who waits for a person: nothing else tells them."""
    handoff_timeout: int | None = None
    """How long a handoff may wait for somebody to take it, µs."""
    handoff_timeout_action: HandoffTimeoutAction = HandoffTimeoutAction.RETURN
    handoff_timeout_text: str | None = None
    """Said once where nobody took it."""


NO_FALLBACKS = Fallbacks()
