"""A machine has answered a call of ours: what is done about it is noted, and told by the API."""

from dataclasses import dataclass

from channels.contract import Ingress
from channels.voice.jambonz.messages import Screened
from channels.voice.jambonz.outgoing import Outgoing
from channels.voice.notes import note
from channels.voice.parties import Parties
from gateway.domain.errors import GatewayError


@dataclass(frozen=True, slots=True)
class Machine:
    """Whoever may have answered one call."""

    ingress: Ingress
    parties: Parties
    outgoing: Outgoing | None
    """None where we have not called them."""

    async def screened(self, screened: Screened) -> None:
        """jambonz has noticed something about them. A command that follows comes by its API."""
        if self.outgoing is None:
            return
        try:
            await self.outgoing.screened(screened, self.ingress.calls(self.parties.ours).on_machine)
        except GatewayError as error:
            note("detection_lost", self.parties.sid, code=error.code.value)

    async def told(self, text: str) -> None:
        """It is left this message, which was acknowledged."""
        left = self.parties.left(text, self.ingress.clock.now())
        try:
            if self.outgoing is not None:
                await self.outgoing.leaves_message()
            await self.ingress.accept(left)
        except GatewayError as error:
            note("message_unnoted", self.parties.sid, code=error.code.value)
