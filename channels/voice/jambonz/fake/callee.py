"""Who a call of the fake jambonz dials: answers or not, and hears the verbs of the confirm hook first.

That hook fails open, as jambonz does: whoever is still there when its verbs have ended is joined with the
caller. Verbs that come later, as the answer of a gather, lose those that are not allowed there (`hangup`).
"""

import asyncio
import uuid
from collections import deque
from typing import TYPE_CHECKING, Any

from channels.voice.jambonz.fake.wire import Abandoned

if TYPE_CHECKING:
    from channels.voice.jambonz.fake.call import FakeJambonzCall

_ALLOWED = frozenset({"config", "gather", "say", "tag"})


class Callee:
    """One leg."""

    def __init__(self, call: "FakeJambonzCall", dial: dict[str, Any]) -> None:
        target = dial["target"][0]
        self.destination = str(target.get("number") or target.get("sipUri"))
        self.call_sid = str(uuid.uuid4())
        self.said: list[str] = []
        """What they were told before they were joined."""
        self.bridged = False
        self.asking: dict[str, Any] | None = None
        """The gather that waits for them."""
        self.results: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._call = call
        self._dial = dial
        self._stack: deque[dict[str, Any]] = deque()
        self._answered = False
        self._pressed: asyncio.Queue[str | None] = asyncio.Queue()
        self._confirming: asyncio.Task[None] | None = None

    @property
    def over(self) -> bool:
        """Whether the leg has ended."""
        return self.results.done()

    @property
    def status(self) -> str:
        """Its call_status."""
        if self.over:
            return "completed" if self._answered else "no-answer"
        return "in-progress" if self._answered else "ringing"

    async def answer(self) -> None:
        """They take the call."""
        self._answered = True
        data = {"call_sid": self.call_sid, "direction": "outbound", "call_status": "in-progress"}
        await self._call.wire.report("call:status", data)
        confirm = self._dial.get("confirmHook")
        if confirm is None:
            self.bridged = True
            return
        try:
            verbs = await self._call.ask(confirm, {"call_sid": self.call_sid}, "dial:confirm")
        except Abandoned:
            self.hang_up()
            return
        self._stack = deque(verbs)
        self._confirming = self._call.spawn(self._confirm())

    async def screened(self, what: str) -> None:
        """A machine, or a person, is recognised: `amd_machine_detected`, `amd_human_detected`."""
        await self._call.hook(self._dial["amd"]["actionHook"], {"type": what})

    def press(self, key: str) -> None:
        """They press a key."""
        self._pressed.put_nowait(key)

    def wait(self) -> None:
        """They press none while they are asked."""
        self._pressed.put_nowait(None)

    def refuse(self, status: str = "busy", sip_status: int = 486) -> None:
        """They do not take it."""
        self._end({"dial_call_status": status, "dial_sip_status": sip_status})

    def hang_up(self) -> None:
        """They hang up."""
        self._end({"dial_call_status": "completed", "dial_sip_status": 200})

    def hang_up_by_jambonz(self) -> None:
        """The dial is over, whatever became of it."""
        if self._confirming is not None and self._confirming is not asyncio.current_task():
            self._confirming.cancel()
        if not self.results.done():
            self.results.cancel()

    async def _confirm(self) -> None:
        while self._stack:
            verb = self._stack.popleft()
            if verb["verb"] == "say":
                self.said.append(verb["text"])
            elif verb["verb"] == "hangup":
                self.hang_up()
                return
            elif verb["verb"] == "gather":
                await self._gather(verb)
        self.bridged = True

    async def _gather(self, verb: dict[str, Any]) -> None:
        if "say" in verb:
            self.said.append(verb["say"]["text"])
        self.asking = verb
        key = await self._pressed.get()
        self.asking = None
        data = {"reason": "timeout"} if key is None else {"reason": "dtmfDetected", "digits": key}
        verbs = await self._call.hook(verb["actionHook"], data | {"call_sid": self.call_sid})
        allowed = [verb for verb in verbs if verb["verb"] in _ALLOWED]
        if allowed:
            self._stack = deque(allowed)

    def _end(self, results: dict[str, Any]) -> None:
        if not self.results.done():
            self.results.set_result(results | {"dial_call_sid": self.call_sid})
