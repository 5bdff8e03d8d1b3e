"""What is kept of a conversation beside its own row, deleted a bounded number of rows at a time.

Deleting a conversation, the end of its retention and the erasure of its person all come this way.
"""

from collections import Counter

from gateway.domain.ports.store import Tx
from gateway.service.attachments import release_attachments
from gateway.service.postings import ring_lane

ROWS = 200
"""That one step deletes."""

_SAID = ("messages_purge", "turns_purge", "timeline_purge", "inputs_purge", "thread_ids_purge")
_ABOUT = (
    "handoffs_purge",
    "approvals_purge",
    "calls_purge",
    "outgoing_calls_purge",
    "intents_purge",
    "held_purge",
    "idempotency_purge",
)
_TOLD = ("webhook_deliveries_purge", "dead_letters_purge")
_ONE = ("closing_purge", "memory_purge", "simulation_purge")
"""At most one row each."""


async def delete_contents(tx: Tx, conversation_id: str) -> bool:
    """Take a step; True when nothing is left. The conversation is over, and locked by this unit.

    What has not left yet never will: whoever is sending it finds the lane's fencing number raised.
    """
    left = ROWS - await _withdraw(tx, conversation_id)
    left -= await tx.run("parts_purge", id=conversation_id, limit=max(left, 0))
    left -= await _delete_deliveries(tx, conversation_id, max(left, 0))
    for query in (*_SAID, *_ABOUT, *_TOLD):
        if left <= 0:
            return False
        left -= await tx.run(query, id=conversation_id, limit=left)
    if left <= 0:
        return False
    left -= await release_attachments(tx, conversation_id)
    if left <= 0:
        return False
    for query in _ONE:
        await tx.run(query, id=conversation_id)
    return True


async def _withdraw(tx: Tx, conversation_id: str) -> int:
    """Settle what has not left yet as canceled; how many deliveries."""
    rows = await tx.all("deliveries_withdraw", id=conversation_id, limit=ROWS)
    for lane, settled in sorted(Counter(row["lane"] for row in rows).items()):
        row = await tx.one("lane_withdraw", lane=lane, settled=settled)
        if row is not None and row["pending"]:
            await ring_lane(
                tx,
                organization_id=row["organization_id"],
                channel=row["channel"],
                lane=lane,
                at=row["at"],
            )
    return len(rows)


async def _delete_deliveries(tx: Tx, conversation_id: str, limit: int) -> int:
    rows = await tx.all("deliveries_purge", id=conversation_id, limit=limit)
    # one that was put aside has left a lane behind
    lanes = sorted(
        {name for row in rows for name in (row["lane"], row["lane"].removesuffix(f"|{row['id']}"))}
    )
    if lanes:
        await tx.run("lanes_purge", lanes=lanes)
    return len(rows)
