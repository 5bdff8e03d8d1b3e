"""The revisions of agents: stored before anything is pinned to them, and kept as long as something is."""

from collections.abc import Iterable

from gateway.domain.ids import named_id
from gateway.domain.ports.store import Param, Row, Tx
from gateway.domain.revision import Revision
from gateway.domain.usage import DAY
from gateway.service.browse import Page, Position, newest_page
from gateway.settings import AgentConfig

KEPT = 90 * DAY
"""How long a revision is kept that is not in force any more; µs."""
RETIRED_AT_ONCE = 100


async def activate_revisions(tx: Tx, organization_id: str, agents: Iterable[AgentConfig]) -> None:
    """Store the revisions that are in force from now on; again notes that they still are."""
    await tx.many("revision_activate", [_row(organization_id, agent) for agent in agents])


async def draft_revisions(tx: Tx, organization_id: str, agents: Iterable[AgentConfig]) -> None:
    """Store revisions to be tried; those that are known already stay as they are."""
    await tx.many("revision_draft", [_row(organization_id, agent) for agent in agents])


async def retire_revisions(tx: Tx) -> int:
    """Delete some of those that have not been in force for long, and that no open conversation is pinned to.

    Drafts count from when they were stored last. How many were deleted.
    """
    return await tx.run("revisions_retire", age=KEPT, limit=RETIRED_AT_ONCE)


async def revision(tx: Tx, organization_id: str, agent_id: str, revision_id: str) -> Revision | None:
    """One revision; None where the agent has no such one."""
    row = await tx.one("revision_by_id", id=named_id(agent_id, revision_id), organization_id=organization_id)
    return None if row is None else _revision(row)


async def revisions_page(
    tx: Tx, organization_id: str, agent_id: str, after: Position | None, limit: int
) -> Page[Revision]:
    """The revisions of an agent, newest first."""
    chosen = {"organization_id": organization_id, "agent_id": agent_id}
    return await newest_page(tx, "revisions_page", _revision, after, limit, **chosen)


def _row(organization_id: str, agent: AgentConfig) -> dict[str, Param]:
    return {
        "id": named_id(agent.id, agent.revision_id),
        "organization_id": organization_id,
        "agent_id": agent.id,
        "revision_id": agent.revision_id,
        "settings": agent.settings,
    }


def _revision(row: Row) -> Revision:
    return Revision(
        id=row["id"],
        organization_id=row["organization_id"],
        agent_id=row["agent_id"],
        revision_id=row["revision_id"],
        settings=row["settings"],
        created_at=row["created_at"],
        activated_at=row["activated_at"],
    )
