"""How a call leaves a ConversationRelay session: held, passed on or ended, with the last words."""

import asyncio
from typing import Any

from channels.voice.playback import Playback, Send, Utterance
from channels.voice.relay.frames import end
from channels.voice.relay.handoff import HANG_UP, HELD, TRANSFER
from channels.voice.relay.hold import RelayHold
from channels.voice.wishes import Wishes
from gateway.domain.intent import TransferMode

_LONGEST_WAIT = 60.0
"""Seconds for the last words."""


class Exit:
    """The end of one session."""

    def __init__(self, session: str, playback: Playback, send: Send, hold: RelayHold | None) -> None:
        """`hold`: None where nobody can be called."""
        self.holding = False
        """The caller is on hold for a transfer: what they say or press is nobody's."""
        self._hold = hold
        self.begun = False
        """The call is being passed on or ended: nothing stops that."""
        self.over = False
        """Twilio has been told."""
        self._session = session
        self._playback = playback
        self._send = send

    async def pass_on(self, wishes: Wishes, n: int, lang: str | None) -> None:
        """Input number `n` led to a transfer: it is announced, and the action dials.

        Of a warm one the caller is held here, and with the agent again where nobody takes the call.
        """
        self.begun = True
        transfer = wishes.transfer
        if self._hold is not None and transfer is not None and transfer.mode is TransferMode.WARM:
            self.holding = True
            returned = await self._hold.hold(wishes, n, lang)
            self.holding = False
            if returned is not None:
                self.begun = not returned
                if not returned:
                    await self._end({"do": HELD, "n": n})
                return
        if transfer is not None and transfer.connecting_text:
            line = Utterance(self._playback, "", lang, interruptible=False)
            await line.say(transfer.connecting_text)
            await line.end()
        await self._leave({"do": TRANSFER, "n": n})

    async def hang_up(self) -> None:
        """When all was said, the call ends."""
        await self._leave({"do": HANG_UP})

    async def _leave(self, handoff: dict[str, Any]) -> None:
        """When all was said, the session ends: an end cuts off what is still being spoken."""
        self.begun = True
        await asyncio.sleep(min(self._playback.seconds_left, _LONGEST_WAIT))
        await self._end(handoff)

    async def _end(self, handoff: dict[str, Any]) -> None:
        await self._send(end({**handoff, "session": self._session}))
        self.over = True
