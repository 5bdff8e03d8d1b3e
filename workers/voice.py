"""The voice role: works off what voice hosts report on the queues (contract/queues.md, "Voice hosts").

A call is a conversation with the call's id as its thread; speech and digits are messages, starts and ends are
events in the transcript. An event delivered twice has the same id and is stored once. Within a process the
events of a call are taken one after the other, as they came.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ValidationError

from gateway.domain.call_rules import CallTexts
from gateway.domain.clock import SECOND, Clock, from_rfc3339
from gateway.domain.envelope import Envelope
from gateway.domain.errors import GatewayError, UnknownAddress
from gateway.domain.identity import canonical_phone
from gateway.domain.intent import IntentKind
from gateway.domain.message import Channel, InboundMessage, Role
from gateway.domain.outcome import transfer_sentence
from gateway.domain.ports.bus import DONE, RetryStep, Verdict, dead, retry
from gateway.domain.ports.dialogue import EndCall
from gateway.domain.ports.ingress import Accept
from gateway.domain.ports.store import Store
from gateway.domain.wire import (
    CallAccepted,
    CallEnded,
    CallRefused,
    CallStarted,
    HostEvent,
    IntentReport,
    UserSpeech,
    VoiceEvent,
)
from gateway.service.call_intents import note_progress, settle_intent
from gateway.service.call_keys import leave
from gateway.service.calls import answer_host, end_call, expect_rival_end, greet_caller, is_rival_end
from gateway.service.forgotten import is_forgotten_call
from gateway.telemetry import HOST_EVENTS_LEFT_OUT
from workers.announced import Call, announced, announcement_of, caller_of, shown, start_of
from workers.hearing import Hearing
from workers.queues import Queues

OVERTAKEN_SECONDS = 30
"""How long an event of an unknown call is believed to have overtaken the call's announcement."""
LATE_SECONDS = 30
"""How long after the end of a call something may have happened on it, by clocks that differ."""

_log = logging.getLogger(__name__)


