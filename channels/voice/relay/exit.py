"""How a call leaves a ConversationRelay session: its last words, and what its action is handed."""

import asyncio
import re
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from channels.voice.playback import Playback, Send, Utterance
from channels.voice.relay.frames import end
from channels.voice.wishes import Wishes

HANG_UP = "hang_up"
TRANSFER = "transfer"
"""What `handoffData` may ask of the action: `do`."""
_LONGEST_WAIT = 60.0
"""Seconds for the last words."""


@dataclass(frozen=True, slots=True)
class Handoff:
    """What a session left."""

    do: str = ""
    """HANG_UP, TRANSFER, or "" where it broke off."""
    n: int = 0
    session: str = ""


_HANDOFF: TypeAdapter[Handoff] = TypeAdapter(Handoff)
_SESSION = re.compile(r"[A-Za-z0-9]{1,64}")


def read_handoff(text: str) -> Handoff:
    """The `HandoffData` of an action; what is none of ours counts as none."""
    try:
        left = _HANDOFF.validate_json(text)
    except ValidationError:
        return Handoff()
    return left if left.do in (HANG_UP, TRANSFER) and _SESSION.fullmatch(left.session) else Handoff()


class Exit:
    """The end of one session."""

    def __init__(self, session: str, playback: Playback, send: Send) -> None:
        self.begun = False
        """The call is being passed on or ended: nothing stops that."""
        self.over = False
        """Twilio has been told."""
        self._session = session
        self._playback = playback
        self._send = send

    async def pass_on(self, wishes: Wishes, n: int, lang: str | None) -> None:
        """Input number `n` led to a transfer: it is announced, and the action dials."""
        self.begun = True
        transfer = wishes.transfer
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
        await self._send(end({**handoff, "session": self._session}))
        self.over = True
