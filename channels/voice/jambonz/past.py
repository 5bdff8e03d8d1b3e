"""What the inputs of a call have led to, also those of connections before this one."""

from contextlib import suppress
from dataclasses import dataclass

from channels.voice.jambonz.kept import Kept
from channels.voice.jambonz.messages import Place
from channels.voice.jambonz.transfer import Transfer
from channels.voice.parties import input_id
from channels.voice.wishes import Wishes, wishes_of
from gateway.domain.conversation import Status
from gateway.domain.errors import GatewayError
from gateway.domain.ports.dialogue import Dialogue

NEWEST = 1_000_000_000
"""Later than any message: only how the conversation stands is asked for."""


@dataclass(frozen=True, slots=True)
class Past:
    """That of one call. Every method but `led_to` raises GatewayError."""

    dialogue: Dialogue
    kept: Kept

    async def status(self) -> Status:
        """How the conversation stands."""
        return (await self.dialogue.news(self.kept.conversation_id, NEWEST)).status

    async def wishes_at(self, session: str, n: int) -> Wishes:
        """What input number `n` of a connection led to."""
        parties = self.kept.parties
        outcome = await self.dialogue.outcome(parties.provider, input_id(parties.sid, n, session), 0)
        return Wishes() if outcome is None else wishes_of(outcome.intents)

    async def led_to(self, place: Place, transfer: Transfer) -> bool:
        """Whether a hook is about this transfer, which another connection had begun before it was taken over.

        As far as the database says.
        """
        with suppress(GatewayError):
            wishes = await self.wishes_at(place.session, place.n)
            return wishes.transfer is not None and wishes.transfer_id == transfer.intent_id
        return False
