"""Follow a conversation's timeline: the entries from a number on, with what they are about.

Entries are numbered on the conversation's row, which every unit that writes one holds until it commits:
whoever sees an entry sees all before it, on whichever database and in whichever process. What an entry is
about is read as it is now; its place in the order never changes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.domain.conversation import Status
from gateway.domain.handoff import Handoff
from gateway.domain.message import JsonObject, Message
from gateway.domain.ports.store import Row, Tx
from gateway.domain.timeline import EventKind
from gateway.store.records import handoff_of, message_of, unpack

PAGE = 100
"""Entries read at once."""


@dataclass(frozen=True, slots=True)
class StatusChange:
    """One move of the status table; `at` in microseconds."""

    status: str
    previous: str
    at: int


@dataclass(frozen=True, slots=True)
class Approval:
    """A row of `approvals`."""

    row: Row


@dataclass(frozen=True, slots=True)
class Intent:
    """What a voice host has to do, and how far it is."""

    body: JsonObject


Subject = Message | StatusChange | Handoff | Approval | Intent


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a timeline."""

    number: int
    kind: EventKind
    subject: Subject


@dataclass(frozen=True, slots=True)
class Look:
    """What a reader finds from its position on."""

    entries: tuple[Entry, ...]
    position: int
    """Where the next look begins."""
    more: bool
    """More is there already."""
    over: bool
    """The conversation has ended, and this is the last of it."""


async def written(tx: Tx, organization_id: str, conversation_id: str) -> int | None:
    """How many entries there are; None where the organisation has no such conversation."""
    head = await tx.one("timeline_head", organization_id=organization_id, id=conversation_id)
    return None if head is None else head["event_count"]


async def look(tx: Tx, organization_id: str, conversation_id: str, position: int) -> Look:
    """The entries from `position` on. A conversation that is gone is over."""
    # the status first: when it is terminal, whatever led to it is among the entries that are read next
    head = await tx.one("timeline_head", organization_id=organization_id, id=conversation_id)
    if head is None:
        return Look((), position, more=False, over=True)
    rows: Sequence[Row] = ()
    if head["event_count"] > position:
        rows = await tx.all("timeline_from", conversation_id=conversation_id, position=position, limit=PAGE)
    entries = await _resolved(tx, organization_id, conversation_id, rows)
    more = len(rows) == PAGE
    return Look(
        entries,
        rows[-1]["number"] + 1 if rows else position,
        more=more,
        over=not more and Status(head["status"]).terminal,
    )


async def _resolved(
    tx: Tx, organization_id: str, conversation_id: str, rows: Sequence[Row]
) -> tuple[Entry, ...]:
    messages = await _messages(tx, conversation_id, rows)
    entries = []
    for row in rows:
        kind, body = EventKind(row["kind"]), unpack(row["body"], {})
        subject: Subject | None
        match kind:
            case EventKind.MESSAGE:
                subject = messages.get(body["seq"])
            case EventKind.STATUS:
                subject = StatusChange(body["session_status"], body["previous"], row["at"])
            case EventKind.HANDOFF:
                found = await tx.one("handoff_by_id", organization_id=organization_id, id=body["handoff_id"])
                subject = None if found is None else handoff_of(found)
            case EventKind.APPROVAL:
                found = await tx.one(
                    "approval_by_id", organization_id=organization_id, id=body["approval_id"]
                )
                subject = None if found is None else Approval(found)
            case EventKind.INTENT:
                subject = Intent(body)
        if subject is not None:  # else the conversation is being purged
            entries.append(Entry(row["number"], kind, subject))
    return tuple(entries)


async def _messages(tx: Tx, conversation_id: str, rows: Sequence[Row]) -> dict[int, Message]:
    """The messages that entries name; seqs rise with the numbers, so they stand together."""
    seqs = [unpack(row["body"], {})["seq"] for row in rows if row["kind"] == EventKind.MESSAGE]
    if not seqs:
        return {}
    found = await tx.all(
        "messages_since",
        conversation_id=conversation_id,
        since=seqs[0] - 1,
        limit=seqs[-1] - seqs[0] + 1,
    )
    return {row["seq"]: message_of(row) for row in found}
