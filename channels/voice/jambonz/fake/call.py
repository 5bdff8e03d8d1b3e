"""One call of the fake jambonz: the verbs it is given, and what its caller says, presses and hears.

Behaves as jambonz-feature-server does: an acknowledgement that holds verbs puts them in the place of those
that run; what listens in the background stays, and its input ends what is being said. Speech takes no time.
"""

import asyncio
import uuid
from collections import deque
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from channels.voice.jambonz.fake.callee import Callee
from channels.voice.jambonz.fake.listener import Listener
from channels.voice.jambonz.fake.voice import Voice
from channels.voice.jambonz.fake.wire import Abandoned, Verbs, Wire


class FakeJambonzCall:
    """A call, from the caller's side."""

    def __init__(self, url: str, authorization: str, sender: str, recipient: str, *, streams: bool) -> None:
        self.call_sid = str(uuid.uuid4())
        self.said: list[str] = []
        """What the caller was told, in order."""
        self.unheard: list[str] = []
        """What they said or pressed while nothing listened."""
        self.verbs: Verbs = []
        """Every verb that was begun."""
        self.callees: list[Callee] = []
        """Who was dialled, in order."""
        self.refer: dict[str, Any] | None = None
        """The REFER that is under way."""
        self.declined: int | None = None
        self.ended = False
        self.voice = Voice()
        self.mute = asyncio.Event()
        """Cleared, a `say` takes until it is set again."""
        self.mute.set()
        self.wire = Wire(url, authorization, self.call_sid, self._obey)
        self.status = "trying"
        """Its call_status."""
        self._info: dict[str, Any] = {"call_sid": self.call_sid, "direction": "inbound"}
        self._info |= {"from": sender, "to": recipient}
        self._streams = streams
        self._stack: deque[dict[str, Any]] = deque()
        self._more = asyncio.Event()
        self._verb: asyncio.Task[None] | None = None
        self._running: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._front: Listener | None = None
        self._back: Listener | None = None
        self._notifies = False
        self._done = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def listener(self) -> Listener | None:
        """What takes the caller's next words."""
        return self._front or self._back

    @property
    def callee(self) -> Callee | None:
        """Who is being called, or talked to."""
        return self.callees[-1] if self.callees and not self.callees[-1].over else None

    async def start(self, trunk: str = "carrier") -> None:
        """Announce the call."""
        data = self._info | {"call_status": "trying", "originating_sip_trunk_name": trunk}
        self._put(await self.wire.open(data))
        self._running = self.spawn(self._run())

    @property
    def info(self) -> dict[str, Any]:
        """What jambonz tells of the call."""
        return self._info | {"call_status": self.status}

    async def say(self, text: str, *, over: bool = True) -> None:
        """The caller speaks; `over`: with whatever is being said to them."""
        listener = await self._listening("speech")
        if listener is None:
            self.unheard.append(text)
            return
        if over:
            await self.interrupt()
        speech = {"language_code": "en-US", "is_final": True}
        speech["alternatives"] = [{"transcript": text, "confidence": 0.9}]
        await self._heard(listener, {"reason": "speechDetected", "speech": speech})

    async def press(self, keys: str) -> None:
        """The caller presses keys."""
        for key in keys:
            listener = await self._listening("digits")
            if listener is None:
                self.unheard.append(key)
                continue
            if not listener.digits:
                await self.interrupt(by="dtmf")
            digits = listener.press(key)
            if digits is not None:
                await self._heard(listener, {"reason": "dtmfDetected", "digits": digits})

    async def wait(self) -> None:
        """The caller presses no further key."""
        listener = self.listener
        digits = listener.time_out() if listener is not None else None
        if listener is not None and digits is not None:
            await self._heard(listener, {"reason": "dtmfDetected", "digits": digits})

    async def interrupt(self, heard: str | None = None, *, by: str = "speech") -> None:
        """The caller is heard over what is being said; `heard`: what was spoken, where the voice knows."""
        if self._notifies:
            await self.wire.report("verb:status", {"event": f"{by}-bargein-detected", "verb": "gather"})
        if self.voice.open:
            self.voice.clear()
            await self.wire.report("tts:streaming-event", {"event_type": "user_interruption"})
            if heard is not None:
                spoken = {"event_type": "tts_spoken", "text": heard, "bargein": True}
                await self.wire.report("tts:streaming-event", spoken)
        if self._back is not None:
            self._replace([])

    async def release(self) -> None:
        """What was held back is spoken."""
        self.voice.held = False
        if self.voice.release():
            await self.wire.report("tts:streaming-event", {"event_type": "stream_resumed"})

    async def refer_ended(self, status: int, final: int | None = None) -> None:
        """The answer to the REFER, and what became of it."""
        if self.refer is None:
            raise RuntimeError("no REFER is under way")
        hook = self.refer["actionHook"]
        data = {"refer_status": status} | ({} if final is None else {"final_referred_call_status": final})
        self._put(await self.hook(hook, data))
        self._done.set()

    async def refer_lost(self) -> None:
        """The REFER cannot even be sent: its hook is never asked (sip_refer.js)."""
        self._done.set()

    async def hang_up(self) -> None:
        """The caller hangs up."""
        await self._end({"call_status": "completed", "call_termination_by": "caller", "duration": 1})

    async def drop(self, *, idle: bool = False) -> None:
        """The connection breaks, not the call; `idle`: there is another when jambonz has something to say."""
        self.voice.clear()
        await self.wire.drop(idle=idle)

    async def redirect(self, hook: str | dict[str, str]) -> None:
        """The API has the call ask a hook for what comes next, a webhook where it is one."""
        with suppress(Abandoned):
            self._put(await self.wire.redirected(hook, self._info))

    async def hook(self, hook: str, data: dict[str, Any], kind: str = "verb:hook") -> Verbs:
        """Ask one of the gateway's hooks; where the connection breaks over it there are no verbs."""
        with suppress(Abandoned):
            return await self.ask(hook, data, kind)
        return []

    async def ask(self, hook: str, data: dict[str, Any], kind: str = "verb:hook") -> Verbs:
        """The same; raises Abandoned."""
        return await self.wire.request(kind, self._info | data, hook)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Beside what happens."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _heard(self, listener: Listener, data: dict[str, Any]) -> None:
        verbs = await self.hook(listener.hook, data)
        if listener is self._front:
            self._front = None
            self._done.set()
        self._put(verbs)

    async def _listening(self, what: str) -> Listener | None:
        """What listens, once a verb that is about to has begun."""
        await asyncio.sleep(0)
        listener = self.listener
        return listener if listener is not None and listener.hears(what) else None

    def _put(self, verbs: Verbs) -> None:
        if verbs:
            self._replace(verbs)

    def _replace(self, verbs: Verbs) -> None:
        self._stack = deque(verbs)
        if self._verb is not None and self._verb is not asyncio.current_task():
            self._verb.cancel()
        self._more.set()

    async def _obey(self, message: dict[str, Any]) -> None:
        command, data = message.get("command"), message.get("data")
        if command == "redirect" and message.get("queueCommand"):
            self._stack.extend(data or [])
            self._more.set()
        elif command == "redirect":
            self._replace(data or [])
        else:
            reports, text = self.voice.obey(command, data)
            for kind, told in reports:
                await self.wire.report(kind, told)
            self.said += [text] if text else []

    async def _run(self) -> None:
        self.status = "in-progress"
        await self.wire.report("call:status", self.info)
        while not self.ended:
            if not self._stack:
                self._more.clear()
                await self._more.wait()
                continue
            verb = self._stack.popleft()
            self.verbs.append(verb)
            self._verb = asyncio.create_task(self._do(verb))
            await asyncio.wait({self._verb})
            if not self._verb.cancelled():
                self._verb.result()
            self._verb = None

    async def _do(self, verb: dict[str, Any]) -> None:
        match verb["verb"]:
            case "config":
                await self._configure(verb)
            case "say":
                await self.mute.wait()
                self.said.append(verb["text"])
            case "gather":
                await self._gather(verb)
            case "dial":
                await self._dial(verb)
            case "sip:refer":
                self.refer = verb
                self._done.clear()
                await self._done.wait()
                self.refer = None
            case "redirect":
                self._put(await self.hook(verb["actionHook"], {}))
            case "hangup":
                await self._end({"call_status": "completed", "call_termination_by": "jambonz", "duration": 1})
            case "sip:decline":
                self.declined = verb["status"]
                await self._end({"call_status": "failed", "sip_status": verb["status"]})

    async def _configure(self, verb: dict[str, Any]) -> None:
        self._notifies = verb.get("notifyEvents", self._notifies)
        barge_in = verb.get("bargeIn")
        if barge_in is not None and not barge_in["enable"]:
            self._back = None
        elif barge_in is not None and self._back is None:
            self._back = Listener(barge_in, background=True)  # one that runs takes no new settings
        if verb.get("ttsStream", {}).get("enable") and self._streams and not self.voice.open:
            self.voice.open = True
            await self.wire.report("tts:streaming-event", {"event_type": "stream_open"})

    async def _gather(self, verb: dict[str, Any]) -> None:
        if self._back is not None:
            return  # skipped, as what listens in the background has its own settings
        self._front = Listener(verb, background=False)
        if "say" in verb:
            self.said.append(verb["say"]["text"])
        self._done.clear()
        try:
            await self._done.wait()
        finally:
            self._front = None

    async def _dial(self, verb: dict[str, Any]) -> None:
        callee = Callee(self, verb)
        self.callees.append(callee)
        try:
            results = await callee.results
        except asyncio.CancelledError:
            callee.hang_up_by_jambonz()
            if not self.ended:  # it is told of, and its answer counts for nothing (dial.js)
                self.spawn(self.hook(verb["actionHook"], {"dial_call_status": "completed"}))
            raise
        self._put(await self.hook(verb["actionHook"], results))

    async def _end(self, status: dict[str, Any]) -> None:
        """Once, whoever asks; it has ended when the connection is closed."""
        self.ended = True
        self.status = status["call_status"]
        if self._ending is None:
            self._ending = asyncio.create_task(self._leave(status))
        await asyncio.shield(self._ending)

    async def _leave(self, status: dict[str, Any]) -> None:
        await self.wire.report("call:status", self._info | status)
        await self.wire.close()
        self._more.set()
        for task in (self._verb, *self._tasks):
            if task is not None and task is not self._running:
                task.cancel()
