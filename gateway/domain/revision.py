"""Revisions: what an agent was made of when a conversation began."""

from dataclasses import dataclass
from enum import StrEnum


class RevisionStatus(StrEnum):
    """How a revision stands."""

    ACTIVE = "active"
    """In force: what begins now is pinned to it."""
    RETIRED = "retired"
    """It was in force, and answers what was begun with it."""
    DRAFT = "draft"
    """It was never in force; simulations may be run against it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """A stored revision. Times in µs."""

    id: str
    """Follows from the agent and the revision."""
    organization_id: str
    agent_id: str
    revision_id: str
    """The hash of its settings."""
    settings: str
    """JSON; everything, defaults included."""
    created_at: int
    activated_at: int | None
    """When it came into force first; None: never."""

    def status(self, active_revision_id: str | None) -> RevisionStatus:
        """How it stands where another, or this, is in force."""
        if self.revision_id == active_revision_id:
            return RevisionStatus.ACTIVE
        return RevisionStatus.DRAFT if self.activated_at is None else RevisionStatus.RETIRED
