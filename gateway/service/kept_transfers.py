"""Transfers that a call's own connection moves: kept, so that the connection after it can go on.

Nobody else moves them: they are due for no timer. A connection that takes a call up puts its name on the
row; what the one before it, which may not know yet that it is gone, does from then on changes nothing.
"""

from dataclasses import dataclass

from gateway.domain.ports.store import Store, Tx
from gateway.domain.warm.held import HeldCall, restored_held, stored_held


async def keep_transfer(tx: Tx, held: HeldCall, holder: str, organization_id: str) -> bool:
    """Store how a transfer stands; False where another connection moves it now.

    Of a conversation that is deleted, or whose caller is erased, nothing is kept.
    """
    if await tx.run("held_keep", id=held.id, held=stored_held(held), holder=holder):
        return True
    conversation = await tx.one("conversation_lock", organization_id=organization_id, id=held.conversation_id)
    if conversation is None or conversation["archived_at"] is not None:
        return True
    if await tx.one("held_by_id", id=held.id) is not None:
        return False
    await tx.run(
        "held_insert",
        id=held.id,
        provider=held.provider,
        call_id=held.call_id,
        organization_id=organization_id,
        conversation_id=held.conversation_id,
        held=stored_held(held),
        due_at=None,
        holder=holder,
    )
    return True


async def take_up_transfer(tx: Tx, provider: str, call_id: str, holder: str) -> HeldCall | None:
    """The newest transfer of a call, which this connection moves from now on; None: none that can be read."""
    row = await tx.one("held_of_call", provider=provider, call_id=call_id)
    if row is None or row["holder"] is None:
        return None
    await tx.run("held_take_up", id=row["id"], holder=holder)
    kept = await tx.one("held_by_id", id=row["id"])  # what was kept last before that
    try:
        return None if kept is None else restored_held(kept["held"])
    except ValueError:
        return None  # another version has kept it


@dataclass(frozen=True, slots=True)
class StoredTransfers:
    """The `KeptTransfers` port, over the store."""

    store: Store
    organization_id: str

    async def keep(self, held: HeldCall, holder: str) -> bool:
        """Store it; False where another connection of the call moves it now."""
        return await self.store.write(keep_transfer, held, holder, self.organization_id)

    async def take_up(self, provider: str, call_id: str, holder: str) -> HeldCall | None:
        """The newest transfer of a call, which this connection moves from now on."""
        return await self.store.write(take_up_transfer, provider, call_id, holder)
