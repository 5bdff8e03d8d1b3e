"""The webhooks of a warm transfer: the caller on hold asks, the person's call asks, Twilio reports.

What each says is an event for the machine, and the answer is made from how the transfer stands then. So one
that comes twice, late or from a call that was given up does no harm.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from channels.twilio.requests import PROVIDER
from channels.voice import steps
from channels.voice.calls import Call
from channels.voice.host.outcomes import refusal
from channels.voice.render import ACCEPT, Rendering
from channels.voice.steps import Links, Step
from channels.voice.verbs import HangUp, Pause, Redirect
from channels.voice.warm.documents import (
    ASK_AGAIN_SECONDS,
    caller_document,
    leg_document,
    returns_to_agent,
    waits_quietly,
)
from channels.voice.wishes import Wishes
from gateway.domain.call_rules import CallRules
from gateway.domain.errors import GatewayError
from gateway.domain.outcome import TransferReason, TransferState
from gateway.domain.ports.warm import WarmTransfers
from gateway.domain.turn import TurnOutcome
from gateway.domain.warm.held import CallerAsks, CallerWaits, HeldCall, NewTransfer
from gateway.domain.warm.state import Stage
from gateway.domain.warm.words import CallerGone, Leg, LegEvent, Spoken

log = logging.getLogger(__name__)

DECLINE = "2"
_KEYS = {ACCEPT: LegEvent.ACCEPTED, DECLINE: LegEvent.DECLINED}
_UNANSWERED = {
    "busy": TransferReason.BUSY,
    "no-answer": TransferReason.NO_ANSWER,
    "canceled": TransferReason.NO_ANSWER,
}
"""Twilio's CallStatus of a call that nobody has answered; `failed` is told by its SIP response."""
_STARTED = "conference-start"
_PERSON = frozenset({"human", "unknown"})

Back = Callable[[Call, HeldCall, Step], Awaitable[Rendering]]
"""What a caller hears whom nobody has taken."""


