"""What is remembered of a person: as agents are told it in later conversations, and as people may see it.

A memory is named by the conversation it comes from, which has one at most.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.domain.clock import rfc3339
from gateway.domain.errors import ErrorCode, GatewayError
from gateway.domain.message import Channel, JsonObject
from gateway.domain.ports.store import Row, Store, Tx
from gateway.service.browse import NEWEST as FROM_NEWEST
from gateway.service.browse import Page, Position
from gateway.service.contents import ROWS
from gateway.service.people import known_person
from gateway.store.records import pack, unpack

NEWEST = 20
"""Conversations of which an agent is told."""
MOST = 100
"""Conversations whose facts it may be told besides."""
BUDGET = 4096
"""Bytes that all of it may take together."""
FACTS_BUDGET = BUDGET // 2
"""Of them, those of facts: these count before any summary, since they stay true."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What later conversations are told of an earlier one. `created_at` in µs."""

    conversation_id: str
    channel: Channel
    text: str
    facts: tuple[str, ...]
    """About the person."""
    created_at: int


async def memory_of(tx: Tx, end_user_id: str) -> list[JsonObject]:
    """What is told of a person: one entry a conversation, newest first, all of them within the budget.

    Facts come before summaries; of equal ones the newest is told. A summary that alone exceeds the budget is
    cut; from the first that does not fit on, there are none.
    """
    rows = await _newest(tx, end_user_id)
    facts, left = _facts_within(rows)
    told: list[JsonObject] = []
    full = False
    for row, known in zip(rows, facts, strict=True):
        text = row["text"] or ""
        if text and not full:
            text = text if told else text.encode()[:left].decode("utf-8", "ignore")
            left -= len(text.encode())
            full = left < 0
        lines = [*known, *([text] if text and not full else [])]
        if lines:
            told.append(
                {
                    "text": "\n".join(lines),
                    "conversation_id": row["conversation_id"],
                    "channel": row["channel"],
                    "date": rfc3339(row["created_at"]),
                }
            )
    return told


async def facts_of(tx: Tx, end_user_id: str) -> list[str]:
    """The facts that are told of a person, newest first."""
    facts, _ = _facts_within(await _newest(tx, end_user_id))
    return [fact for some in facts for fact in some]


async def _newest(tx: Tx, end_user_id: str) -> Sequence[Row]:
    return await tx.all("memories_of_end_user", end_user_id=end_user_id, texts=NEWEST, limit=MOST)


def _facts_within(rows: Sequence[Row]) -> tuple[list[list[str]], int]:
    """The facts of each row that fit, none twice; and the bytes that they leave of the whole budget."""
    seen: set[str] = set()
    left = FACTS_BUDGET
    kept: list[list[str]] = []
    for row in rows:
        new: list[str] = []
        for fact in unpack(row["facts"], []):
            size = len(fact.encode())
            if fact.casefold() not in seen and size <= left:
                seen.add(fact.casefold())
                left -= size
                new.append(fact)
        kept.append(new)
    return kept, BUDGET - FACTS_BUDGET + left


async def memories_page(
    tx: Tx, organization_id: str, end_user_id: str, after: Position | None, limit: int
) -> Page[Memory]:
    """All that is remembered of the person a record is of, newest first. Raises GatewayError `not_found`."""
    person = await known_person(tx, organization_id, end_user_id)
    start = after or FROM_NEWEST
    rows = await tx.all(
        "memories_page", ids=list(person.records), before_at=start.at, before_id=start.id, limit=limit + 1
    )
    items = tuple(_memory(row) for row in rows[:limit])
    end = Position(items[-1].created_at, items[-1].conversation_id) if items else after
    return Page(items, len(rows) > limit, end)


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """What agents are to be told of a conversation instead; None: as before."""

    text: str | None = None
    facts: Sequence[str] | None = None


async def correct_memory(
    tx: Tx, organization_id: str, end_user_id: str, conversation_id: str, correction: Correction
) -> Memory:
    """Have agents told something else from now on. Raises GatewayError `not_found`."""
    person = await known_person(tx, organization_id, end_user_id)
    row = await tx.one(
        "memory_correct",
        conversation_id=conversation_id,
        ids=list(person.records),
        text=correction.text,
        facts=None if correction.facts is None else pack(list(correction.facts)),
    )
    if row is None:
        raise _unknown()
    return _memory(row)


async def forget_memory(tx: Tx, organization_id: str, end_user_id: str, conversation_id: str) -> None:
    """Tell agents no more of one conversation. Raises GatewayError `not_found`."""
    person = await known_person(tx, organization_id, end_user_id)
    if not await tx.run("memory_forget", conversation_id=conversation_id, ids=list(person.records)):
        raise _unknown()


async def forget_memories(store: Store, organization_id: str, end_user_id: str) -> None:
    """Tell agents nothing more of what was until now. Raises GatewayError `not_found`."""
    while not await store.write(_forget_some, organization_id, end_user_id):
        pass


async def _forget_some(tx: Tx, organization_id: str, end_user_id: str) -> bool:
    """A bounded number of them; True when none is left."""
    person = await known_person(tx, organization_id, end_user_id)
    left = ROWS
    for record in person.records:
        if left > 0:
            left -= await tx.run("memories_erase", end_user_id=record, limit=left)
    return left > 0


def _unknown() -> GatewayError:
    return GatewayError(ErrorCode.NOT_FOUND, "nothing is remembered of this conversation with this end user")


def _memory(row: Row) -> Memory:
    return Memory(
        conversation_id=row["conversation_id"],
        channel=Channel(row["channel"]),
        text=row["text"],
        facts=tuple(unpack(row["facts"], [])),
        created_at=row["created_at"],
    )
