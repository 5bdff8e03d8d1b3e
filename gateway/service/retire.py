"""When its retention is over, what was said in a conversation is deleted, a bounded number of rows at a time.

The conversation itself stays, archived, with its counts and times and without anything that was said.
"""

from gateway.domain.ports import Tx
from gateway.service.attachments import release_attachments

_IN_STEPS = ("parts_retire", "deliveries_retire", "messages_retire", "turns_retire", "timeline_retire")
"""Each at most 200 rows at once."""
_AT_THE_END = ("handoffs_purge", "approvals_purge", "idempotency_purge", "memory_purge", "simulation_purge")


async def retire(tx: Tx) -> bool:
    """Take a step with one conversation whose time is up; False where there is none.

    A delivery that is still on its way is finished first, and outlives it.
    """
    row = await tx.one("conversation_retired")
    if row is None:
        return False
    for query in _IN_STEPS:
        if await tx.run(query, id=row["id"]):
            return True
    if await release_attachments(tx, row["id"]):
        return True
    for query in _AT_THE_END:
        await tx.run(query, conversation_id=row["id"])
    await tx.run("thread_ids_purge", id=row["id"])
    await tx.run("conversation_purge", id=row["id"])
    return True
