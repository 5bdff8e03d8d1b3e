"""A conversation that is over is deleted with everything that was said in it."""

from gateway.domain.errors import ErrorCode, GatewayError
from gateway.domain.ports import Tx
from gateway.service.attachments import release_attachments
from gateway.store.records import conversation_of

_OF_CONVERSATION = (
    "messages_purge",
    "turns_purge",
    "timeline_purge",
    "thread_ids_purge",
)
_ALSO = (
    "handoffs_purge",
    "approvals_purge",
    "idempotency_purge",
    "webhook_deliveries_purge",
    "closing_purge",
    "memory_purge",
    "simulation_purge",
)


async def purge(tx: Tx, organization_id: str, conversation_id: str) -> None:
    """Delete a terminal conversation. Raises GatewayError `conversation_not_closed`.

    A delivery on its way to the provider is finished first, and outlives it.
    """
    row = await tx.one("conversation_lock", organization_id=organization_id, id=conversation_id)
    if row is None:
        raise GatewayError(ErrorCode.NOT_FOUND, "there is no such conversation")
    if not conversation_of(row).status.terminal:
        raise GatewayError(ErrorCode.CONVERSATION_NOT_CLOSED, "close the conversation before deleting it")
    await tx.run("parts_purge", id=conversation_id)
    await tx.run("deliveries_purge", id=conversation_id)
    while await release_attachments(tx, conversation_id):
        pass
    for query in _OF_CONVERSATION:
        await tx.run(query, id=conversation_id)
    for query in _ALSO:
        await tx.run(query, conversation_id=conversation_id)
    await tx.run("conversation_delete", id=conversation_id)
