"""When its retention is over, what was said in a conversation is deleted, a bounded number of rows at a time.

The conversation itself stays, archived, with its counts and times and without anything that was said.
"""

from gateway.domain.ports.store import Tx
from gateway.service.contents import delete_contents


async def retire(tx: Tx) -> bool:
    """Take a step with one conversation whose time is up; False where there is none."""
    row = await tx.one("conversation_retired")
    if row is None:
        return False
    if await delete_contents(tx, row["id"]):
        await tx.run("conversation_archive", id=row["id"])
    return True
