"""The webhooks of calls in TwiML mode: Twilio asks what to do next, each time with what has happened.

Twilio waits 15 s for an answer, so a turn is waited for 10 s and then asked for again behind a filler. No
state is kept here: see `channels.voice.steps`.
"""

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
from channels.voice.notes import note
from channels.voice.opening import connect, opened
from channels.voice.relay.handoff import HANG_UP, TRANSFER, read_handoff
from channels.voice.render import (
    Rendering,
    after,
    hold,
    listen,
    newest_of,
    render_outcome,
)
from channels.voice.steps import Links, Step
from channels.voice.transferring import DocumentTransfers
from channels.voice.verbs import Gather, HangUp, Pause, Redirect, Say
from channels.voice.wishes import WAITING, Wishes, is_waiting, wishes_of
from channels.webhooks import invalid, webhook
from gateway.domain.call_rules import CallTexts
from gateway.domain.conversation import Status
from gateway.domain.errors import GatewayError
from gateway.domain.turn import Path, TurnOutcome

WAIT_SECONDS = 10.0
"""For a turn, in one request."""
MAX_POLLS = 6
"""With the first wait: 70 s, which is longer than a turn may take."""
MAX_HOLDS = 120
"""Silent rounds on hold before the gateway hangs up: ten minutes."""
REASSURE_EVERY = 4
"""Silent rounds: 20 s."""
MAX_CONNECTS = 3
"""Sessions one after the other that broke off; then the gateway hangs up."""


def voice_routes(ingress: Ingress, twilio: TwilioCredentials) -> list[Route]:
    """The webhooks under /webhooks/twilio/voice, to be mounted on the public surface."""
    links = Links(ingress.public_url)
    transfers = DocumentTransfers(ingress, links)
    calls = _TwimlCalls(ingress, links, transfers)

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
            return twiml(rendering.twiml(ingress.calls(call.parties.ours).speech))

        return Route(path, webhook(endpoint), methods=["POST"])

    warm = {} if transfers.warm is None else transfers.warm.routes()
    return [
        route(steps.START_PATH, calls.start),
        route(steps.INPUT_PATH, calls.input),
        route(steps.WAIT_PATH, calls.wait),
        route(steps.DIALED_PATH, transfers.dialed),
        route(steps.STATUS_PATH, calls.status),
        route(steps.RELAYED_PATH, calls.relayed),
        route(steps.REFERRED_PATH, transfers.referred),
        route(steps.WHISPER_PATH, transfers.whisper),
        *(route(path, answer) for path, answer in warm.items()),
    ]


