"""Which of the connections that a host makes for one call is the newest: it has the call."""

from dataclasses import dataclass

from gateway.domain.ports.store import Store, Tx


async def connect_call(tx: Tx, provider: str, call_id: str) -> int | None:
    """A connection of a call begins: its number; None where no such call is up."""
    row = await tx.one("call_connect", provider=provider, call_id=call_id)
    return None if row is None else int(row["last_seq"])


async def take_call(tx: Tx, provider: str, call_id: str, number: int) -> int | None:
    """Take a call over from the connection of this number: a new number; None where somebody else has it."""
    row = await tx.one("call_take", provider=provider, call_id=call_id, number=number)
    return None if row is None else int(row["last_seq"])


@dataclass(frozen=True, slots=True)
class StoredConnections:
    """The `CallConnections` port, over the store."""

    store: Store

    async def connect(self, provider: str, call_id: str) -> int | None:
        """A connection of a call begins."""
        return await self.store.write(connect_call, provider, call_id)

    async def take(self, provider: str, call_id: str, number: int) -> int | None:
        """Take a call over from the connection of this number."""
        return await self.store.write(take_call, provider, call_id, number)
