"""The end of a call: its conversation closes, at once or after a while, or stays open."""

from gateway.domain.call_rules import CallRules
from gateway.domain.clock import SECOND
from gateway.domain.conversation import Cause, Conversation, Status
from gateway.domain.ports.store import Tx
from gateway.domain.warm.words import CallerGone
from gateway.service.batch import BATCH, Batch
from gateway.service.close import Ending, end
from gateway.service.warm_transfers import end_transfers
from gateway.store.records import conversation_of

CALL_ENDED = "the call ended"
CLOSES = CallRules()


async def end_of_call(
    tx: Tx, organization_id: str, conversation_id: str, rules: CallRules, partitions: int
) -> None:
    """A call of this conversation is over; one that was closed before, or has another, stays as it is."""
    row = await tx.one("conversation_lock", organization_id=organization_id, id=conversation_id)
    if row is not None:
        await call_over(tx, conversation_of(row), rules, partitions)


async def call_over(tx: Tx, conversation: Conversation, rules: CallRules, partitions: int) -> None:
    """The same of a conversation that this unit has locked. A caller who is with somebody else is gone."""
    if conversation.status.terminal:
        return
    stays = conversation.status is not Status.TRANSFERRED
    if stays and await tx.one("call_live", conversation_id=conversation.id) is not None:
        return
    await end_transfers(tx, conversation.id, CallerGone())
    if stays and not rules.closes:
        return
    if stays and rules.ring_back_seconds:
        wait = rules.ring_back_seconds * SECOND
        if await tx.run("call_close_later", conversation_id=conversation.id, wait=wait):
            return  # else no call of it was ever up: nobody finds it by ringing back
    await end(tx, conversation, Ending(Status.CLOSED, Cause.CLOSE, CALL_ENDED), partitions)


async def close_ended_calls(tx: Tx, partitions: int, batch: Batch = BATCH) -> int:
    """Close conversations whose callers have not rung back in time; how many were looked at."""
    rows = await tx.all("calls_closing", limit=batch.limit, past=batch.past)
    for row in rows:
        found = await tx.one(
            "conversation_lock", organization_id=row["organization_id"], id=row["conversation_id"]
        )
        due = await tx.run("calls_close", conversation_id=row["conversation_id"])
        if found is not None and due:
            await call_over(tx, conversation_of(found), CLOSES, partitions)
    return len(rows)
