"""The voice role: works off what voice hosts report on the queues (contract/queues.md, "Voice hosts").

A call is a conversation with the call's id as its thread; speech and digits are messages, starts and ends are
events in the transcript. An event delivered twice has the same id and is stored once. Within a process the
events of a call are taken one after the other, as they came.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ValidationError

from gateway.domain.call_rules import CallTexts
from gateway.domain.clock import SECOND, Clock, from_rfc3339
from gateway.domain.envelope import Envelope
from gateway.domain.errors import ErrorCode, GatewayError, UnknownAddress
from gateway.domain.identity import canonical_phone
from gateway.domain.intent import IntentKind
from gateway.domain.message import Channel, InboundMessage, JsonObject, Role
from gateway.domain.outcome import transfer_sentence
from gateway.domain.ports.bus import DONE, RetryStep, Verdict, dead, retry
from gateway.domain.ports.dialogue import EndCall
from gateway.domain.ports.ingress import Accept
from gateway.domain.ports.store import Store
from gateway.domain.wire import (
    CallDue,
    CallEnded,
    CallStarted,
    IntentReport,
    UserDtmf,
    UserInterrupted,
    UserSpeech,
    VoiceEvent,
)
from gateway.service.call_intents import note_progress, settle_intent
from gateway.service.call_keys import Entered, is_pressing, leave, look, press, say_between
from gateway.service.call_keys import accepted as accepted_keys
from gateway.service.calls import answer_host, end_call, greet_caller
from gateway.service.forgotten import is_forgotten_call
from workers.announced import Call, announced, caller_of
from workers.queues import Queues

OVERTAKEN_SECONDS = 30
"""How long an event of an unknown call is believed to have overtaken the call's announcement."""

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
        self._queues = Queues()

    async def consume(self, envelope: Envelope) -> Verdict:
        """Take in one event of a host."""
        async with self._queues.of(str(envelope.data.get("call_id"))):
            return await self._consume(envelope)

    async def _consume(self, envelope: Envelope) -> Verdict:
        if envelope.type == "voice.due":
            return await self._due(envelope)
        if envelope.type != "voice.event":
            return dead(f"not an event of a voice host: type {envelope.type!r}")
        try:
            event = VoiceEvent.model_validate(envelope.data).root
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            return dead(f"not a valid voice event: {where}: {first['msg']}")
        if isinstance(event, CallStarted):
            return await self._started(envelope, event)
        call = await self._store.read(announced, event.call_id)
        if call is None:
            return await self._unannounced(envelope, event.call_id)
        match event:
            case IntentReport():
                return await self._reported(envelope, event, call)
            case CallEnded():
                return await self._ended(envelope, event, call)
            case UserSpeech() | UserDtmf() | UserInterrupted():
                return await self._heard(envelope, event, call)
            case _:
                return dead(f"{event.kind} is the gateway's to say")

    async def _started(self, envelope: Envelope, event: CallStarted) -> Verdict:
        at = self._clock.now()
        known = await self._store.read(announced, event.call_id)
        if known is not None and (known.over or known.host_id != event.host_id):
            await self._tell(event, "call.refused", {"reason": "another call has had this call_id"}, at)
            return DONE
        try:
            announcement = self._announcement(event)
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
            provider_message_id=f"{event.call_id}:start",
            sender=caller_of(theirs, event.call_id),
            recipient=recipient,
            text="Call started.",
            received_at=self._clock.now(),
            thread_key=event.call_id,
            role=Role.SYSTEM_EVENT,
            metadata={"voice_event": _shown(event)},
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

    async def _unannounced(self, envelope: Envelope, call_id: str) -> Verdict:
        """Events of one call may be worked off beside each other: this one may be ahead of the first.

        What a host still tells of somebody who was erased is nowhere kept, and no dead letter either.
        """
        if await self._store.read(is_forgotten_call, self._organization_id, call_id):
            return DONE
        try:
            age = self._clock.now() - from_rfc3339(envelope.occurred_at)
        except ValueError:
            return dead("occurred_at is not a time")
        if age < OVERTAKEN_SECONDS * SECOND:
            return retry(RetryStep.S5, "the call is not announced yet")
        return dead("an event of a call that no host has announced")

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

    async def _heard(
        self, envelope: Envelope, event: UserSpeech | UserDtmf | UserInterrupted, call: Call
    ) -> Verdict:
        if call.over:
            return await self._too_late(envelope, event, call)
        try:
            return await self._take(envelope, event, call)
        except GatewayError as error:
            if error.code is not ErrorCode.CONVERSATION_CLOSED:
                raise
            return await self._too_late(envelope, event, call)

    async def _too_late(
        self, envelope: Envelope, event: UserSpeech | UserDtmf | UserInterrupted, call: Call
    ) -> Verdict:
        """Other events of a call may be worked off before: what was said as it ended is noted."""
        if not isinstance(event, UserSpeech):
            return dead("the call is over")
        if event.final:
            text = f"The caller said as the call ended: {event.text}"
            await self._accept(self._event(envelope, event, call, text))
        return DONE

    async def _take(
        self, envelope: Envelope, event: UserSpeech | UserDtmf | UserInterrupted, call: Call
    ) -> Verdict:
        place, now = call.place, self._clock.now()
        match event:
            case UserSpeech(final=False):
                return DONE
            case UserDtmf(ended_by=None, digits=keys, n=n):
                await self._enter(call, await self._store.write(press, place, envelope.id, keys, n))
            case UserSpeech(text=said) if is_pressing(call.keys):
                await self._enter(call, await self._store.write(say_between, place, envelope.id, said))
            case UserSpeech(text=said) | UserDtmf(digits=said):
                await self._accept(call.input(envelope.id, said, now))
            case UserInterrupted():
                filler = self._texts(call.recipient).filler
                over = {"filler": True} if _begins(filler, event.spoken_text) else {}
                told = self._event(envelope, event, call, "The caller interrupted.")
                await self._accept(replace(told, metadata={"voice_event": _shown(event) | over}))
        return DONE

    async def _due(self, envelope: Envelope) -> Verdict:
        """Keys that were pressed may be complete, or wait to be accepted."""
        try:
            due = CallDue.model_validate(envelope.data)
        except ValidationError:
            return dead("not a valid voice.due")
        call = await self._store.read(announced, due.call_id)
        if call is not None and not call.over:
            try:
                await self._enter(call, await self._store.write(look, call.place, envelope.id))
            except GatewayError as error:
                if error.code is not ErrorCode.CONVERSATION_CLOSED:
                    raise
        return DONE

    async def _enter(self, call: Call, entered: Sequence[Entered]) -> None:
        """Accept what is complete; until then it stays where it is."""
        for one in entered:
            pressed = {} if one.ended_by is None else {"dtmf": {"ended_by": one.ended_by}}
            await self._accept(replace(call.input(one.id, one.text, self._clock.now()), metadata=pressed))
            if one.intent_id is not None:
                done = IntentReport(
                    kind="intent.outcome",
                    call_id=call.call_id,
                    intent_id=one.intent_id,
                    seq=None,
                    state="collected",
                )
                await self._store.write(settle_intent, done, one.id)
        if entered:
            await self._store.write(accepted_keys, call.place, [one.id for one in entered])

    def _event(self, envelope: Envelope, event: BaseModel, call: Call, text: str) -> InboundMessage:
        return call.event(envelope.id, text, _shown(event), self._clock.now())


def _shown(event: BaseModel) -> JsonObject:
    """An event as its message keeps it: what the contract knows of it, and no more."""
    return event.model_dump(mode="json", by_alias=True, exclude_none=True)


def _begins(line: str, heard: str | None) -> bool:
    """Whether what was heard is the beginning of a line; hosts write spaces and capitals as they like."""
    words, begun = line.casefold().split(), (heard or "").casefold().split()
    return bool(begun) and " ".join(words).startswith(" ".join(begun))


class _RefusedCallError(Exception):
    """The call cannot be taken."""
