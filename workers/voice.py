"""The voice role: works off what voice hosts report on the queues (contract/queues.md, "Voice hosts").

A call is a conversation with the call's id as its thread; speech and digits are messages, starts and ends are
events in the transcript. An event delivered twice has the same id and is stored once.
"""

import logging
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from gateway.domain.clock import SECOND, Clock, from_rfc3339
from gateway.domain.envelope import Envelope
from gateway.domain.errors import GatewayError, UnknownAddress
from gateway.domain.identity import canonical_phone
from gateway.domain.intent import IntentKind
from gateway.domain.message import Accepted, Channel, InboundMessage, Role, SenderAuth
from gateway.domain.outcome import transfer_sentence
from gateway.domain.ports.bus import DONE, RetryStep, Verdict, dead, retry
from gateway.domain.ports.dialogue import EndCall
from gateway.domain.ports.ingress import Accept
from gateway.domain.ports.store import Store, Tx
from gateway.domain.wire import (
    CallEnded,
    CallStarted,
    IntentReport,
    UserDtmf,
    UserInterrupted,
    UserSpeech,
    VoiceEvent,
)
from gateway.service.call_intents import note_progress, settle_intent
from gateway.service.calls import answer_host, end_call

OVERTAKEN_SECONDS = 30
"""How long an event of an unknown call is believed to have overtaken the call's announcement."""

_log = logging.getLogger(__name__)


class VoiceWorker:
    """Consumes `voice.events`."""

    def __init__(
        self, store: Store, accept: Accept, calls: EndCall, clock: Clock, organization_id: str
    ) -> None:
        self._store = store
        self._accept = accept
        self._calls = calls
        self._clock = clock
        self._organization_id = organization_id

    async def consume(self, envelope: Envelope) -> Verdict:
        """Take in one event of a host."""
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
        call = await self._store.read(_call, event.call_id)
        if call is None:
            return self._unannounced(envelope)
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
        try:
            accepted = await self._begin(envelope, event)
        except (UnknownAddress, _RefusedCallError) as refused:
            await self._tell(event, "call.refused", {"reason": str(refused)}, at)
            return DONE
        ids = {"conversation_id": accepted.conversation_id, "end_user_id": accepted.end_user_id}
        await self._tell(event, "call.accepted", ids, at)
        return DONE

    async def _begin(self, envelope: Envelope, event: CallStarted) -> Accepted:
        ours, theirs = event.recipient, event.sender
        if event.direction == "outbound":
            ours, theirs = theirs, ours
        try:
            recipient = canonical_phone(ours)
        except GatewayError as error:
            raise _RefusedCallError(error.message) from None
        message = InboundMessage(
            channel=Channel.VOICE,
            provider=event.host_id,
            provider_message_id=f"{event.call_id}:start",
            sender=_caller(theirs, event.call_id),
            recipient=recipient,
            text="Call started.",
            received_at=self._clock.now(),
            thread_key=event.call_id,
            role=Role.SYSTEM_EVENT,
            metadata={"voice_event": envelope.data},
        )
        return await self._accept(message)

    async def _tell(self, event: CallStarted, kind: str, answer: dict[str, Any], at: int) -> None:
        await self._store.write(
            answer_host,
            event.host_id,
            kind,
            {"call_id": event.call_id, **answer},
            at=at,
            organization_id=self._organization_id,
        )

    def _unannounced(self, envelope: Envelope) -> Verdict:
        """Events of one call may be worked off beside each other: this one may be ahead of the first."""
        try:
            age = self._clock.now() - from_rfc3339(envelope.occurred_at)
        except ValueError:
            return dead("occurred_at is not a time")
        if age < OVERTAKEN_SECONDS * SECOND:
            return retry(RetryStep.S5, "the call is not announced yet")
        return dead("an event of a call that no host has announced")

    async def _reported(self, envelope: Envelope, report: IntentReport, call: "_Call") -> Verdict:
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
            await self._accept(self._event(envelope, report.call_id, call, text))
        return DONE

    async def _ended(self, envelope: Envelope, event: CallEnded, call: "_Call") -> Verdict:
        """First the call: a host is not told to hang up what it says is over."""
        await self._store.write(end_call, call.host_id, event.call_id)
        text = f"Call ended: {event.reason}."
        await self._calls.end(self._event(envelope, event.call_id, call, text))
        return DONE

    async def _heard(
        self, envelope: Envelope, event: UserSpeech | UserDtmf | UserInterrupted, call: "_Call"
    ) -> Verdict:
        if call.over:
            return dead("the call is over")
        match event:
            case UserSpeech(final=False):
                return DONE
            case UserSpeech(text=said) | UserDtmf(digits=said):
                await self._accept(self._message(envelope, event.call_id, call, said))
            case UserInterrupted():
                await self._accept(self._event(envelope, event.call_id, call, "The caller interrupted."))
        return DONE

    def _event(self, envelope: Envelope, call_id: str, call: "_Call", text: str) -> InboundMessage:
        event = {"voice_event": envelope.data}
        return self._message(envelope, call_id, call, text, role=Role.SYSTEM_EVENT, metadata=event)

    def _message(
        self,
        envelope: Envelope,
        call_id: str,
        call: "_Call",
        text: str,
        *,
        role: Role = Role.USER,
        metadata: dict[str, Any] | None = None,
    ) -> InboundMessage:
        return InboundMessage(
            channel=Channel.VOICE,
            provider=call.host_id,
            provider_message_id=envelope.id,
            sender=call.sender,
            recipient=call.recipient,
            text=text,
            received_at=self._clock.now(),
            thread_key=call_id,
            role=role,
            metadata=metadata or {},
            sender_auth=SenderAuth.VERIFIED,
        )


class _RefusedCallError(Exception):
    """The call cannot be taken."""


@dataclass(frozen=True, slots=True)
class _Call:
    """A call that a host has announced."""

    host_id: str
    sender: str
    recipient: str
    over: bool


async def _call(tx: Tx, call_id: str) -> _Call | None:
    row = await tx.one("call_announced", call_id=call_id)
    if row is None:
        return None
    over = row["ended_at"] is not None
    return _Call(row["host_id"], row["their_address"], row["our_address"], over)


def _caller(address: str, call_id: str) -> str:
    """A number is what the carrier says; anything else belongs to this call alone."""
    try:
        return canonical_phone(address)
    except GatewayError:
        return f"anonymous:{call_id}"
