"""What a turn wanted of a call and nobody has done: its connection broke before its end."""

import logging
from dataclasses import dataclass

from channels.voice.parties import Parties, input_id
from channels.voice.wishes import Wishes, wishes_of
from gateway.domain.conversation import Status
from gateway.domain.errors import GatewayError
from gateway.domain.ports.dialogue import Dialogue
from gateway.domain.turn import Path, TurnOutcome

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Unfollowed:
    """Why the conversation of one connection's call waits for a person, as far as the connection knows."""

    dialogue: Dialogue
    parties: Parties
    session: str
    _known: bool = False

    def follows(self, outcome: TurnOutcome) -> None:
        """This connection does what a turn has led to."""
        self._known = self._known or outcome.path is Path.HANDOFF

    async def look(self, conversation_id: str, status: Status, n: int) -> Wishes | None:
        """What is to be done and nobody has begun: from now on it is what input number `n` here led to."""
        if status is not Status.WAITING_FOR_HUMAN:
            self._known = False
            return None
        if self._known:
            return None
        place = (self.parties.provider, input_id(self.parties.sid, n, self.session))
        try:
            outcome = await self.dialogue.take_transfer(conversation_id, *place)
        except GatewayError as error:  # it is looked for again
            extra = {
                "action": "voice.transfer_unread",
                "call_sid": self.parties.sid,
                "code": error.code.value,
            }
            log.warning("voice transfer unread", extra=extra)
            return None
        self._known = True
        wishes = None if outcome is None else wishes_of(outcome.intents)
        return None if wishes is None or wishes.transfer is None else wishes
