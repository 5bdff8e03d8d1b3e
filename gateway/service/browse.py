"""Lists, page by page: conversations, handoffs and approvals, each after a position that stays valid."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from gateway.domain.conversation import Conversation, Priority, SessionType, Status
from gateway.domain.handoff import ApprovalStatus, Handoff, HandoffStatus
from gateway.domain.message import Channel
from gateway.domain.ports import Row, Tx
from gateway.store.records import conversation_of, handoff_of

T = TypeVar("T")

LATEST = 2**63 - 1
"""Later than every stored time, µs."""
_LAST_ID = "ffffffff-ffff-ffff-ffff-ffffffffffff"
_FIRST_ID = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page ends: a row's time (µs) and id."""

    at: int
    id: str


NEWEST = Position(LATEST, _LAST_ID)
"""Before the first row of a list that begins with the newest."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows of a list."""

    items: tuple[T, ...]
    has_more: bool
    end: Position | None
    """After the last row; None where there is none and none was given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationFilter:
    """Which conversations are listed; an empty choice is every one."""

    statuses: Sequence[Status] = ()
    channels: Sequence[Channel] = ()
    priorities: Sequence[Priority] = ()
    session_types: Sequence[SessionType] = ()
    end_user_id: str | None = None
    assigned_agent_id: str | None = None
    started_from: int = -LATEST
    """µs, inclusive."""
    started_before: int = LATEST
    """µs, exclusive."""


def _chosen(choice: Sequence[StrEnum], kind: type[StrEnum]) -> list[str]:
    return [item.value for item in (choice or kind)]


async def conversations_page(
    tx: Tx, organization_id: str, wanted: ConversationFilter, after: Position | None, limit: int
) -> Page[Conversation]:
    """Newest first."""
    start = after or NEWEST
    one_person = {} if wanted.end_user_id is None else {"end_user_id": wanted.end_user_id}
    rows = await tx.all(
        "conversations_page_of_end_user" if one_person else "conversations_page",
        **one_person,
        organization_id=organization_id,
        before_at=start.at,
        before_id=start.id,
        statuses=_chosen(wanted.statuses, Status),
        channels=_chosen(wanted.channels, Channel),
        priorities=_chosen(wanted.priorities, Priority),
        session_types=_chosen(wanted.session_types, SessionType),
        agent_id=wanted.assigned_agent_id,
        started_from=wanted.started_from,
        started_before=wanted.started_before,
        limit=limit + 1,
    )
    shown, end = cut(rows, after, limit)
    return Page(tuple(conversation_of(row) for row in shown), len(rows) > limit, end)


async def handoffs_page(
    tx: Tx, organization_id: str, statuses: Sequence[HandoffStatus], after: Position | None, limit: int
) -> Page[Handoff]:
    """Newest first."""
    start = after or NEWEST
    rows = await tx.all(
        "handoffs_page",
        organization_id=organization_id,
        statuses=_chosen(statuses, HandoffStatus),
        before_at=start.at,
        before_id=start.id,
        limit=limit + 1,
    )
    shown, end = cut(rows, after, limit)
    return Page(tuple(handoff_of(row) for row in shown), len(rows) > limit, end)


async def approvals_page(
    tx: Tx, organization_id: str, statuses: Sequence[ApprovalStatus], after: Position | None, limit: int
) -> Page[Row]:
    """Oldest first."""
    start = after or Position(0, _FIRST_ID)
    rows = await tx.all(
        "approvals_page",
        organization_id=organization_id,
        statuses=_chosen(statuses, ApprovalStatus),
        after_at=start.at,
        after_id=start.id,
        limit=limit + 1,
    )
    shown, end = cut(rows, after, limit)
    return Page(tuple(shown), len(rows) > limit, end)


def cut(rows: Sequence[Row], after: Position | None, limit: int) -> tuple[Sequence[Row], Position | None]:
    """The rows of a page, of which one more was read, and where it ends."""
    shown = rows[:limit]
    return shown, Position(shown[-1]["created_at"], shown[-1]["id"]) if shown else after


async def handoff(tx: Tx, organization_id: str, handoff_id: str) -> Handoff | None:
    """One handoff; None where the organisation has no such one."""
    row = await tx.one("handoff_by_id", organization_id=organization_id, id=handoff_id)
    return None if row is None else handoff_of(row)


async def approval(tx: Tx, organization_id: str, approval_id: str) -> Row | None:
    """One approval; None where the organisation has no such one."""
    return await tx.one("approval_by_id", organization_id=organization_id, id=approval_id)
