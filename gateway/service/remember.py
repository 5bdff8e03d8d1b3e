"""What is remembered of a person, as agents are told it in later conversations."""

from gateway.domain.clock import rfc3339
from gateway.domain.message import JsonObject
from gateway.domain.ports import Tx

NEWEST = 20
"""Memories that an agent is told."""
BUDGET = 4096
"""Bytes that their texts may take together."""


async def memory_of(tx: Tx, end_user_id: str) -> list[JsonObject]:
    """The newest memories of a person, newest first, within the budget."""
    told: list[JsonObject] = []
    left = BUDGET
    for row in await tx.all("memories_of_end_user", end_user_id=end_user_id, limit=NEWEST):
        left -= len(row["text"].encode())
        if left < 0:
            break
        told.append(
            {
                "text": row["text"],
                "conversation_id": row["conversation_id"],
                "channel": row["channel"],
                "date": rfc3339(row["created_at"]),
            }
        )
    return told
