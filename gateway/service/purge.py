"""A conversation that is over is deleted with everything that was said in it, in bounded steps."""

from gateway.domain.errors import ErrorCode, GatewayError
from gateway.domain.ports.store import Store, Tx
from gateway.service.contents import delete_contents
from gateway.service.forgotten import leave_traces
from gateway.store.records import conversation_of


async def purge(store: Store, organization_id: str, conversation_id: str) -> None:
    """Delete a terminal conversation. Raises GatewayError `conversation_not_closed`.

    Where it is interrupted the conversation is still there, emptier, and may be deleted again.
    """
    while not await store.write(purge_step, organization_id, conversation_id):
        pass


async def purge_step(tx: Tx, organization_id: str, conversation_id: str) -> bool:
    """Take a step; True when the conversation is gone."""
    row = await tx.one("conversation_lock", organization_id=organization_id, id=conversation_id)
    if row is None:
        raise GatewayError(ErrorCode.NOT_FOUND, "there is no such conversation")
    if not conversation_of(row).status.terminal:
        raise GatewayError(ErrorCode.CONVERSATION_NOT_CLOSED, "close the conversation before deleting it")
    await leave_traces(tx, row)
    if not await delete_contents(tx, conversation_id):
        return False
    await tx.run("conversation_delete", id=conversation_id)
    return True
