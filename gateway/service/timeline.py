"""The timeline of a conversation: numbered on its row, so that readers resume without gap or repeat."""

from typing import Any

from gateway.domain.message import Message
from gateway.domain.ports.store import Row, Tx, Wake
from gateway.domain.timeline import EventKind
from gateway.store.records import message_row, pack


async def write_messages(
    tx: Tx, messages: list[Message], first_event: int, *, agent_id: str | None = None
) -> None:
    """Store messages and their timeline entries, numbered from `first_event` on."""
    for offset, message in enumerate(messages):
        await tx.later("message_insert", **message_row(message, agent_id=agent_id))
        await tx.later(
            "timeline_message",
            conversation_id=message.conversation_id,
            number=first_event + offset,
            seq=message.seq,
        )
    tx.after_commit(Wake.TIMELINE)


async def write_event(
    tx: Tx, conversation_id: str, number: int, kind: EventKind, body: dict[str, Any]
) -> None:
    """Store one timeline entry that is not a message, and has its number already."""
    await tx.later(
        "timeline_insert",
        conversation_id=conversation_id,
        number=number,
        kind=kind.value,
        body=pack(body),
    )
    tx.after_commit(Wake.TIMELINE)


async def append_event(tx: Tx, conversation_id: str, kind: EventKind, body: dict[str, Any]) -> Row:
    """Store one more entry; the conversation's row as counted."""
    row = await tx.one("conversation_add_event", id=conversation_id)
    if row is None:
        raise AssertionError("the conversation was locked in this unit")
    await write_event(tx, conversation_id, row["event_count"] - 1, kind, body)
    return row
