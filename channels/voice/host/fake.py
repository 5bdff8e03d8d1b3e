"""A voice host without telephones: a script is the caller, and the people whom a transfer calls.

It keeps to the contract as the reference host does: the same ledger, the same warm machine, the same queues.
What is said takes no time; `interrupt` has the caller speak over what is still being made.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from channels.voice.host.fake_people import People, Person
from channels.voice.host.intake import Wanted, take
from channels.voice.host.ledger import Json, Ledger
from channels.voice.host.queues import GatewayQueues
from channels.voice.host.say import Piece, Utterances
from gateway.domain.clock import Clock, rfc3339
from gateway.domain.ids import new_id
from gateway.domain.intent import DtmfInputSpec, TransferMode
from gateway.domain.intent_payloads import CancelPayload, HangUpPayload, TransferPayload
from gateway.domain.outcome import TransferState
from gateway.domain.voice import VoiceIntent
from gateway.domain.warm.state import Warm, WarmPlan

SINGLE_KEYS = ("refer", "bridge", "hold", "dtmf_events", "streaming_text")
"""The capabilities of a host that reports keys as they are pressed, and speaks as it is told."""


class CallRefused(Exception):
    """The gateway does not take the call."""


class FakeCall:
    """One call: what the caller does, and has heard."""

    def __init__(self, parties: tuple[str, str], host: "FakeHost", people: Sequence[Person]) -> None:
        """`parties`: who calls, and whom."""
        self.call_id = new_id()
        self.theirs, self.ours = parties
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
        self._pressed = 0
        self._changed = asyncio.Event()
        self._waiting: dict[str, asyncio.Task[None]] = {}
        """What waits for words, by intent."""

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
            self.tell("user.dtmf", digits=key, ended_by=None, n=self._pressed)
            self._pressed += 1

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
        """It is over, with all that was still to be done on it."""
        if not self.ended:
            self.ended = reason
            for intent_id in self._host.ledger.running(self.call_id):
                self.settle(intent_id, state=TransferState.CANCELED.value)
            self.tell("call.ended", reason=reason)
            self._host.ledger.call_ends(self.call_id)

    def tell(self, kind: str, **fields: object) -> None:
        """Report an event."""
        at = rfc3339(self._host.clock.now())
        self._host.queues.report({"kind": kind, "call_id": self.call_id, **fields, "at": at})
        self._changed.set()

    def act(self, wanted: Wanted) -> None:
        """Do what the gateway wants, unless it is wanted no more."""
        intent_id, payload = wanted.intent_id, wanted.payload
        match payload:
            case _ if self._host.ledger.canceled(intent_id):
                self.settle(intent_id, state=TransferState.CANCELED.value)
            case Piece():
                self._speak(payload)
            case DtmfInputSpec():
                self.collecting = payload
            case TransferPayload(after=str(after)) | HangUpPayload(after=str(after)) if after:
                task = self._waiting[intent_id] = asyncio.create_task(self._act_after(wanted, after))
                task.add_done_callback(lambda _task: self._waiting.pop(intent_id, None))
            case TransferPayload():
                self._transfer(intent_id, payload)
            case CancelPayload(intent_id=canceled):
                if canceled in self._waiting:
                    self._waiting[canceled].cancel()
                    self.settle(canceled, state=TransferState.CANCELED.value)
                self.settle(intent_id, state="done")
            case HangUpPayload():
                self.settle(intent_id, state="done")
                self.end("agent")
        self._changed.set()

    async def _act_after(self, wanted: Wanted, utterance_id: str) -> None:
        """When the words before it are spoken."""
        with suppress(TimeoutError):
            async with asyncio.timeout(10):
                await self._utterances.finished(utterance_id)
        self.act(replace(wanted, payload=wanted.payload.model_copy(update={"after": None})))

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
            self.settle(spoken.intent_id, state="interrupted" if cut else "spoken")

    def _begin(self, utterance_id: str) -> None:
        """One that has no end, and after which another begins, was broken off."""
        if utterance_id != self._speaking and self.partial:
            self.said.append(self.partial)
            self.partial = ""
        self._speaking = utterance_id

    def _transfer(self, intent_id: str, wanted: TransferPayload) -> None:
        if wanted.mode is TransferMode.COLD:
            self.people.called.append(wanted.destination)
            self.settle(intent_id, state=TransferState.TRANSFERRED.value, method_used="refer")
            self.end("transferred")
            return
        plan = WarmPlan.of(wanted, wanted.briefing_text)
        moved = partial(self._moved, intent_id)
        warm = self.people.play(plan, self._host.clock.now(), self.said.append, moved)
        assert warm.outcome is not None, "every person of the script has done something"
        reason = warm.outcome.reason
        self.settle(
            intent_id,
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

    def repeat(self, outcome: Json) -> None:
        """Report an outcome again, as it was."""
        self._host.queues.report(outcome)

    def settle(self, intent_id: str, **fields: object) -> None:
        """Report how an intent ended, unless that is known."""
        known = self._host.ledger.intent(intent_id)
        if known is None or known.outcome is None:
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
        call = FakeCall((sender, recipient), self, people)
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
        return take(call, VoiceIntent.model_validate(data), self.ledger, self.clock)

    def _answered(self, call: FakeCall, data: Json) -> None:
        if call.accepted.done():
            return
        if data.get("kind") == "call.accepted":
            call.accepted.set_result(None)
        else:
            call.accepted.set_exception(CallRefused(str(data.get("reason"))))
