"""What is remembered of a person: as agents are told it in later conversations, and as people may see it.

A memory is named by the conversation it comes from, which has one at most.
"""

from dataclasses import dataclass

from gateway.domain.clock import rfc3339
from gateway.domain.errors import ErrorCode, GatewayError
from gateway.domain.message import Channel, JsonObject
from gateway.domain.ports.store import Row, Store, Tx
from gateway.service.browse import NEWEST as FROM_NEWEST
from gateway.service.browse import Page, Position
from gateway.service.contents import ROWS
from gateway.service.people import known_person

NEWEST = 20
"""Memories that an agent is told."""
BUDGET = 4096
"""Bytes that their texts may take together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What later conversations are told of an earlier one. `created_at` in µs."""

    conversation_id: str
    channel: Channel
    text: str
    created_at: int


async def memory_of(tx: Tx, end_user_id: str) -> list[JsonObject]:
    """The newest memories of a person, newest first, within the budget; one that alone exceeds it is cut."""
    told: list[JsonObject] = []
    left = BUDGET
    for row in await tx.all("memories_of_end_user", end_user_id=end_user_id, limit=NEWEST):
        text = row["text"] if told else row["text"].encode()[:BUDGET].decode("utf-8", "ignore")
        left -= len(text.encode())
        if left < 0:
            break
        told.append(
            {
                "text": text,
                "conversation_id": row["conversation_id"],
                "channel": row["channel"],
                "date": rfc3339(row["created_at"]),
            }
        )
    return told


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


async def correct_memory(
    tx: Tx, organization_id: str, end_user_id: str, conversation_id: str, text: str
) -> Memory:
    """Have agents told another text from now on. Raises GatewayError `not_found`."""
    person = await known_person(tx, organization_id, end_user_id)
    row = await tx.one("memory_correct", conversation_id=conversation_id, ids=list(person.records), text=text)
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
        created_at=row["created_at"],
    )
