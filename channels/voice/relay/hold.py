"""A warm transfer's caller on hold within their ConversationRelay session, which the agent may have back.

The session only looks how the transfer stands and says what the caller has yet to be told, so that one that
breaks loses nothing: the action of its `<Connect>` goes on with the hold.
"""

import asyncio
import logging
from dataclasses import dataclass

from channels.contract import Ingress
from channels.voice.parties import Parties, input_id
from channels.voice.playback import Playback
from channels.voice.render import failure_downgrades
from channels.voice.warm.documents import returns_to_agent
from channels.voice.wishes import Wishes
from gateway.domain.call_rules import CallRules
from gateway.domain.errors import GatewayError
from gateway.domain.ports.warm import WarmTransfers
from gateway.domain.warm.held import HeldCall, NewTransfer
from gateway.domain.warm.state import Stage
from gateway.domain.warm.words import Spoken

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""How often: how long a person who has accepted waits for the caller at most."""


@dataclass(frozen=True, slots=True)
class RelayHold:
    """The holds of one session."""

    ingress: Ingress
    transfers: WarmTransfers
    parties: Parties
    session: str
    playback: Playback
    rules: CallRules

    async def hold(self, wishes: Wishes, n: int, lang: str | None) -> bool | None:
        """The transfer that input number `n` led to: whether the agent has the caller back.

        False: somebody else has, or nobody; the action knows. None: it could not begin.
        """
        held, told = await self._begin(wishes, n), 0
        while held is not None:
            for line in held.told[told:]:
                await self.playback.line(line, lang=lang)
            told = len(held.told)
            if returns_to_agent(held):
                if self.playback.playing:  # nothing was said that would have ended it
                    await self.playback.line(self.rules.texts.reminder, lang=lang)
                await self._tell_downgrades(held, n)
                return True
            if held.over or held.warm.stage is Stage.COMMIT:
                return False
            await self.playback.play(self.rules.hold_music)
            await asyncio.sleep(LOOK_SECONDS)
            held = await self._look(held)
        return None

    async def _begin(self, wishes: Wishes, n: int) -> HeldCall | None:
        if wishes.transfer is None or wishes.transfer_id is None:
            return None
        message_id = input_id(self.parties.sid, n, self.session)
        try:
            outcome = await self.ingress.dialogue.outcome(self.parties.provider, message_id, 0)
            if outcome is None:
                return None
            return await self.transfers.begin(
                NewTransfer(
                    id=wishes.transfer_id,
                    provider=self.parties.provider,
                    call_id=self.parties.sid,
                    conversation_id=outcome.conversation_id,
                    sender=self.parties.theirs,
                    recipient=self.parties.ours,
                    proven=self.parties.proven,
                    n=n,
                    session=self.session,
                    intent=wishes.transfer,
                    briefing=wishes.briefing,
                    persons=self.rules.texts.persons,
                )
            )
        except GatewayError as error:
            self._waits(error)
            return None

    async def _look(self, held: HeldCall) -> HeldCall | None:
        """As it stands now; while the database is away, as it stood."""
        try:
            if held.warm.speaking and not self.playback.seconds_left:
                return await self.transfers.happened(held.id, Spoken())
            return await self.transfers.find(held.id)
        except GatewayError as error:
            self._waits(error)
            return held

    async def _tell_downgrades(self, held: HeldCall, n: int) -> None:
        finish = held.warm.outcome
        for one in failure_downgrades(finish.then if finish else None):
            place, now = f"{self.session}:{n}", self.ingress.clock.now()
            event = self.parties.downgraded(place, one.field, one.substitute, now)
            try:
                await self.ingress.accept(event)
            except GatewayError as error:
                self._waits(error)

    def _waits(self, error: GatewayError) -> None:
        extra = {"action": "voice.transfer_waits", "call_sid": self.parties.sid, "code": error.code.value}
        log.warning("voice transfer waits", extra=extra)