@dataclass(frozen=True, slots=True)
class WarmCalls:
    """What each webhook answers."""

    transfers: WarmTransfers
    links: Links
    rules: Callable[[Call], CallRules]
    back: Back

    def routes(self) -> Mapping[str, Callable[[Call, Step], Awaitable[Rendering]]]:
        """By path."""
        return {
            steps.HOLD_PATH: self._patiently(self.hold, self.links.hold),
            steps.JOINED_PATH: self._patiently(self.joined, self.links.joined),
            steps.LEG_PATH: self._patiently(self.leg, self.links.leg),
            steps.LEG_STATUS_PATH: self.leg_status,
            steps.LEG_DETECTED_PATH: self.leg_detected,
            steps.ROOM_PATH: self.room,
        }

    def _patiently(
        self, answer: Callable[[Call, Step], Awaitable[Rendering]], same: Callable[[Step], str]
    ) -> Callable[[Call, Step], Awaitable[Rendering]]:
        """While the database is away, who asks is to ask again: an error would end the call."""

        async def patient(call: Call, step: Step) -> Rendering:
            try:
                return await answer(call, step)
            except GatewayError as error:
                extra = {"action": "voice.transfer_waits", "call_sid": call.sid, "code": error.code.value}
                log.warning("voice transfer waits", extra=extra)
                return Rendering((Pause(ASK_AGAIN_SECONDS), Redirect(same(step))))

        return patient

    async def begin(self, call: Call, step: Step, outcome: TurnOutcome, wishes: Wishes) -> Rendering | None:
        """The transfer that the input of `step` led to; None where it cannot begin (any more)."""
        if wishes.transfer is None or wishes.transfer_id is None:
            return None
        parties = call.parties
        held = await self.transfers.begin(
            NewTransfer(
                id=wishes.transfer_id,
                provider=PROVIDER,
                call_id=call.sid,
                conversation_id=outcome.conversation_id,
                sender=parties.theirs,
                recipient=parties.ours,
                proven=parties.proven,
                n=step.n,
                session=step.session,
                intent=wishes.transfer,
                briefing=wishes.briefing,
                persons=self.rules(call).texts.persons,
            )
        )
        if held is None:
            return None
        return await self._caller(call, held, _place(held))

    async def of_call(self, call: Call) -> HeldCall | None:
        """The call's newest transfer."""
        return await self.transfers.of_call(PROVIDER, call.sid)

    async def resume(self, call: Call, held: HeldCall) -> Rendering:
        """The caller was on hold within a session, and is in none any more.

        They were told what there was, but for a line that nobody has said to be spoken.
        """
        return await self._caller(call, held, replace(_place(held), told=len(held.told) - held.warm.speaking))

    async def caller_gone(self, call: Call) -> None:
        """The caller has hung up: nobody is to be called for them any more."""
        held = await self.of_call(call)
        if held is not None and not held.over:
            await self.transfers.happened(held.id, CallerGone())

    async def hold(self, call: Call, step: Step) -> Rendering:
        """A caller on hold asks; what they were told the last time has been spoken."""
        held = await self.transfers.find(step.transfer)
        if held is not None and held.warm.speaking and step.told >= len(held.told):
            held = await self.transfers.happened(held.id, Spoken())
        if held is None or held.call_id != call.sid:
            return Rendering((HangUp(),))
        return await self._caller(call, held, step)

    async def joined(self, call: Call, step: Step) -> Rendering:
        """The caller was in a room with a person, or was to be."""
        if call.over:
            await self.caller_gone(call)
            return Rendering(())
        held = await self.transfers.find(step.transfer)
        outcome = None if held is None else held.warm.outcome
        if held is None or (outcome is not None and outcome.state is TransferState.TRANSFERRED):
            return Rendering((HangUp(),))
        if held.warm.stage is Stage.COMMIT:
            return Rendering((Pause(1), Redirect(self.links.hold(step))))
        return await self._caller(call, held, step)

    async def leg(self, call: Call, step: Step) -> Rendering:
        """A person's call asks: answered just now, or with a key, a word, or nothing but that it goes on."""
        held = await self.transfers.happened(step.transfer, self._asked(call, step), call.sid)
        if held is None:
            return Rendering((HangUp(),))
        return Rendering(leg_document(held, step, self.links))

    async def leg_status(self, call: Call, step: Step) -> Rendering:
        """The person's call goes on, or is over."""
        status, event, reason = call.form.text("CallStatus"), LegEvent.RINGING, None
        if status == "completed":
            event = LegEvent.GONE
        elif status in _UNANSWERED or status == "failed":
            event, reason = LegEvent.FAILED, _UNANSWERED.get(status) or _failed(call)
        await self.transfers.happened(step.transfer, Leg(step.attempt, event, reason), call.sid)
        return Rendering(())

    async def leg_detected(self, call: Call, step: Step) -> Rendering:
        """Twilio has listened to who has answered; where it is not sure, they are asked."""
        person = call.form.text("AnsweredBy") in _PERSON
        event = LegEvent.HUMAN if person else LegEvent.MACHINE
        await self.transfers.happened(step.transfer, Leg(step.attempt, event), call.sid)
        return Rendering(())

    async def room(self, call: Call, step: Step) -> Rendering:
        """The two can hear each other. What else happens in a room, their calls tell."""
        if call.form.text("StatusCallbackEvent") == _STARTED:
            await self.transfers.happened(step.transfer, Leg(step.attempt, LegEvent.BRIDGED))
        return Rendering(())

    async def _caller(self, call: Call, held: HeldCall, step: Step) -> Rendering:
        """Who joins a person or hears music asks no more; that is noted first: they will be called back.

        Who was to be called back is not any more: later it would cut them off from where they are then.
        """
        rules = self.rules(call)
        if held.recalling is not None:
            held = await self.transfers.happened(held.id, CallerAsks()) or held
        if waits_quietly(held, step, rules.hold_music):
            held = await self.transfers.happened(held.id, CallerWaits()) or held
        if returns_to_agent(held):
            return await self.back(call, held, step)
        return Rendering(caller_document(held, step, self.links, rules.texts, rules.hold_music))

    def _asked(self, call: Call, step: Step) -> Leg:
        key, said = call.form.text("Digits"), call.form.text("SpeechResult")
        if key or said:
            return Leg(step.attempt, _KEYS.get(key, LegEvent.HEARD))
        return Leg(step.attempt, LegEvent.BRIEFED if step.told else LegEvent.ANSWERED)


def _place(held: HeldCall) -> Step:
    return Step(n=held.n, session=held.session, transfer=held.id)


def _failed(call: Call) -> TransferReason:
    code = call.form.text("SipResponseCode")
    return refusal(int(code)) if len(code) == 3 and code.isdecimal() else TransferReason.BRIDGE_ERROR
