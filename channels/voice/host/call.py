"""A call that the host holds: what the caller does becomes events, what the gateway wants is done.

Nothing is done before the ledger has it; each intent ends once.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from typing import Any

from channels.voice.host.cold import ColdTransfer
from channels.voice.host.intake import Wanted, take
from channels.voice.host.ledger import Json
from channels.voice.host.leg import Happenings, Leg
from channels.voice.host.outcomes import Outcome
from channels.voice.host.say import Piece, Utterances
from channels.voice.host.sdp import Session
from channels.voice.host.sip.transactions import ServerTransaction
from channels.voice.host.site import Site
from channels.voice.host.warm import Hands, WarmTransfer
from gateway.domain.clock import SECOND, rfc3339
from gateway.domain.digits import DigitCollector, Digits, EndedBy, Said
from gateway.domain.intent import DtmfInputSpec, OnFailure, TransferMode
from gateway.domain.intent_payloads import CancelPayload, HangUpPayload, TransferPayload
from gateway.domain.outcome import TransferReason, TransferState
from gateway.domain.voice import VoiceIntent
from gateway.domain.warm.state import WarmPlan

AFTER_SECONDS = 10.0
"""For the last words before a transfer or the end; then they are given up."""


class HostedCall:
    """One call, from its announcement to its end."""

    def __init__(self, call_id: str, site: Site, ours: str, sip_call_id: str = "") -> None:
        self.call_id = call_id
        self._site = site
        self._ours = ours
        self.ended: Callable[[HostedCall], None] = lambda _call: None
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: dict[str, asyncio.Task[None]] = {}
        """What waits for words, by intent."""
        self._utterances = Utterances()
        self._collector = DigitCollector()
        self._collecting: str | None = None
        self._flush: asyncio.TimerHandle | None = None
        self._cold: ColdTransfer | None = None
        self._warm: WarmTransfer | None = None
        self._transfer: str | None = None
        self._joined: Leg | None = None
        self.over = False
        happenings = Happenings(pressed=self._pressed, gone=self.caller_gone, said=self._said)
        self.leg = site.new_leg(happenings, sip_call_id)

    def announce(self, sender: str, recipient: str) -> None:
        """Tell the gateway of the call."""
        self._site.ledger.call_begins(self.call_id)
        self._tell(
            "call.started",
            **{"host_id": self._site.host_id, "direction": "inbound", "from": sender, "to": recipient},
            transport="sip",
            capabilities=["refer", "bridge", "hold", "dtmf_collected", "streaming_text"],
        )

    def begin(self, invite: ServerTransaction, session: Session) -> None:
        """The gateway has accepted the call: answer it."""
        self._spawn(self._begin(invite, session))

    async def _begin(self, invite: ServerTransaction, session: Session) -> None:
        await self.leg.open()
        self.leg.take(invite, session)

    def caller_gone(self) -> None:
        """The caller hung up: a transfer under way ends first."""
        if self._joined is not None:
            self._spawn(self._joined.hang_up())
        self._leave_transfer()
        if self._transfer is None:
            self.end("caller")

    def _leave_transfer(self) -> None:
        for transfer in (self._cold, self._warm):
            if transfer is not None:
                transfer.caller_gone()

    def end(self, reason: str, intents: TransferState = TransferState.CANCELED) -> None:
        """The call is over. What the gateway still wanted of it ends, too."""
        if self.over:
            return
        self.over = True
        self._collector.discard()
        self._schedule()
        for intent_id in self._site.ledger.running(self.call_id):
            self.settle(intent_id, state=intents.value)
        self._tell("call.ended", reason=reason)
        self._site.ledger.call_ends(self.call_id)
        self.ended(self)

    def take(self, intent: VoiceIntent) -> Callable[[], None]:
        """Keep what the gateway wants; what is returned does it. Raises ValueError for what is not valid."""
        return take(self, intent, self._site.ledger, self._site.clock)

    def act(self, wanted: Wanted) -> None:
        """Do what the gateway wants, unless it is wanted no more."""
        intent_id, payload = wanted.intent_id, wanted.payload
        if self.over or self._site.ledger.canceled(intent_id):
            if not isinstance(payload, Piece) or payload.final:
                self.settle(intent_id, state=TransferState.CANCELED.value)
            return
        match payload:
            case Piece():
                self._speak(payload)
            case DtmfInputSpec():
                self._collect(intent_id, payload)
            case TransferPayload(after=str(after)) | HangUpPayload(after=str(after)) if after:
                self._waiting[intent_id] = self._spawn(self._act_after(wanted, after))
            case TransferPayload():
                self._begin_transfer(intent_id, payload)
            case CancelPayload(intent_id=canceled):
                self._cancel(canceled)
                self.settle(intent_id, state="done")
            case HangUpPayload():
                self.settle(intent_id, state="done")
                self._leave_transfer()
                self._spawn(self._hang_up("agent"))

    async def _act_after(self, wanted: Wanted, utterance_id: str) -> None:
        """When the words before it are spoken, which come by a queue of their own, or never come."""
        with suppress(TimeoutError):
            async with asyncio.timeout(AFTER_SECONDS):
                await self._utterances.finished(utterance_id)
        self._waiting.pop(wanted.intent_id, None)
        self.act(replace(wanted, payload=wanted.payload.model_copy(update={"after": None})))

    def _speak(self, piece: Piece) -> None:
        """This host has no voice: what may be spoken has been. One report for the last piece."""
        for spoken in self._utterances.add(piece):
            if spoken.final:
                self.settle(spoken.intent_id, state="spoken")

    def _collect(self, intent_id: str, spec: DtmfInputSpec) -> None:
        if self._collecting is not None:
            self.settle(self._collecting, state=TransferState.CANCELED.value)
        self._collecting = intent_id
        self._hear(self._collector.retune(spec, self._site.clock.now()))

    def _pressed(self, key: str) -> None:
        if self._transfer is None and self._joined is None:
            self._hear(self._collector.press(key, self._site.clock.now()))

    def _said(self, text: str) -> None:
        if self._transfer is None and self._joined is None:
            self._hear(self._collector.say(text, self._site.clock.now()))

    def _tick(self) -> None:
        self._hear(self._collector.tick(self._site.clock.now()))

    def _hear(self, collected: list[Any]) -> None:
        for heard in collected:
            match heard:
                case Digits(text=digits, ended_by=ended_by):
                    early = ended_by is EndedBy.SPEECH  # for the gateway: no more keys came
                    told = EndedBy.TIMEOUT if early else ended_by
                    self._tell("user.dtmf", digits=digits, ended_by=told.value)
                    if self._collecting is not None:
                        self.settle(self._collecting, state="collected")
                        self._collecting = None
                case Said(text=text):
                    self._tell("user.speech", text=text, final=True)
        self._schedule()

    def _schedule(self) -> None:
        """Wake the collector when what was pressed so far is all."""
        if self._flush is not None:
            self._flush.cancel()
        due = self._collector.due
        if due is None:
            return
        left = max(0.0, (due - self._site.clock.now()) / SECOND)
        self._flush = asyncio.get_running_loop().call_later(left, self._tick)

    def _cancel(self, canceled: str) -> None:
        waiting = self._waiting.pop(canceled, None)
        if waiting is not None:
            waiting.cancel()
            self.settle(canceled, state=TransferState.CANCELED.value)
        elif canceled == self._transfer and self._warm is not None:
            self._warm.cancel()
        elif canceled == self._collecting:
            self.settle(canceled, state=TransferState.CANCELED.value)
            self._collecting = None

    def _begin_transfer(self, intent_id: str, transfer: TransferPayload) -> None:
        if self._transfer is not None or self._joined is not None:
            self.settle(intent_id, state=TransferState.REJECTED_BUSY.value)
            return
        self._transfer = intent_id
        self._collector.discard()
        self._schedule()
        self._spawn(self._run_transfer(intent_id, transfer))

    async def _run_transfer(self, intent_id: str, transfer: TransferPayload) -> None:
        if transfer.mode is TransferMode.WARM:
            outcome, then = await self._run_warm(intent_id, transfer)
        else:
            outcome, then = await self._run_cold(intent_id, transfer.destination), transfer.failure_action
        self._cold, self._transfer = None, None
        self.settle(intent_id, **outcome.fields())
        await self._after(outcome, then)

    async def _run_cold(self, intent_id: str, destination: str) -> Outcome:
        uri = self._site.uri_of(destination)
        if uri is None:
            return Outcome(TransferState.FAILED, TransferReason.INVALID_DESTINATION)
        self._progress(intent_id, "refer", 1, 0)
        self._cold = ColdTransfer(self.leg, notify_seconds=self._site.notify_seconds)
        return await self._cold.run(uri)

    async def _run_warm(self, intent_id: str, transfer: TransferPayload) -> tuple[Outcome, OnFailure | None]:
        hands = Hands(
            caller=self.leg,
            clock=self._site.clock,
            new_leg=lambda happenings: self._site.new_leg(happenings, ""),
            dial=self._dial,
            progress=lambda state, attempt, index: self._progress(intent_id, state, attempt, index),
        )
        self._warm = WarmTransfer(WarmPlan.of(transfer, transfer.briefing_text), hands)
        outcome, finish = await self._warm.run()
        if finish.then is OnFailure.COLD_TRANSFER and not self.leg.over:
            return await self._run_cold(intent_id, transfer.destination), OnFailure.RETURN_TO_AGENT
        return outcome, finish.then

    async def _after(self, outcome: Outcome, then: OnFailure | None) -> None:
        """What becomes of the caller: gone, with the person, or with the agent again."""
        joined = None if self._warm is None else self._warm.leg
        if outcome.state is TransferState.TRANSFERRED and outcome.method == "bridge" and joined is not None:
            self._joined = joined
            joined.happenings = Happenings(pressed=lambda _key: None, gone=self._person_gone)
            if joined.over:
                self._person_gone()
            elif self.leg.over:
                self.caller_gone()
        elif outcome.state.proven:
            await self._hang_up("transferred")
        elif self.leg.over:
            self.end("caller")
        elif then is OnFailure.HANGUP:
            await self._hang_up("transfer_failed")

    def _person_gone(self) -> None:
        self._spawn(self._hang_up("transferred"))

    async def _hang_up(self, reason: str) -> None:
        """The gateway is told first: the other side may take its time to answer the BYE."""
        joined, self._joined = self._joined, None
        self.end(reason)
        await self.leg.hang_up()
        if joined is not None:
            await joined.hang_up()

    async def _dial(self, leg: Leg, destination: str) -> int:
        uri = self._site.uri_of(destination)
        if uri is None:
            return 404
        host, port = self._site.layer.local
        return await leg.dial(uri, f"sip:{self._ours}@{host}:{port}", self._site.trunk)

    def _progress(self, intent_id: str, state: str, attempt: int, index: int) -> None:
        self._number("intent.progress", intent_id, state=state, attempt=attempt, destination_index=index)

    def repeat(self, outcome: Json) -> None:
        """Report an outcome again, as it was."""
        self._site.link.report(outcome)

    def settle(self, intent_id: str, **fields: Any) -> None:
        """Report how an intent ended, unless that is known."""
        known = self._site.ledger.intent(intent_id)
        if known is None or known.outcome is None:
            self._number("intent.outcome", intent_id, **fields)

    def _number(self, kind: str, intent_id: str, **fields: Any) -> None:
        seq = self._site.ledger.next_number(self.call_id)
        self._tell(kind, intent_id=intent_id, seq=seq, **fields)

    def _tell(self, kind: str, **fields: Any) -> None:
        at = rfc3339(self._site.clock.now())
        self._site.link.report({"kind": kind, "call_id": self.call_id, **fields, "at": at})

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
