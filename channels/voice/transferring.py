"""The transfers of calls that are carried by documents: how they begin, what follows when they are over.

A warm one is a matter of `channels.voice.warm` where somebody can be called, else it is a whisper.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from channels.contract import Ingress
from channels.twilio.requests import PROVIDER
from channels.voice.calls import Call
from channels.voice.notes import note
from channels.voice.opening import connect
from channels.voice.parties import input_id
from channels.voice.relay.handoff import HELD
from channels.voice.render import (
    Rendering,
    failure_downgrades,
    listen,
    render_next_attempt,
    render_transfer,
    render_transfer_failed,
    render_whisper,
)
from channels.voice.steps import Links, Step
from channels.voice.verbs import Gather, HangUp, Pause, Redirect, Say
from channels.voice.warm.documents import lines_since
from channels.voice.warm.routes import WarmCalls
from channels.voice.wishes import Wishes, wishes_of
from gateway.domain.call_rules import CallRules, CallTexts
from gateway.domain.errors import GatewayError
from gateway.domain.intent import TransferMode, WarmTransfer
from gateway.domain.message import InboundMessage
from gateway.domain.outcome import TransferState
from gateway.domain.turn import TurnOutcome
from gateway.domain.warm.held import HeldCall

MAX_REPORTS = 5
"""Tries to record a failed transfer while the database is away."""


@dataclass(frozen=True, slots=True)
class DocumentTransfers:
    """What the webhooks of transfers answer."""

    ingress: Ingress
    links: Links

    def rules(self, call: Call) -> CallRules:
        """What holds for the calls of this number."""
        return self.ingress.calls(call.parties.ours)

    def texts(self, call: Call) -> CallTexts:
        """What the gateway says itself to callers of this number."""
        return self.rules(call).texts

    @property
    def warm(self) -> WarmCalls | None:
        """Warm transfers, where somebody can be called."""
        transfers = self.ingress.warm
        return None if transfers is None else WarmCalls(transfers, self.links, self.rules, self.back)

    async def dialed(self, call: Call, step: Step) -> Rendering:
        """A transfer is over: whoever was reached has hung up, or nobody was reached."""
        wishes = await self._wishes(call, step)
        following = None if call.connected or call.over else render_next_attempt(wishes, self.links, step)
        if following is not None:
            return following
        report = call.transfer_outcome(step, wishes.transfer_id)
        return await self._transferred(call, step, wishes, report, self.links.dialed)

    async def referred(self, call: Call, step: Step) -> Rendering:
        """The caller's own side has called somebody else, or would not."""
        wishes = await self._wishes(call, step)
        report = call.refer_outcome(step, wishes.transfer_id)
        return await self._transferred(call, step, wishes, report, self.links.referred)

    async def whisper(self, call: Call, step: Step) -> Rendering:
        """The person of a transfer in one document has answered: they are briefed and asked."""
        outcome = await self._outcome_of(call, input_id(call.form.sid("ParentCallSid"), step.n, step.session))
        wishes = wishes_of(outcome.intents) if outcome else Wishes()
        return render_whisper(wishes, self.links, step, call.form.text("Digits"), self.texts(call).confirm)

    async def back(self, call: Call, held: HeldCall, step: Step) -> Rendering:
        """Nobody has taken the caller, who is told, and talks to the agent again."""
        finish = held.warm.outcome
        downgrades = failure_downgrades(finish.then if finish else None)
        said = lines_since(held, step.told)
        if step.session:
            told = " ".join(line.text for line in said)
            return Rendering(connect(self.links, told).verbs, downgrades)
        gather = Gather(action=self.links.input(Step(n=step.n + 1)), prompts=said)
        return Rendering((gather,), downgrades)

    async def _transferred(
        self,
        call: Call,
        step: Step,
        wishes: Wishes,
        report: InboundMessage,
        same: Callable[[Step], str],
    ) -> Rendering:
        """How a transfer has ended, which is reported; `same`: where the end of this one goes."""
        event = report.metadata["voice_event"]
        if TransferState(event["state"]).proven:
            await self.ingress.dialogue.end(report)
            return Rendering((HangUp(),))
        try:
            await self.ingress.accept(report)
        except GatewayError as error:
            note("transfer_report_failed", call.sid, code=error.code.value)
            if step.tries >= MAX_REPORTS:
                return Rendering((Say(self.texts(call).goodbye), HangUp()))
            again = replace(step, tries=step.tries + 1, reason=event["reason"])
            return Rendering((Pause(1), Redirect(same(again))))
        failed = render_transfer_failed(wishes, self.links, step.n)
        if step.transfer:
            failed = replace(failed, downgrades=())  # the caller was passed on at last, as was asked for
        if not step.session or any(isinstance(verb, HangUp) for verb in failed.verbs):
            return failed
        told = ((wishes.transfer and wishes.transfer.warm) or WarmTransfer()).failure_text
        return replace(connect(self.links, told), downgrades=failed.downgrades)

    async def left_on_hold(self, call: Call, do: str) -> HeldCall | None:
        """The transfer for which a session has let the caller go, or that it broke off in."""
        if self.warm is None or do not in (HELD, ""):
            return None
        try:
            held = await self.warm.of_call(call)
        except GatewayError as error:
            note("transfer_unread", call.sid, code=error.code.value)
            return None
        return held if held is not None and (do == HELD or not held.over) else None

    async def left_over(self, call: Call, step: Step, conversation_id: str) -> TurnOutcome | None:
        """A turn whose transfer nobody has begun, as its end was not heard: the input of `step` led to it."""
        known = await self.outcome(call, step)  # where this is asked once more
        if known is not None:
            return known
        try:
            return await self.ingress.dialogue.take_transfer(conversation_id, PROVIDER, call.input_id(step))
        except GatewayError as error:
            note("transfer_unread", call.sid, code=error.code.value)
            return None

    async def transfer(self, call: Call, step: Step, outcome: TurnOutcome, wishes: Wishes) -> Rendering:
        """The transfer that the input of `step` led to."""
        if wishes.transfer is None:
            return listen(self.links, step.n + 1, self.texts(call).apology)
        if self.warm is None or wishes.transfer.mode is not TransferMode.WARM:
            return render_transfer(wishes.transfer, self.links, step, refers=call.has_sip_leg)
        try:
            begun = await self.warm.begin(call, step, outcome, wishes)
        except GatewayError as error:
            note("transfer_failed", call.sid, code=error.code.value)
            begun = None
        if begun is None and step.session:
            return connect(self.links, self.texts(call).apology)
        return begun or listen(self.links, step.n + 1, self.texts(call).apology)

    async def _wishes(self, call: Call, step: Step) -> Wishes:
        outcome = await self.outcome(call, step)
        return wishes_of(outcome.intents) if outcome else Wishes()

    async def outcome(self, call: Call, step: Step) -> TurnOutcome | None:
        return await self._outcome_of(call, call.input_id(step))

    async def _outcome_of(self, call: Call, message_id: str) -> TurnOutcome | None:
        try:
            return await self.ingress.dialogue.outcome(PROVIDER, message_id, 0)
        except GatewayError as error:
            note("outcome_unread", call.sid, code=error.code.value)
            return None
