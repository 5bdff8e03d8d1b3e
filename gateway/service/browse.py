"""Lists, page by page: conversations, handoffs and approvals, each after a position that stays valid."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from typing import Generic, TypeVar

from gateway.domain.clock import SECOND
from gateway.domain.conversation import Conversation, Priority, SessionType, Status
from gateway.domain.handoff import ApprovalStatus, Handoff, HandoffStatus
from gateway.domain.message import Channel
from gateway.domain.ports.store import Param, Row, Tx
from gateway.store.records import conversation_of, handoff_of

T = TypeVar("T")

LATEST = 2**62
"""Later than every stored time, µs; with room to reckon from it."""
_LAST_ID = "ffffffff-ffff-ffff-ffff-ffffffffffff"
_FIRST_ID = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, slots=True, order=True)
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


_APART = SECOND
"""µs at most between start and creation of a conversation: one moment, but the clock is read twice."""


def _chosen(choice: Sequence[StrEnum], kind: type[StrEnum]) -> list[str]:
    return [item.value for item in (choice or kind)]


async def conversations_page(
    tx: Tx, organization_id: str, wanted: ConversationFilter, after: Position | None, limit: int
) -> Page[Conversation]:
    """Newest first. Dates, and one of end user and status, are looked up; other filters are read through."""
    start = min(after or NEWEST, Position(wanted.started_before + _APART, _FIRST_ID))
    params: dict[str, Param] = {
        "organization_id": organization_id,
        "created_from": wanted.started_from - _APART,
        "before_at": start.at,
        "before_id": start.id,
        "channels": _chosen(wanted.channels, Channel),
        "priorities": _chosen(wanted.priorities, Priority),
        "session_types": _chosen(wanted.session_types, SessionType),
        "agent_id": wanted.assigned_agent_id,
        "started_from": wanted.started_from,
        "started_before": wanted.started_before,
        "limit": limit + 1,
    }
    if wanted.end_user_id is None:
        rows = await _of_statuses(tx, "conversations_page", wanted.statuses, params)
    else:
        statuses = _chosen(wanted.statuses, Status)
        rows = await tx.all(
            "conversations_page_of_end_user", **params, end_user_id=wanted.end_user_id, statuses=statuses
        )
    return page_of(_in_order(rows, newest_first=True), after, limit, conversation_of)


async def handoffs_page(
    tx: Tx, organization_id: str, statuses: Sequence[HandoffStatus], after: Position | None, limit: int
) -> Page[Handoff]:
    """Newest first."""
    start = after or NEWEST
    params: dict[str, Param] = {
        "organization_id": organization_id,
        "before_at": start.at,
        "before_id": start.id,
        "limit": limit + 1,
    }
    rows = await _of_statuses(tx, "handoffs_page", statuses, params)
    return page_of(_in_order(rows, newest_first=True), after, limit, handoff_of)


async def approvals_page(
    tx: Tx, organization_id: str, statuses: Sequence[ApprovalStatus], after: Position | None, limit: int
) -> Page[Row]:
    """Oldest first."""
    start = after or Position(0, _FIRST_ID)
    params: dict[str, Param] = {
        "organization_id": organization_id,
        "after_at": start.at,
        "after_id": start.id,
        "limit": limit + 1,
    }
    rows = await _of_statuses(tx, "approvals_page", statuses, params)
    return page_of(_in_order(rows, newest_first=False), after, limit, lambda row: row)


async def _of_statuses(
    tx: Tx, query: str, statuses: Sequence[StrEnum], params: Mapping[str, Param]
) -> Sequence[Row]:
    """The rows of every status by `query`, or of each wanted one by its `…_of_status`, in no order.

    A page of each status is read, by its own index, since no index has several of them in order.
    """
    if not statuses:
        return await tx.all(query, **params)
    found = [await tx.all(f"{query}_of_status", **params, status=status.value) for status in set(statuses)]
    return list(chain.from_iterable(found))


def _in_order(rows: Sequence[Row], *, newest_first: bool) -> Sequence[Row]:
    return sorted(rows, key=lambda row: (row["created_at"], row["id"]), reverse=newest_first)


async def newest_page(
    tx: Tx, query: str, made: Callable[[Row], T], after: Position | None, limit: int, **params: Param
) -> Page[T]:
    """The page of a list by a query that gives the newest rows first, before a position."""
    start = after or NEWEST
    rows = await tx.all(query, **params, before_at=start.at, before_id=start.id, limit=limit + 1)
    return page_of(rows, after, limit, made)


def of_address(query: str, of: tuple[Channel, str] | None) -> tuple[str, dict[str, Param]]:
    """The query for one address of theirs, with its parameters, or the one for all."""
    if of is None:
        return query, {}
    return f"{query}_of_address", {"channel": of[0].value, "their_address": of[1]}


def page_of(rows: Sequence[Row], after: Position | None, limit: int, made: Callable[[Row], T]) -> Page[T]:
    """The page that begins after a position, of whose rows one more than `limit` was read."""
    shown = rows[:limit]
    end = Position(shown[-1]["created_at"], shown[-1]["id"]) if shown else after
    return Page(tuple(made(row) for row in shown), len(rows) > limit, end)


async def handoff(tx: Tx, organization_id: str, handoff_id: str) -> Handoff | None:
    """One handoff; None where the organisation has no such one."""
    row = await tx.one("handoff_by_id", organization_id=organization_id, id=handoff_id)
    return None if row is None else handoff_of(row)


async def approval(tx: Tx, organization_id: str, approval_id: str) -> Row | None:
    """One approval; None where the organisation has no such one."""
    return await tx.one("approval_by_id", organization_id=organization_id, id=approval_id)
