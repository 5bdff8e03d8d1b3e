"""A voice host without telephones: a script is the caller, and the people whom a transfer calls.

It keeps to the contract as the reference host does: the same ledger, the same warm machine, the same queues.
What is said takes no time; `interrupt` has the caller speak over what is still being made.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from channels.voice.host.fake_people import People, Person
from channels.voice.host.ledger import Json, Ledger
from channels.voice.host.queues import GatewayQueues
from channels.voice.host.say import Piece, Utterances
from gateway.domain.clock import Clock, rfc3339
from gateway.domain.ids import new_id
from gateway.domain.intent import CallTransferIntent, DtmfInputSpec, IntentKind, TransferMode
from gateway.domain.outcome import TransferState
from gateway.domain.voice import VoiceIntent
from gateway.domain.warm.state import Warm, WarmPlan

SINGLE_KEYS = ("refer", "bridge", "hold", "dtmf_events", "streaming_text")
"""The capabilities of a host that reports keys as they are pressed, and speaks as it is told."""


class CallRefused(Exception):
    """The gateway does not take the call."""


class FakeCall:
    """One call: what the caller does, and has heard."""

    def __init__(self, call_id: str, host: "FakeHost", people: Sequence[Person]) -> None:
        self.call_id = call_id
        self.said: list[str] = []
        """What the caller has heard, utterance by utterance; of one that they spoke over, the beginning."""
        self.partial = ""
        """What is being said."""
        self.pieces: list[str] = []
        """What the host was given to say, piece by piece."""
        self.people = People(people)
        self.collecting: DtmfInputSpec | None = None
        self.ended = ""
        """Why it is over."""
        self.accepted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._host = host
        self._utterances = Utterances()
        self._speaking = ""
        self._spoken_over: set[str] = set()
        self._changed = asyncio.Event()
        self._acting: set[asyncio.Task[None]] = set()

    async def until(self, condition: Callable[[], bool], seconds: float = 30.0) -> None:
        """Wait for something; TimeoutError if it does not come."""
        async with asyncio.timeout(seconds):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def say(self, text: str) -> None:
        """The caller speaks."""
        self.tell("user.speech", text=text, final=True)

    def press(self, keys: str) -> None:
        """The caller presses keys, each reported as it is pressed."""
        for key in keys:
            self.tell("user.dtmf", digits=key, ended_by=None)

    def interrupt(self, heard: str) -> None:
        """The caller speaks over what is being said, having heard this of it."""
        self._spoken_over.add(self._speaking)
        self.said.append(heard)
        self.partial = ""
        self.tell("user.interrupted", spoken_text=heard)

    def hang_up(self) -> None:
        """The caller is gone."""
        self.end("caller")

    def end(self, reason: str) -> None:
        """It is over."""
        if not self.ended:
            self.ended = reason
            self.tell("call.ended", reason=reason)

    def tell(self, kind: str, **fields: object) -> None:
        """Report an event."""
        at = rfc3339(self._host.clock.now())
        self._host.queues.report({"kind": kind, "call_id": self.call_id, **fields, "at": at})
        self._changed.set()

    def act(self, intent: VoiceIntent) -> None:
        """Do what the gateway wants."""
        payload = intent.payload
        match intent.kind:
            case IntentKind.SAY:
                self._speak(Piece.model_validate({**payload, "intent_id": intent.intent_id}))
            case IntentKind.COLLECT_DTMF:
                self.collecting = DtmfInputSpec.model_validate(payload)
            case IntentKind.TRANSFER | IntentKind.HANG_UP:
                task = asyncio.create_task(self._part(intent))
                self._acting.add(task)
                task.add_done_callback(self._acting.discard)
            case IntentKind.CANCEL:
                self._settle(intent.intent_id, state="done")
        self._changed.set()

    async def _part(self, intent: VoiceIntent) -> None:
        """When the words before it are spoken."""
        after = intent.payload.get("after")
        if after:
            with suppress(TimeoutError):
                async with asyncio.timeout(10):
                    await self._utterances.finished(after)
        if intent.kind is IntentKind.HANG_UP:
            self._settle(intent.intent_id, state="done")
            self.end("agent")
        else:
            self._transfer(intent)
        self._changed.set()

    def _speak(self, piece: Piece) -> None:
        for spoken in self._utterances.add(piece):
            self.pieces.append(spoken.text)
            cut = spoken.utterance_id in self._spoken_over
            if not cut:
                self._begin(spoken.utterance_id)
                self.partial += spoken.text
            if not spoken.final:
                continue
            if not cut:
                self.said.append(self.partial)
                self.partial = ""
            self._settle(spoken.intent_id, state="interrupted" if cut else "spoken")

    def _begin(self, utterance_id: str) -> None:
        """One that has no end, and after which another begins, was broken off."""
        if utterance_id != self._speaking and self.partial:
            self.said.append(self.partial)
            self.partial = ""
        self._speaking = utterance_id

    def _transfer(self, intent: VoiceIntent) -> None:
        wanted = CallTransferIntent.model_validate(intent.payload)
        if wanted.mode is TransferMode.COLD:
            self.people.called.append(wanted.destination)
            self._settle(intent.intent_id, state=TransferState.TRANSFERRED.value, method_used="refer")
            self.end("transferred")
            return
        plan = WarmPlan.of(wanted, str(intent.payload.get("briefing_text") or ""))
        moved = partial(self._moved, intent.intent_id)
        warm = self.people.play(plan, self._host.clock.now(), self.said.append, moved)
        assert warm.outcome is not None, "every person of the script has done something"
        reason = warm.outcome.reason
        self._settle(
            intent.intent_id,
            state=warm.outcome.state.value,
            reason=None if reason is None else reason.value,
            method_used="bridge",
            attempt=warm.attempt,
            destination_index=warm.destination_index,
        )
        if warm.outcome.state is TransferState.TRANSFERRED:
            self.end("transferred")

    def _moved(self, intent_id: str, warm: Warm) -> None:
        place = {"attempt": warm.attempt, "destination_index": warm.destination_index}
        self._number("intent.progress", intent_id, state=warm.stage.value, **place)

    def _settle(self, intent_id: str, **fields: object) -> None:
        self._number("intent.outcome", intent_id, **fields)

    def _number(self, kind: str, intent_id: str, **fields: object) -> None:
        seq = self._host.ledger.next_number(self.call_id)
        self.tell(kind, intent_id=intent_id, seq=seq, **fields)


class FakeHost:
    """A host on the queues of a gateway."""

    def __init__(self, amqp: tuple[str, str], host_id: str, folder: Path, clock: Clock) -> None:
        """`amqp`: the URL of the broker and the prefix of all names; `folder`: where its ledger may be."""
        self.clock = clock
        self.ledger = Ledger(folder / f"{host_id}.jsonl")
        self.queues = GatewayQueues(*amqp, host_id, self.ledger, clock)
        self._known: set[str] = set()
        self._host_id = host_id
        self._calls: dict[str, FakeCall] = {}

    async def start(self) -> None:
        """Register."""
        await self.queues.start(self._told)

    async def stop(self) -> None:
        """Be gone."""
        await self.queues.stop()
        self.ledger.close()

    async def call(
        self,
        sender: str,
        recipient: str,
        people: Sequence[Person] = (),
        capabilities: Sequence[str] = SINGLE_KEYS,
    ) -> FakeCall:
        """Somebody calls; `people`: what those do whom transfers call, one after the other. CallRefused."""
        call = FakeCall(new_id(), self, people)
        self._calls[call.call_id] = call
        self.ledger.call_begins(call.call_id)
        call.tell(
            "call.started",
            **{"host_id": self._host_id, "direction": "inbound", "from": sender, "to": recipient},
            transport="pstn",
            capabilities=list(capabilities),
        )
        async with asyncio.timeout(30):
            await call.accepted
        return call

    def _told(self, kind: str, data: Json) -> Callable[[], None]:
        call = self._calls.get(str(data.get("call_id")))
        if call is None:
            return lambda: None
        if kind == "voice.event":
            return lambda: self._answered(call, data)
        intent = VoiceIntent.model_validate(data)
        if intent.intent_id in self._known:
            return lambda: None
        self._known.add(intent.intent_id)
        return lambda: call.act(intent)

    def _answered(self, call: FakeCall, data: Json) -> None:
        if call.accepted.done():
            return
        if data.get("kind") == "call.accepted":
            call.accepted.set_result(None)
        else:
            call.accepted.set_exception(CallRefused(str(data.get("reason"))))
