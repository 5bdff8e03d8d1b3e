"""The webhooks of calls in TwiML mode: Twilio asks what to do next, each time with what has happened.

Twilio waits 15 s for an answer, so a turn is waited for 10 s and then asked for again behind a filler. No
state is kept here: see `channels.voice.steps`.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from channels.contract import Ingress
from channels.twilio.credentials import TwilioCredentials
from channels.twilio.requests import PROVIDER, proven_form, twiml
from channels.voice import steps
from channels.voice.calls import Call
from channels.voice.opening import connect, opened
from channels.voice.parties import input_id
from channels.voice.relay.exit import HANG_UP, TRANSFER, read_handoff
from channels.voice.render import (
    Rendering,
    failure_downgrades,
    hold,
    listen,
    render_next_attempt,
    render_outcome,
    render_transfer,
    render_transfer_failed,
    render_whisper,
)
from channels.voice.steps import Links, Step
from channels.voice.verbs import Gather, HangUp, Pause, Redirect, Say
from channels.voice.warm.documents import lines_since
from channels.voice.warm.routes import WarmCalls
from channels.voice.wishes import Wishes, is_waiting, wishes_of
from channels.webhooks import invalid, webhook
from gateway.domain.call_rules import CallTexts
from gateway.domain.errors import GatewayError
from gateway.domain.intent import TransferMode, WarmTransfer
from gateway.domain.message import InboundMessage
from gateway.domain.outcome import TransferState
from gateway.domain.turn import Path, TurnOutcome
from gateway.domain.warm.held import HeldCall

log = logging.getLogger(__name__)

WAIT_SECONDS = 10.0
"""For a turn, in one request."""
MAX_POLLS = 6
"""With the first wait: 70 s, which is longer than a turn may take."""
MAX_SILENCES = 2
"""Reminders before the gateway hangs up."""
MAX_HOLDS = 30
"""Silent rounds on hold before the gateway hangs up: ten minutes."""
MAX_CONNECTS = 3
"""Sessions one after the other that broke off; then the gateway hangs up."""
MAX_REPORTS = 5
"""Tries to record a failed transfer while the database is away."""


def voice_routes(ingress: Ingress, twilio: TwilioCredentials) -> list[Route]:
    """The webhooks under /webhooks/twilio/voice, to be mounted on the public surface."""
    calls = _TwimlCalls(ingress, Links(ingress.public_url))

    def route(path: str, answer: Callable[[Call, Step], Awaitable[Rendering]]) -> Route:
        async def endpoint(request: Request) -> Response:
            form = await proven_form(request, ingress.public_url, twilio)
            try:
                step = Step.parse(request.query_params)
            except ValueError as error:
                raise invalid(f"This URL is not one of this gateway's: {error}.") from None
            call = Call(form, ingress.clock.now())
            rendering = await answer(call, step)
            await calls.tell_downgrades(call, step, rendering)
            return twiml(rendering.twiml)

        return Route(path, webhook(endpoint), methods=["POST"])

    return [
        route(steps.START_PATH, calls.start),
        route(steps.INPUT_PATH, calls.input),
        route(steps.WAIT_PATH, calls.wait),
        route(steps.DIALED_PATH, calls.dialed),
        route(steps.STATUS_PATH, calls.status),
        route(steps.RELAYED_PATH, calls.relayed),
        route(steps.REFERRED_PATH, calls.referred),
        route(steps.WHISPER_PATH, calls.whisper),
        *(route(path, answer) for path, answer in (calls.warm.routes() if calls.warm else {}).items()),
    ]


@dataclass(frozen=True, slots=True)
class _TwimlCalls:
    """What each webhook answers."""

    ingress: Ingress
    links: Links

    @property
    def warm(self) -> WarmCalls | None:
        """Warm transfers, where somebody can be called."""
        transfers = self.ingress.warm
        return None if transfers is None else WarmCalls(transfers, self.links, self.texts, self.back)

    async def tell_downgrades(self, call: Call, step: Step, rendering: Rendering) -> None:
        """What this host cannot do exactly is said in the conversation."""
        for one in rendering.downgrades:
            _note("capability_downgrade", call, field=one.field)
            event = call.parties.downgraded(step.place, one.field, one.substitute, call.received_at)
            try:
                await self.ingress.accept(event)
            except GatewayError as error:
                _note("downgrade_lost", call, code=error.code.value)

    def texts(self, call: Call) -> CallTexts:
        """What the gateway says itself to callers of this number."""
        return self.ingress.calls(call.parties.ours).texts

    async def start(self, call: Call, step: Step) -> Rendering:
        """A call comes in: it must be stored before it is answered (UnknownAddress, Unavailable)."""
        return await opened(self.ingress, self.links, call)

    async def input(self, call: Call, step: Step) -> Rendering:
        """The caller has said or pressed something, or nothing."""
        if not call.heard(step):
            return await (self._held(call, step) if step.holds else self._silence(call, step))
        try:
            outcome = await self.ingress.dialogue.ask(call.input(step), WAIT_SECONDS)
        except GatewayError as error:
            return self._failed(call, step, error)
        return await self._answered(call, step, outcome)

    async def wait(self, call: Call, step: Step) -> Rendering:
        """A turn was not ready the last time."""
        try:
            outcome = await self.ingress.dialogue.outcome(PROVIDER, call.input_id(step), WAIT_SECONDS)
        except GatewayError as error:
            return self._failed(call, step, error)
        return await self._answered(call, step, outcome)

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
        return render_whisper(wishes, self.links, step, call.form.text("Digits"))

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
            _note("transfer_report_failed", call, code=error.code.value)
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

    async def relayed(self, call: Call, step: Step) -> Rendering:
        """A ConversationRelay session is over: as it asked, or broken off, and then another one goes on."""
        if call.over:
            return await self.status(call, step)
        left = read_handoff(call.form.text("HandoffData"))
        if left.do == HANG_UP:
            return Rendering((HangUp(),))
        if left.do == TRANSFER:
            from_here = Step(n=left.n, session=left.session)
            outcome = await self._outcome(call, from_here)
            wishes = wishes_of(outcome.intents) if outcome else Wishes()
            if outcome is not None and wishes.transfer is not None:
                said = wishes.transfer.model_copy(update={"connecting_text": None})
                return await self._transfer(call, from_here, outcome, replace(wishes, transfer=said))
        _note("relay_broken", call, error=call.form.text("ErrorCode")[:10])
        if step.tries >= MAX_CONNECTS:
            return Rendering((Say(self.texts(call).goodbye), HangUp()))
        return connect(self.links, self.texts(call).apology, step.tries + 1)

    async def status(self, call: Call, step: Step) -> Rendering:
        """Twilio reports the call's progress; its end closes the conversation (Unavailable)."""
        if call.over:
            if self.warm is not None:
                await self.warm.caller_gone(call)
            await self.ingress.dialogue.end(call.ended(call.form.text("CallStatus")))
        return Rendering(())

    async def _answered(self, call: Call, step: Step, outcome: TurnOutcome | None) -> Rendering:
        if outcome is not None:
            wishes = wishes_of(outcome.intents)
            for kind in wishes.invalid:
                _note("intent_invalid", call, kind=kind)
            if wishes.transfer is not None and outcome.path is Path.HANDOFF and not outcome.ended:
                said = (Say(outcome.text),) if outcome.text.strip() else ()
                transfer = await self._transfer(call, Step(n=step.n), outcome, wishes)
                return replace(transfer, verbs=(*said, *transfer.verbs))
            return render_outcome(outcome, self.links, step.n, self.texts(call), refers=call.has_sip_leg)
        if step.tries >= MAX_POLLS:
            return listen(self.links, step.n + 1, self.texts(call).apology)
        again = Redirect(self.links.wait(Step(n=step.n, tries=step.tries + 1)))
        return Rendering((Say(self.texts(call).filler), again) if step.tries == 0 else (Pause(1), again))

    async def _transfer(self, call: Call, step: Step, outcome: TurnOutcome, wishes: Wishes) -> Rendering:
        """The transfer that the input of `step` led to."""
        if wishes.transfer is None:
            return listen(self.links, step.n + 1, self.texts(call).apology)
        if self.warm is None or wishes.transfer.mode is not TransferMode.WARM:
            return render_transfer(wishes.transfer, self.links, step, refers=call.has_sip_leg)
        try:
            begun = await self.warm.begin(call, step, outcome, wishes)
        except GatewayError as error:
            return self._failed(call, step, error)
        return begun or listen(self.links, step.n + 1, self.texts(call).apology)

    async def _silence(self, call: Call, step: Step) -> Rendering:
        if step.silences >= MAX_SILENCES:
            await self.ingress.dialogue.end(call.ended("silence"))
            return Rendering((Say(self.texts(call).goodbye), HangUp()))
        again = replace(step, silences=step.silences + 1)
        prompt = (Say(self.texts(call).reminder),)
        return Rendering((Gather(action=self.links.input(again), prompts=prompt, digits=step.digits),))

    async def _held(self, call: Call, step: Step) -> Rendering:
        """On hold, and nothing was said: what was asked last may have been answered meanwhile."""
        answered = step.n - 1
        outcome = await self._outcome(call, Step(n=answered))
        if outcome is not None and not is_waiting(outcome):
            if outcome.path is Path.HANDOFF and not outcome.ended:
                return listen(self.links, step.n, self.texts(call).reminder)
            return render_outcome(outcome, self.links, answered, self.texts(call))
        if step.holds >= MAX_HOLDS:
            await self.ingress.dialogue.end(call.ended("hold_timeout"))
            return Rendering((Say(self.texts(call).goodbye), HangUp()))
        return hold(self.links, replace(step, holds=step.holds + 1), Say(self.texts(call).reassurance))

    def _failed(self, call: Call, step: Step, error: GatewayError) -> Rendering:
        """The caller is asked again under the next number: this input may or may not have been stored."""
        _note("input_failed", call, code=error.code.value)
        return listen(self.links, step.n + 1, self.texts(call).apology)

    async def _wishes(self, call: Call, step: Step) -> Wishes:
        outcome = await self._outcome(call, step)
        return wishes_of(outcome.intents) if outcome else Wishes()

    async def _outcome(self, call: Call, step: Step) -> TurnOutcome | None:
        return await self._outcome_of(call, call.input_id(step))

    async def _outcome_of(self, call: Call, message_id: str) -> TurnOutcome | None:
        try:
            return await self.ingress.dialogue.outcome(PROVIDER, message_id, 0)
        except GatewayError as error:
            _note("outcome_unread", call, code=error.code.value)
            return None


def _note(what: str, call: Call, **fields: str) -> None:
    """A line in the log, with nothing of what was said or pressed."""
    extra = {"action": f"voice.{what}", "call_sid": call.sid, **fields}
    log.warning("voice %s", what.replace("_", " "), extra=extra)