class VoiceWorker:
    """Consumes `voice.events`."""

    def __init__(
        self,
        store: Store,
        core: tuple[Accept, EndCall],
        clock: Clock,
        organization_id: str,
        texts: Callable[[str], CallTexts],
    ) -> None:
        """`texts`: what the gateway says itself to those who call a number of ours."""
        self._store = store
        self._accept, self._calls = core
        self._clock = clock
        self._organization_id = organization_id
        self._texts = texts
        self._hearing = Hearing(store, self._accept, clock, texts)
        self._queues = Queues()

    async def consume(self, envelope: Envelope) -> Verdict:
        """Take in one event of a host."""
        async with self._queues.of(str(envelope.data.get("call_id"))):
            return await self._consume(envelope)

    async def _consume(self, envelope: Envelope) -> Verdict:
        if envelope.type == "voice.due":
            return await self._hearing.due(envelope)
        if envelope.type != "voice.event":
            return dead(f"not an event of a voice host: type {envelope.type!r}")
        try:
            event = VoiceEvent.model_validate(envelope.data).root
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            return dead(f"not a valid voice event: {where}: {first['msg']}")
        match event:
            case CallStarted():
                return await self._started(envelope, event)
            case CallAccepted() | CallRefused():
                return dead(f"{event.kind} is the gateway's to say")
        call = await self._store.read(announced, event.call_id)
        if call is None:
            return await self._unannounced(envelope, event)
        stranger = _stranger(envelope, event, call)
        if stranger is not None:
            return await self._leave_out(envelope, event, call, stranger)
        match event:
            case IntentReport():
                return await self._reported(envelope, event, call)
            case CallEnded():
                return await self._ended(envelope, event, call)
            case _:
                return await self._hearing.take(envelope, event, call)

    async def _leave_out(self, envelope: Envelope, event: HostEvent, call: Call, reason: str) -> Verdict:
        """It is about another call of this id; the end of one that was refused is expected no more then."""
        if isinstance(event, CallEnded):
            await self._store.write(is_rival_end, call.place, envelope.id)
        HOST_EVENTS_LEFT_OUT.labels(event.kind, reason).inc()
        return DONE

    async def _started(self, envelope: Envelope, event: CallStarted) -> Verdict:
        at = self._clock.now()
        known = await self._store.read(announced, event.call_id)
        try:
            announcement = self._announcement(event)
            if known is not None and not await self._is_known(known, event):
                await self._meet_rival(known, event)
                raise _RefusedCallError("another call has had this call_id")
            accepted = await self._accept(announcement)
            if not accepted.conversation_id:
                raise _RefusedCallError("the call's conversation was erased")
        except (UnknownAddress, _RefusedCallError) as refused:
            await self._tell(event, "call.refused", {"reason": str(refused)}, at)
            return DONE
        ids = {"conversation_id": accepted.conversation_id, "end_user_id": accepted.end_user_id}
        await self._tell(event, "call.accepted", ids, at)
        if event.direction == "inbound":
            await self._greet(announcement, goes_on=accepted.goes_on)
        return DONE

    async def _is_known(self, call: Call, event: CallStarted) -> bool:
        """Whether this is a call that is up, and was announced before: in the same words."""
        if call.over or call.host_id != event.host_id:
            return False
        before = await self._store.read(announcement_of, self._organization_id, call.place)
        return before is None or (before["from"], before["to"]) == (event.sender, event.recipient)

    async def _meet_rival(self, call: Call, rival: CallStarted) -> None:
        """Hosts must not name two calls alike; whoever runs them should know of it."""
        if not call.over:
            await self._store.write(expect_rival_end, call.place)
        _log.warning(
            "a call has the call_id of another one, and is refused",
            extra={
                "action": "voice.call_id_taken",
                "call_id": call.call_id,
                "host_id": rival.host_id,
                "of_host": call.host_id,
            },
        )

    async def _greet(self, announcement: InboundMessage, *, goes_on: bool) -> None:
        text = self._texts(announcement.recipient).greeting_of(goes_on=goes_on)
        if text:
            place = f"{announcement.thread_key}:greeting"
            said = replace(
                announcement, provider_message_id=place, text=text, role=Role.ASSISTANT, metadata={}
            )
            await self._store.write(greet_caller, await self._accept(said), text)

    def _announcement(self, event: CallStarted) -> InboundMessage:
        ours, theirs = event.recipient, event.sender
        if event.direction == "outbound":
            ours, theirs = theirs, ours
        try:
            recipient = canonical_phone(ours)
        except GatewayError as error:
            raise _RefusedCallError(error.message) from None
        return InboundMessage(
            channel=Channel.VOICE,
            provider=event.host_id,
            provider_message_id=start_of(event.call_id),
            sender=caller_of(theirs, event.call_id),
            recipient=recipient,
            text="Call started.",
            received_at=self._clock.now(),
            thread_key=event.call_id,
            role=Role.SYSTEM_EVENT,
            metadata={"voice_event": shown(event)},
        )

    async def _tell(self, event: CallStarted, kind: str, answer: dict[str, Any], at: int) -> None:
        await self._store.write(
            answer_host,
            event.host_id,
            kind,
            {"call_id": event.call_id, **answer},
            at=at,
            organization_id=self._organization_id,
        )

    async def _unannounced(self, envelope: Envelope, event: HostEvent) -> Verdict:
        """Events of one call may be worked off beside each other: this one may be ahead of the first.

        What a host still tells of somebody who was erased is nowhere kept, and no dead letter either; nor is
        what it tells of a call that was refused, but for words: nobody may ever have read them.
        """
        if await self._store.read(is_forgotten_call, self._organization_id, event.call_id):
            return DONE
        try:
            age = self._clock.now() - from_rfc3339(envelope.occurred_at)
        except ValueError:
            return dead("occurred_at is not a time")
        if age < OVERTAKEN_SECONDS * SECOND:
            return retry(RetryStep.S5, "the call is not announced yet")
        if isinstance(event, UserSpeech):
            return dead("an event of a call that no host has announced")
        HOST_EVENTS_LEFT_OUT.labels(event.kind, "unknown").inc()
        return DONE

    async def _reported(self, envelope: Envelope, report: IntentReport, call: Call) -> Verdict:
        """A report about what the gateway never asked for, or after the end, changes nothing."""
        if report.kind == "intent.progress":
            await self._store.write(note_progress, report)
            return DONE
        kind = await self._store.write(settle_intent, report, envelope.id)
        if kind is None:
            _log.info(
                "a report about an intent was left out",
                extra={"action": "voice.report_ignored", "intent_id": report.intent_id},
            )
        elif kind is IntentKind.TRANSFER:
            text = transfer_sentence(report.state, report.reason)
            await self._accept(self._event(envelope, report, call, text))
        return DONE

    async def _ended(self, envelope: Envelope, event: CallEnded, call: Call) -> Verdict:
        """First the call: a host is not told to hang up what it says is over."""
        if event.host_id is None and await self._store.write(is_rival_end, call.place, envelope.id):
            HOST_EVENTS_LEFT_OUT.labels(event.kind, "rival").inc()
            return DONE
        await self._store.write(end_call, call.host_id, event.call_id)
        left = await self._store.write(leave, call.place) if call.keys else 0
        if left:
            unfinished = self._event(envelope, event, call, "Keys were pressed and not finished.")
            told = {"voice_event": {"kind": "user.dtmf", "call_id": event.call_id, "digits_left": left}}
            place = f"{envelope.id}:keys"
            await self._accept(replace(unfinished, provider_message_id=place, metadata=told))
        text = f"Call ended: {event.reason}."
        await self._calls.end(self._event(envelope, event, call, text))
        return DONE

    def _event(self, envelope: Envelope, event: BaseModel, call: Call, text: str) -> InboundMessage:
        return call.event(envelope.id, text, shown(event), self._clock.now())


def _stranger(envelope: Envelope, event: HostEvent, call: Call) -> str | None:
    """Why an event is about another call, to which a host gave the same id; None: it is about this one.

    A host that says which it is tells the two apart while both are up; after the end the time does. A report
    names an intent, of which only this call's has one.
    """
    if event.host_id not in (None, call.host_id):
        return "foreign"
    if call.ended_at is None or isinstance(event, IntentReport):
        return None
    try:
        at = from_rfc3339(envelope.occurred_at)
    except ValueError:
        return "late"
    return "late" if at > call.ended_at + LATE_SECONDS * SECOND else None


class _RefusedCallError(Exception):
    """The call cannot be taken."""
