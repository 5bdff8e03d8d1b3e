"""The conferences of the fake Twilio: who is in which room, when they hear each other, when it is over.

Source: https://www.twilio.com/docs/voice/twiml/conference
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from channels.twilio.fake.ledger import new_sid
from channels.twilio.fake.twiml import Join
from channels.twilio.fake.webhooks import Webhooks, WebhookUnreachable

Left = Callable[[], Awaitable[None]]
"""What a call does when its room is over."""


@dataclass(slots=True)
class Room:
    """One conference, from its first participant to its end."""

    name: str
    first: Join
    """Of whoever created it, which says who is told what."""
    sid: str = field(default_factory=lambda: new_sid("CF"))
    inside: dict[str, tuple[Join, Left]] = field(default_factory=dict)
    """By call, in order."""
    started: bool = False


class Rooms:
    """The conferences of one account."""

    def __init__(self, account_sid: str, webhooks: Webhooks) -> None:
        self.open: dict[str, Room] = {}
        """By name."""
        self.past: list[Room] = []
        """Those that are over."""
        self._account_sid = account_sid
        self._webhooks = webhooks
        self._tasks: set[asyncio.Task[None]] = set()

    def enter(self, call_sid: str, join: Join, left: Left) -> None:
        """A call comes in; the two hear each other once one is there with whom it may start."""
        room = self.open.setdefault(join.room, Room(join.room, join))
        room.inside[call_sid] = (join, left)
        self._tell(room, "join", "participant-join", call_sid)
        if not room.started and len(room.inside) > 1 and any(one.starts for one, _ in room.inside.values()):
            room.started = True
            self._tell(room, "start", "conference-start", call_sid)

    def leave(self, call_sid: str) -> None:
        """A call is in no room any more."""
        for room in list(self.open.values()):
            if call_sid not in room.inside:
                continue
            join, _ = room.inside.pop(call_sid)
            self._tell(room, "leave", "participant-leave", call_sid)
            if join.ends or not room.inside:
                self._end(room, call_sid)

    def together(self, call_sid: str) -> bool:
        """Whether a call is in a room that has started."""
        return any(room.started and call_sid in room.inside for room in self.open.values())

    async def stop(self) -> None:
        """Stop what runs in the background."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _end(self, room: Room, call_sid: str) -> None:
        del self.open[room.name]
        self.past.append(room)
        self._tell(room, "end", "conference-end", call_sid)
        others = [left for _, left in room.inside.values()]
        room.inside.clear()
        for left in others:
            self._run(left())

    def _tell(self, room: Room, event: str, name: str, call_sid: str) -> None:
        if room.first.callback and event in room.first.events:
            self._run(self._post(room, name, call_sid))

    async def _post(self, room: Room, name: str, call_sid: str) -> None:
        form = [
            ("AccountSid", self._account_sid),
            ("ConferenceSid", room.sid),
            ("FriendlyName", room.name),
            ("StatusCallbackEvent", name),
            ("CallSid", call_sid),
        ]
        try:
            await self._webhooks.post(room.first.callback, form)
        except WebhookUnreachable:
            return

    def _run(self, work: Awaitable[None]) -> None:
        async def done() -> None:
            await work

        task = asyncio.create_task(done())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
