"""The webhooks of calls that we begin, and those that tell of recordings, of calls in either direction."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from channels.contract import Ingress
from channels.twilio.call_states import answered_by, call_state
from channels.twilio.credentials import TwilioCredentials
from channels.twilio.requests import MAX_ADDRESS, PROVIDER, TwilioForm, proven_form, twiml
from channels.voice.calls import Call
from channels.voice.opening import opened
from channels.voice.outgoing import (
    ANSWERED_PATH,
    MACHINE_PATH,
    MESSAGE_PATH,
    PROGRESS_PATH,
    RECORDED_PATH,
    read_reference,
)
from channels.voice.render import Rendering
from channels.voice.steps import Links
from channels.voice.verbs import HangUp, Say
from channels.webhooks import invalid, webhook
from gateway.domain.outgoing_call import AnsweredReport, CallReport, CallState, Recording

MAX_URL = 2048
_URL = re.compile(r"https?://[^\s\x00-\x1f\x7f]+")
_SECONDS = re.compile(r"[0-9]{1,7}")
_AVAILABLE = "completed"
"""The RecordingStatus of one that can be fetched."""


def outgoing_routes(ingress: Ingress, twilio: TwilioCredentials) -> list[Route]:
    """The webhooks under /webhooks/twilio/voice/outgoing, to be mounted on the public surface."""
    calls = _OutgoingCalls(ingress, Links(ingress.public_url))

    def route(path: str, answer: Callable[[Call, str], Awaitable[Rendering]]) -> Route:
        async def endpoint(request: Request) -> Response:
            form = await proven_form(request, ingress.public_url, twilio)
            reference = read_reference(request.query_params)
            call = Call(form, ingress.clock.now())
            rendering = await answer(call, reference)
            return twiml(rendering.twiml(ingress.calls(call.parties.ours).speech))

        return Route(path, webhook(endpoint), methods=["POST"])

    async def recorded(request: Request) -> Response:
        await calls.recorded(await proven_form(request, ingress.public_url, twilio))
        return twiml()

    return [
        route(ANSWERED_PATH, calls.answered),
        route(PROGRESS_PATH, calls.progress),
        route(MACHINE_PATH, calls.machine),
        route(MESSAGE_PATH, calls.message),
        Route(RECORDED_PATH, webhook(recorded), methods=["POST"]),
    ]


@dataclass(frozen=True, slots=True)
class _OutgoingCalls:
    """What each webhook answers."""

    ingress: Ingress
    links: Links

    async def answered(self, call: Call, reference: str) -> Rendering:
        """Somebody, or a machine, has answered. A call that is over for us, or a second one, is let go."""
        report = self._report(call, reference, CallState.ANSWERED)
        standing = await self.ingress.reports.progress(report)
        if not standing.ours or standing.status.terminal:
            return Rendering((HangUp(),))
        return await opened(self.ingress, self.links, call, standing.first_message)

    async def progress(self, call: Call, reference: str) -> Rendering:
        """How far the call has come (Unavailable: Twilio says it again)."""
        report = self._report(call, reference, call_state(call.form.text("CallStatus")))
        await self.ingress.reports.progress(report)
        return Rendering(())

    async def machine(self, call: Call, reference: str) -> Rendering:
        """Machine detection has come to a result."""
        raw = call.form.text("AnsweredBy")[:MAX_ADDRESS]
        report = AnsweredReport(call_id=call.sid, conversation_id=reference, who=answered_by(raw), raw=raw)
        await self.ingress.reports.answered_by(report)
        return Rendering(())

    async def message(self, call: Call, reference: str) -> Rendering:
        """What is left on the machine that has answered."""
        await self.ingress.reports.leaves_message(reference, call.sid)
        text = self.ingress.calls(call.parties.ours).texts.machine
        await self.ingress.accept(call.said("machine", text))
        return Rendering((Say(text), HangUp()))

    async def recorded(self, form: TwilioForm) -> None:
        """A recording can be fetched, or there is none."""
        if form.text("RecordingStatus") != _AVAILABLE:
            return
        url = form.text("RecordingUrl")
        if len(url) > MAX_URL or not _URL.fullmatch(url):
            raise invalid("RecordingUrl is missing or is not a URL.")
        seconds = form.text("RecordingDuration")
        recording = Recording(
            provider=PROVIDER,
            call_id=form.sid("CallSid"),
            recording_id=form.sid("RecordingSid"),
            url=url,
            seconds=int(seconds) if _SECONDS.fullmatch(seconds) else None,
        )
        await self.ingress.reports.recorded(recording)

    @staticmethod
    def _report(call: Call, reference: str, state: CallState) -> CallReport:
        return CallReport(
            provider=PROVIDER,
            call_id=call.sid,
            conversation_id=reference,
            state=state,
            raw=call.form.text("CallStatus")[:MAX_ADDRESS],
        )
