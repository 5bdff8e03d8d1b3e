"""Places at which a test may have a process killed, between two steps of what must happen exactly once."""

from enum import StrEnum


class CrashPoint(StrEnum):
    """`<step>.<moment>`; what is named `before_commit` is undone, and asked for again."""

    APPROVE_BEFORE_COMMIT = "approve.before_commit"
    APPROVE_AFTER_COMMIT = "approve.after_commit"
    HAND_BACK_BEFORE_COMMIT = "hand_back.before_commit"
    HAND_BACK_AFTER_COMMIT = "hand_back.after_commit"
    CLOSE_BEFORE_COMMIT = "close.before_commit"
    CLOSE_AFTER_COMMIT = "close.after_commit"
    BELL_PUBLISHED = "bell.published"
    """A row of the outbox is published, and not yet deleted."""
    TURN_CLAIMED = "turn.claimed"
    TURN_ANSWERED = "turn.answered"
    """The agent has answered, and nothing of it is stored."""
    TURN_COMMITTED = "turn.committed"
    """Its listeners have not been told, its bell is not acknowledged."""
    DELIVERY_CLAIMED = "delivery.claimed"
    DELIVERY_SENT = "delivery.sent"
    """The provider has answered, and that is not stored."""
    CALL_CLAIMED = "call.claimed"
    CALL_DIALED = "call.dialed"
    """The provider has answered, and that is not stored."""
    CLOSING_CLAIMED = "closing.claimed"
    CLOSING_SUMMED_UP = "closing.summed_up"
    """The summary is made, and nothing of it is stored."""
    CLOSING_FINISHED = "closing.finished"
