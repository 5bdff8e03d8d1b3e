"""Calls whose connection is gone: looked after by whoever had it, until jambonz is back or they are over.

jambonz makes a connection anew, but five of a call at most, and gives up where one is refused. From then on
nothing of ours reaches the caller, nor are we told that they have left. So jambonz is asked by its API how
the call stands. One that has ended is recorded. One whose caller talks to nobody, and for whom nobody is
called, is asked to come back, then said goodbye to, then hung up on. Without an account nothing can be done.
Source: ws-requestor.js and call-session.js of jambonz-feature-server.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum, auto

from channels.contract import Ingress
from channels.voice.jambonz.address import PROVIDER
from channels.voice.jambonz.call_states import call_state
from channels.voice.jambonz.legs import Called, Legs
from channels.voice.jambonz.messages import BACK_HOOK, CallStatus, Incoming
from channels.voice.jambonz.rest import JambonzRest
from channels.voice.notes import note
from gateway.domain.delivery import OutcomeUnknown
from gateway.domain.errors import GatewayError

LOOK_SECONDS = 5.0
"""Between two questions; jambonz is back sooner than that, if it can be."""
WAITS = 2
"""Looks at which a call that goes on is left alone: jambonz tries again for some seven seconds."""
LOOKS = 8_640
"""Twelve hours: jambonz forgets a call then."""
MAX_CALLS = 10_000
TELL_SECONDS = 10.0
"""For jambonz to take a command."""
LOST_PATH = "/webhooks/jambonz/lost"
"""Where jambonz asks what is said last."""
_ENDED = "completed"
JOINED = Incoming("", expects_ack=False, event=CallStatus(call_sid="-", call_status="in-progress"))
"""As jambonz tells of somebody who has answered; who it is does not matter."""


async def pause() -> None:
    """Between two looks at a call."""
    await asyncio.sleep(LOOK_SECONDS)


class _Told(Enum):
    """What jambonz was told about a call in silence, one after the other."""

    NOTHING = auto()
    TO_COME_BACK = auto()
    TO_SAY_GOODBYE = auto()
    TO_HANG_UP = auto()


_NEXT = {
    _Told.NOTHING: _Told.TO_COME_BACK,
    _Told.TO_COME_BACK: _Told.TO_SAY_GOODBYE,
    _Told.TO_SAY_GOODBYE: _Told.TO_HANG_UP,
    _Told.TO_HANG_UP: _Told.TO_HANG_UP,
}


@dataclass(frozen=True, slots=True)
class LostCall:
    """A call, and what is to be done about it."""

    call_sid: str
    number: int
    """Of the connection that is gone."""
    gone: Callable[[str], Awaitable[None]]
    """The call is over, in jambonz's word."""
    joined: Callable[[], Awaitable[None]]
    """The caller talks to somebody who was called for them. Both may be told of again."""


class LostCalls:
    """Those of one process."""

    def __init__(self, ingress: Ingress, rest: JambonzRest | None, login: str) -> None:
        """`login`: `user:password` of jambonz's at our webhooks."""
        self._connections = ingress.connections
        self.rest = rest
        """None without an account."""
        self._user, _, self._password = login.partition(":")
        self._place = f"{ingress.public_url}{LOST_PATH}"
        self._watched: dict[str, asyncio.Task[None]] = {}

    def back(self, call_sid: str) -> None:
        """A connection of this call is here."""
        task = self._watched.pop(call_sid, None)
        if task is not None:
            task.cancel()

    def watch(self, lost: LostCall) -> None:
        """The connection of a call that goes on is gone."""
        self.back(lost.call_sid)
        note("jambonz_disconnected", lost.call_sid)
        if self.rest is None or len(self._watched) >= MAX_CALLS:
            return
        task = asyncio.create_task(self._look_after(self.rest, lost))
        self._watched[lost.call_sid] = task
        task.add_done_callback(lambda _: self._forget(lost.call_sid, task))

    async def close(self) -> None:
        """Look after nothing any more."""
        tasks = list(self._watched.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self.rest is not None:
            await self.rest.close()

    def _forget(self, call_sid: str, task: asyncio.Task[None]) -> None:
        if self._watched.get(call_sid) is task:
            del self._watched[call_sid]

    async def _look_after(self, rest: JambonzRest, lost: LostCall) -> None:
        number, told, legs = lost.number, _Told.NOTHING, Legs(rest, lost.call_sid)
        for look in range(LOOKS):
            await pause()
            found = await rest.fetched(lost.call_sid)
            if isinstance(found, OutcomeUnknown):
                continue
            over = found is None or call_state(found.call_status).over
            if not over and look < WAITS:
                continue
            try:
                taken = await self._connections.take(PROVIDER, lost.call_sid, number)
            except GatewayError:
                continue
            if taken is None:  # another connection has it, in another process, or its end is known
                return
            number = taken
            if over:
                await lost.gone(_ENDED if found is None else found.call_status)
                return
            called = await legs.now()
            if called is Called.TALKS:
                await lost.joined()
            if called is Called.NOBODY:
                told = _NEXT[told]
                await self._tell(rest, lost.call_sid, told)
        note("jambonz_call_forgotten", lost.call_sid)

    async def _tell(self, rest: JambonzRest, call_sid: str, told: _Told) -> None:
        change: dict[str, object] = {"call_status": _ENDED}
        if told is _Told.TO_COME_BACK:
            change = {"call_hook": BACK_HOOK}
        elif told is _Told.TO_SAY_GOODBYE:
            login = {"username": self._user, "password": self._password}
            change = {"call_hook": {"url": self._place, "method": "POST", **login}}
        note("jambonz_call_in_silence", call_sid, told=told.name.lower())
        await rest.change(call_sid, change, TELL_SECONDS)
