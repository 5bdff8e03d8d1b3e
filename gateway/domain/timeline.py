"""The timeline of a conversation: what a reader of its events sees, numbered without gaps."""

from enum import StrEnum


class EventKind(StrEnum):
    """What a timeline entry is about; also the name of its event."""

    MESSAGE = "message"
    STATUS = "status"
    HANDOFF = "handoff"
    APPROVAL = "approval"
    INTENT = "intent"
