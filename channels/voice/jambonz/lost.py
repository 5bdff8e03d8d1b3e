"""Calls whose connection is gone: looked after by whoever had it, until jambonz is back or they are over.

jambonz makes a connection anew, but five of a call at most, and gives up where one is refused. From then on
nothing of ours reaches the caller, nor are we told that they have left. So jambonz is asked by its API how
the call stands. One that has ended is recorded. One whose caller talks to nobody, and for whom nobody is
called, is asked to come back, then said goodbye to, then hung up on. Without an account nothing can be done.
A process that has all calls looks for those of its predecessor when it starts.
Source: ws-requestor.js and call-session.js of jambonz-feature-server.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial

from channels.contract import Ingress
from channels.voice.jambonz.address import PROVIDER, parties_of
from channels.voice.jambonz.call_states import call_state
from channels.voice.jambonz.legs import Called, Legs, SharedDials
from channels.voice.jambonz.messages import BACK_HOOK, CallStatus, Incoming
from channels.voice.jambonz.rest import JambonzRest, ListedCall
from channels.voice.notes import note
from gateway.domain.delivery import OutcomeUnknown
from gateway.domain.errors import GatewayError

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
"""Between two questions; jambonz is back sooner than that, if it can be."""
LIST_SECONDS = LOOK_SECONDS
"""How long it holds whom jambonz calls: a silent call begins no new dial meanwhile."""
WAITS = 2
"""Looks at which a call that goes on is left alone: jambonz tries again for some seven seconds."""
LOOKS = 8_640
"""Twelve hours: jambonz forgets a call then."""
FINDS = 60
"""Questions which calls are left, to a jambonz that does not answer."""
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
        self._dialogue, self._clock = ingress.dialogue, ingress.clock
        self._dials = None if rest is None else SharedDials(rest, ingress.clock, LIST_SECONDS)
        self._watched: dict[str, tuple[int, asyncio.Task[None]]] = {}
        """By call: the number of the connection that it has lost, and who looks after it."""
        self._here: Counter[str] = Counter()
        self._finding: asyncio.Task[None] | None = None

    def find_left(self) -> None:
        """Look for calls of the process before this one, which had them all: jambonz may not come back."""
        if self.rest is not None:
            self._finding = asyncio.create_task(self._find_left(self.rest))

    @contextmanager
    def here(self, call_sid: str) -> Iterator[None]:
        """A connection of this call is here, meanwhile."""
        self._here[call_sid] += 1
        try:
            yield
        finally:
            self._here[call_sid] -= 1
            if not self._here[call_sid]:
                del self._here[call_sid]

    def back(self, call_sid: str) -> None:
        """A call is looked after no more: a connection of it has it."""
        _, task = self._watched.pop(call_sid, (0, None))
        if task is not None:
            task.cancel()

    def watch(self, lost: LostCall) -> None:
        """The connection of a call that goes on is gone; one after it may have been lost before."""
        note("jambonz_disconnected", lost.call_sid)
        newest, _ = self._watched.get(lost.call_sid, (lost.number, None))
        if newest > lost.number:
            return
        self.back(lost.call_sid)
        if self.rest is None or len(self._watched) >= MAX_CALLS:
            return
        task = asyncio.create_task(self._look_after(self.rest, lost))
        self._watched[lost.call_sid] = (lost.number, task)
        task.add_done_callback(partial(self._forget, lost.call_sid))

    async def close(self) -> None:
        """Look after nothing any more."""
        tasks = [task for _, task in self._watched.values()]
        tasks += [] if self._finding is None else [self._finding]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self.rest is not None:
            await self.rest.close()

    async def _find_left(self, rest: JambonzRest) -> None:
        for _ in range(FINDS):
            await pause()
            found = await rest.under_way()
            if isinstance(found, OutcomeUnknown):
                continue
            for call in found:
                if not self._has(call.call_sid):
                    await self._take_left(call)
            return
        log.warning("jambonz does not tell which calls are left", extra={"action": "voice.jambonz_unasked"})

    def _has(self, call_sid: str) -> bool:
        """Whether this process has a call, or looks after it."""
        return call_sid in self._here or call_sid in self._watched

    async def _take_left(self, call: ListedCall) -> None:
        """Nobody has it: this process is the only one, and its conversation is ours."""
        with suppress(GatewayError):
            number = await self._connections.connect(PROVIDER, call.call_sid)
            if number is not None and not self._has(call.call_sid):
                self.watch(LostCall(call.call_sid, number, partial(self._end, call), _nothing))

    async def _end(self, call: ListedCall, status: str) -> None:
        told = CallStatus(
            call_sid=call.call_sid,
            direction=call.direction,
            sender=call.sender,
            recipient=call.recipient,
            trunk=call.trunk or "",
        )
        await self._dialogue.end(parties_of(told).ended(status, self._clock.now()))

    def _forget(self, call_sid: str, task: asyncio.Task[None]) -> None:
        _, newest = self._watched.get(call_sid, (0, None))
        if newest is task:
            del self._watched[call_sid]

    async def _look_after(self, rest: JambonzRest, lost: LostCall) -> None:
        number, told, legs = lost.number, _Told.NOTHING, Legs(self._dials, lost.call_sid)
        for look in range(LOOKS):
            await pause()
            found = await rest.fetched(lost.call_sid)
            if isinstance(found, OutcomeUnknown):
                continue
            over = found is None or call_state(found.call_status).over
            if not over and look < WAITS:
                continue
            called = Called.UNKNOWN if over else await legs.now()  # first: a call may be back meanwhile
            try:
                taken = await self._connections.take(PROVIDER, lost.call_sid, number)
                if taken is None:  # another connection has it, in another process, or its end is known
                    return
                number = taken
                if over:
                    await lost.gone(_ENDED if found is None else found.call_status)
                    return
            except GatewayError:
                continue
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


async def _nothing() -> None:
    """Who talks to whom was known to the process that is gone."""
