"""Where a transfer stands, kept for the connection that takes up its call when this one breaks."""

import asyncio
from dataclasses import dataclass

from channels.voice.jambonz.transfer import Transfer
from channels.voice.notes import note
from channels.voice.parties import Parties
from gateway.domain.errors import GatewayError
from gateway.domain.ports.warm import KeptTransfers
from gateway.domain.warm.held import HeldCall
from gateway.domain.warm.state import Warm

KEEP_SECONDS = 2.0
"""For keeping a step; then the transfer goes on all the same. jambonz waits 5 s for what depends on it."""


@dataclass(slots=True)
class Kept:
    """The transfers of one connection."""

    transfers: KeptTransfers
    parties: Parties
    session: str
    conversation_id: str = ""
    _unkept: HeldCall | None = None
    """The newest step, where the database did not take it."""

    async def keep(self, transfer: Transfer, warm: Warm, *, done: bool = False) -> bool:
        """Keep a step of a transfer; False where another connection has it now: this one does nothing more.

        `done`: what follows from its end is done, too. While the database is away nothing is kept so far.
        """
        held = HeldCall(
            id=transfer.intent_id or transfer.name,
            provider=self.parties.provider,
            call_id=self.parties.sid,
            conversation_id=self.conversation_id,
            sender=self.parties.theirs,
            recipient=self.parties.ours,
            proven=self.parties.proven,
            n=transfer.n,
            session=transfer.session,
            destination=transfer.intent.destination,
            warm=warm,
            reported=done,
        )
        return await self._store(held)

    async def again(self) -> None:
        """Keep what could not be kept: the connection after this one would call somebody again."""
        if self._unkept is not None:
            await self._store(self._unkept)

    async def _store(self, held: HeldCall) -> bool:
        self._unkept = held
        try:
            async with asyncio.timeout(KEEP_SECONDS):
                ours = await self.transfers.keep(held, self.session)
        except (GatewayError, TimeoutError) as error:
            code = error.code.value if isinstance(error, GatewayError) else "timeout"
            note("transfer_unkept", self.parties.sid, code=code)
            return True
        if self._unkept is held:
            self._unkept = None
        return ours

    async def done(self, transfer: Transfer, warm: Warm | None) -> None:
        """No connection after this one has to do anything about it."""
        if warm is not None:
            await self.keep(transfer, warm, done=True)

    async def take_up(self) -> HeldCall | None:
        """What another connection of this call has left undone. Raises GatewayError."""
        held = await self.transfers.take_up(self.parties.provider, self.parties.sid, self.session)
        return None if held is None or held.reported else held