@dataclass(frozen=True, slots=True)
class _TwimlCalls:
    """What each webhook answers."""

    ingress: Ingress
    links: Links
    transfers: DocumentTransfers

    async def tell_downgrades(self, call: Call, step: Step, rendering: Rendering) -> None:
        """What this host cannot do exactly is said in the conversation."""
        for one in rendering.downgrades:
            note("capability_downgrade", call.sid, field=one.field)
            event = call.parties.downgraded(step.place, one.field, one.substitute, call.received_at)
            try:
                await self.ingress.accept(event)
            except GatewayError as error:
                note("downgrade_lost", call.sid, code=error.code.value)

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

    async def relayed(self, call: Call, step: Step) -> Rendering:
        """A ConversationRelay session is over: as it asked, or broken off, and then another one goes on."""
        if call.over:
            return await self.status(call, step)
        left = read_handoff(call.form.text("HandoffData"))
        held = await self.transfers.left_on_hold(call, left.do)
        if held is not None and self.transfers.warm is not None:
            return await self.transfers.warm.resume(call, held)
        if left.do == HANG_UP:
            return Rendering((HangUp(),))
        if left.do == TRANSFER:
            from_here = Step(n=left.n, session=left.session)
            outcome = await self.transfers.outcome(call, from_here)
            wishes = wishes_of(outcome.intents) if outcome else Wishes()
            if outcome is not None and wishes.transfer is not None:
                said = wishes.transfer.model_copy(update={"connecting_text": None})
                return await self.transfers.transfer(call, from_here, outcome, replace(wishes, transfer=said))
        note("relay_broken", call.sid, error=call.form.text("ErrorCode")[:10])
        if step.tries >= MAX_CONNECTS:
            return Rendering((Say(self.texts(call).goodbye), HangUp()))
        return connect(self.links, self.texts(call).apology, step.tries + 1)

    async def status(self, call: Call, step: Step) -> Rendering:
        """Twilio reports the call's progress; its end closes the conversation (Unavailable)."""
        if call.over:
            if self.transfers.warm is not None:
                await self.transfers.warm.caller_gone(call)
            await self.ingress.dialogue.end(call.ended(call.form.text("CallStatus")))
        return Rendering(())

    async def _answered(self, call: Call, step: Step, outcome: TurnOutcome | None) -> Rendering:
        if outcome is not None:
            wishes = wishes_of(outcome.intents)
            for kind in wishes.invalid:
                note("intent_invalid", call.sid, kind=kind)
            if wishes.transfer is not None and outcome.path is Path.HANDOFF and not outcome.ended:
                said = (Say(outcome.text),) if outcome.text.strip() else ()
                transfer = await self.transfers.transfer(call, Step(n=step.n), outcome, wishes)
                return replace(transfer, verbs=(*said, *transfer.verbs))
            return await self._followed(call, step, outcome)
        if step.tries >= MAX_POLLS:
            return listen(self.links, step.n + 1, self.texts(call).apology)
        asked = Step(n=step.n, tries=step.tries + 1, holds=step.holds, since=step.since)
        again = Redirect(self.links.wait(asked))
        return Rendering((Say(self.texts(call).filler), again) if step.tries == 0 else (Pause(1), again))

    async def _followed(self, call: Call, step: Step, outcome: TurnOutcome) -> Rendering:
        """What a turn leads to, after what a person has said to a caller on hold, or may say now."""
        said: tuple[Say, ...] = ()
        if step.holds and not is_waiting(outcome):
            said, step, _ = await self._news(call, outcome.conversation_id, step)
        elif not step.holds and is_waiting(outcome):
            step = replace(step, since=_heard(await self._before(call, step), step))
        rendering = render_outcome(outcome, self.links, step, self.texts(call), refers=call.has_sip_leg)
        return after(said, rendering)

    async def _silence(self, call: Call, step: Step) -> Rendering:
        stepped_in = await self._stepped_in(call, step)
        if stepped_in is not None:
            return stepped_in
        if step.silences >= self.ingress.calls(call.parties.ours).pace.max_reminders:
            await self.ingress.dialogue.end(call.ended("silence"))
            return Rendering((Say(self.texts(call).goodbye), HangUp()))
        again = replace(step, silences=step.silences + 1)
        prompt = (Say(self.texts(call).reminder),)
        return Rendering((Gather(action=self.links.input(again), prompts=prompt, digits=step.digits),))

    async def _stepped_in(self, call: Call, step: Step) -> Rendering | None:
        """A caller who is listened to says nothing: a person may have, and has the call now or had it."""
        before = await self._before(call, step)
        heard = _heard(before, step)
        if heard is None:
            return None
        here = await self._conversation(call, step, before)
        said, step, status = await self._news(call, here, replace(step, since=heard))
        if status is not None and status.terminal:
            return after(said, self._given_back(call, step, status))
        if status in WAITING:
            left = await self._left(call, step, here, status)
            if left is not None:
                return after(said, left)
            held = Step(n=step.n, holds=1, since=step.since)
            return hold(self.links, held, *(said or (Say(self.texts(call).hold),)))
        if not said:
            return None
        again = replace(step, silences=0)
        return Rendering((Gather(action=self.links.input(again), prompts=said, digits=step.digits),))

    async def _held(self, call: Call, step: Step) -> Rendering:
        """On hold, and nothing was said by the caller: a person may have, or has given the call back."""
        outcome, heard = await self._before(call, step), step.since or 0
        here = await self._conversation(call, step, outcome)
        said, step, status = await self._news(call, here, step)
        if outcome is not None and outcome.path is not Path.QUEUED:
            if newest_of(outcome) > heard:  # what was asked last has been answered meanwhile
                asked = Step(n=step.n - 1, holds=step.holds, since=step.since)
                return after(said, await self._answered(call, asked, outcome))
            status = outcome.session_status if status is None else status
        answered = outcome is None or outcome.path is not Path.QUEUED
        if answered and status is not None and status not in WAITING:
            return after(said, self._given_back(call, step, status))
        left = await self._left(call, step, here, status) if step.holds == 1 else None
        if left is not None:
            return after(said, left)
        if said:
            return hold(self.links, replace(step, holds=1), *said)
        if step.holds >= MAX_HOLDS:
            await self.ingress.dialogue.end(call.ended("hold_timeout"))
            return Rendering((Say(self.texts(call).goodbye), HangUp()))
        reassured = () if step.holds % REASSURE_EVERY else (Say(self.texts(call).reassurance),)
        return hold(self.links, replace(step, holds=step.holds + 1), *reassured)

    def _given_back(self, call: Call, step: Step, status: Status | None) -> Rendering:
        """No person has the call any more, and all that was said was heard."""
        if status is not None and status.terminal:
            return Rendering((Say(self.texts(call).goodbye), HangUp()))
        here = self.links.input(Step(n=step.n, since=step.since))
        return Rendering((Gather(action=here, prompts=(Say(self.texts(call).reminder),)),))

    async def _before(self, call: Call, step: Step) -> TurnOutcome | None:
        """What has come of the input before this one."""
        return await self.transfers.outcome(call, Step(n=step.n - 1)) if step.n > 1 else None

    async def _left(self, call: Call, step: Step, here: str | None, now: Status | None) -> Rendering | None:
        """The transfer that a turn led to whose end nobody waited for: of this input from now on."""
        if now is not Status.WAITING_FOR_HUMAN or here is None:
            return None
        outcome = await self.transfers.left_over(call, step, here)
        return None if outcome is None else await self._answered(call, Step(n=step.n), outcome)

    async def _conversation(self, call: Call, step: Step, before: TurnOutcome | None) -> str | None:
        """That of the call; before the caller has said anything, only its start says which it is."""
        if before is not None or step.n > 1:
            return None if before is None else before.conversation_id
        try:
            return (await self.ingress.accept(call.started())).conversation_id or None
        except GatewayError as error:
            note("conversation_unread", call.sid, code=error.code.value)
            return None

    async def _news(
        self, call: Call, conversation_id: str | None, step: Step
    ) -> tuple[tuple[Say, ...], Step, Status | None]:
        """What was said outside of turns since the caller was last told, by a person above all.

        And how the conversation stands now, which the outcome of a turn that is over does not tell.
        """
        if conversation_id is None:
            return (), step, None
        since = step.since or 0
        try:
            news = await self.ingress.dialogue.news(conversation_id, since)
        except GatewayError as error:
            note("news_unread", call.sid, code=error.code.value)
            return (), step, None
        said = [message for message in news.said if message.turn_id is None]
        newest = max((message.seq for message in said), default=since)
        spoken = tuple(Say(message.content) for message in said)
        return spoken, replace(step, since=newest), news.status

    def _failed(self, call: Call, step: Step, error: GatewayError) -> Rendering:
        """The caller is asked again under the next number: this input may or may not have been stored."""
        note("input_failed", call.sid, code=error.code.value)
        return listen(self.links, step.n + 1, self.texts(call).apology)


def _heard(before: TurnOutcome | None, step: Step) -> int | None:
    """The newest message that the caller has heard; None where that is not known."""
    newest = max(newest_of(before), step.since or 0)
    return newest if newest or step.since is not None else None
