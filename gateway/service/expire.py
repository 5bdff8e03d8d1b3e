"""What time brings about: overdue approvals and handoffs, idle conversations, old rows.

Each fires by a conditional update in the transaction of its effect, and takes a bounded number of
rows at once; what is left is found the next time.
"""

from collections.abc import Callable

from gateway.domain.clock import SECOND
from gateway.domain.conversation import Cause, Conversation, Status
from gateway.domain.errors import ErrorCode, GatewayError
from gateway.domain.fallback import Fallbacks, HandoffTimeoutAction
from gateway.domain.message import Author
from gateway.domain.ports.store import Tx
from gateway.domain.timeline import EventKind
from gateway.service.admit import AN_HOUR
from gateway.service.approve import Decision, Resolution, resolve_approval
from gateway.service.batch import BATCH, Batch
from gateway.service.close import Ending, end
from gateway.service.forgotten import KEPT as TRACES_KEPT
from gateway.service.handoff import hand_back
from gateway.service.speak import speak
from gateway.service.suppress import forget_bounces
from gateway.service.timeline import append_event
from gateway.service.tokens import KEPT as TOKENS_KEPT
from gateway.store.records import conversation_of

_DAY = 24 * 3600 * SECOND
RECEIPTS_KEPT = 30 * _DAY
"""How long a provider's message is known as a duplicate, µs."""
WEBHOOKS_KEPT = 30 * _DAY
"""How long it is known what a webhook endpoint was told, µs."""
WORKERS_KEPT = _DAY
"""How long the row of a dead worker is kept, µs."""


async def overdue_approvals(tx: Tx, partitions: int, batch: Batch = BATCH) -> int:
    """Decide what nobody has decided in time; how many."""
    decided = 0
    for row in await tx.all("approvals_overdue", limit=batch.limit, past=batch.past):
        timeout = Resolution(decision=Decision.TIMEOUT, decided_by=Decision.TIMEOUT.value)
        try:
            await resolve_approval(tx, row["organization_id"], row["id"], timeout, partitions)
        except GatewayError as error:
            if error.code is not ErrorCode.ALREADY_RESOLVED:
                raise
        else:
            decided += 1
    return decided


async def overdue_handoffs(
    tx: Tx, fallbacks: Callable[[Conversation], Fallbacks], partitions: int, batch: Batch = BATCH
) -> int:
    """Give back, or close, what nobody took over in time, and say what is configured for that; how many."""
    ended = 0
    for row in await tx.all("handoffs_overdue", limit=batch.limit, past=batch.past):
        found = await tx.one(
            "conversation_lock", organization_id=row["organization_id"], id=row["conversation_id"]
        )
        if found is None or await tx.one("handoff_time_out", id=row["id"]) is None:
            continue
        conversation = conversation_of(found)
        if conversation.status is not Status.WAITING_FOR_HUMAN:
            continue
        await append_event(tx, conversation.id, EventKind.HANDOFF, {"handoff_id": row["id"]})
        configured = fallbacks(conversation)
        if configured.handoff_timeout_text is not None:
            await speak(tx, conversation, configured.handoff_timeout_text, Author.SYSTEM)
        if configured.handoff_timeout_action is HandoffTimeoutAction.CLOSE:
            nobody = Ending(Status.CLOSED, Cause.CLOSE, "nobody took the handoff in time")
            await end(tx, conversation, nobody, partitions)
        else:
            await hand_back(tx, conversation, partitions)
        ended += 1
    return ended


async def expire_idle(tx: Tx, partitions: int, batch: Batch = BATCH) -> int:
    """Expire conversations that have been silent for too long; how many."""
    expired = 0
    for found in await tx.all("conversations_idle", limit=batch.limit, past=batch.past):
        row = await tx.one("conversation_lock_idle", id=found["id"])
        if row is not None:
            await end(tx, conversation_of(row), Ending(Status.EXPIRED, Cause.IDLE, "idle"), partitions)
            expired += 1
    return expired


async def forget(tx: Tx) -> int:
    """Delete what has served its purpose: receipts, keys, webhooks, counts, dead workers; how many."""
    return (
        await tx.run("receipts_forget", age=RECEIPTS_KEPT)
        + await tx.run("idempotency_keys_forget")
        + await tx.run("webhook_deliveries_forget", age=WEBHOOKS_KEPT)
        + await tx.run("workers_expired", age=WORKERS_KEPT)
        + await tx.run("tokens_forget", age=TOKENS_KEPT)
        + await tx.run("counted_mail_forget", hour=AN_HOUR)
        + await tx.run("forgotten_calls_forget", age=TRACES_KEPT)
        + await forget_bounces(tx)
    )
