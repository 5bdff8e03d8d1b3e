"""Handoffs and approvals: control passes to an operator, or waits for a decision."""

from dataclasses import dataclass
from enum import StrEnum

from gateway.domain.message import JsonObject


class HandoffStatus(StrEnum):
    """`assigned`: an operator claimed it; `accepted`: the operator has written."""

    REQUESTED = "requested"
    ASSIGNED = "assigned"
    ACCEPTED = "accepted"
    RESOLVED = "resolved"
    CANCELLED = "cancelled"

    @property
    def open(self) -> bool:
        """Whether a person still has, or is to get, the conversation."""
        return self in (HandoffStatus.REQUESTED, HandoffStatus.ASSIGNED, HandoffStatus.ACCEPTED)


class HandoffSource(StrEnum):
    """Who asked for the person."""

    WORKFLOW_TERMINAL = "workflow_terminal"
    ROUTER = "router"
    POLICY = "policy"
    OPERATOR = "operator"


class ApprovalStatus(StrEnum):
    """What became of a hold."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Handoff:
    """One time a conversation went to a person."""

    id: str
    organization_id: str
    conversation_id: str
    turn_id: str | None
    reason: str
    static_text: str | None
    status: HandoffStatus
    assignee: str | None
    source: HandoffSource
    packet: JsonObject
    created_at: int
    resolved_at: int | None
