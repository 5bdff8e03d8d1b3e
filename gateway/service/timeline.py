"""The timeline of a conversation: numbered on its row, so that readers resume without gap or repeat."""

from typing import Any

from gateway.domain.message import Message
from gateway.domain.ports import Tx, Wake
from gateway.store.records import message_row, pack


async def write_messages(
    tx: Tx, messages: list[Message], first_event: int, *, agent_id: str | None = None
) -> None:
    """Store messages and their timeline entries, numbered from `first_event` on."""
    await tx.many("message_insert", [message_row(m, agent_id=agent_id) for m in messages])
    await tx.many(
        "timeline_insert",
        [
            {
                "conversation_id": m.conversation_id,
                "number": first_event + offset,
                "kind": "message",
                "body": pack({"seq": m.seq}),
            }
            for offset, m in enumerate(messages)
        ],
    )
    tx.after_commit(Wake.TIMELINE)


async def write_event(tx: Tx, conversation_id: str, number: int, kind: str, body: dict[str, Any]) -> None:
    """Store one timeline entry that is not a message."""
    await tx.run(
        "timeline_insert", conversation_id=conversation_id, number=number, kind=kind, body=pack(body)
    )
    tx.after_commit(Wake.TIMELINE)
