"""The voice role: works off what voice hosts report on the queues (contract/queues.md, "Voice hosts").

A call is a conversation with the call's id as its thread; speech and digits are messages, the rest
are events in the transcript. An event delivered twice has the same id and is stored once.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from gateway.domain.clock import Clock
from gateway.domain.envelope import Envelope
from gateway.domain.errors import GatewayError, UnknownAddress
from gateway.domain.identity import canonical_phone
from gateway.domain.message import Accepted, Channel, InboundMessage, Role, SenderAuth
from gateway.domain.ports import DONE, Accept, Dialogue, Store, Tx, Verdict, dead
from gateway.service.calls import answer_host, end_call

_ID = Field(min_length=1, max_length=255)


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")

    call_id: Annotated[str, _ID]


class CallStarted(_Event):
    """A host announces a call."""

    kind: Literal["call.started"]
    host_id: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_-]+$")]
    direction: Literal["inbound", "outbound"] = "inbound"
    sender: str = Field(alias="from", max_length=255)
    recipient: str = Field(alias="to", max_length=255)
    transport: str | None = None
    capabilities: list[str] = Field(default_factory=list, max_length=50)


class CallEnded(_Event):
    """The call is over."""

    kind: Literal["call.ended"]
    reason: str = "ended"


class Speech(_Event):
    """The caller said something; only what is final is answered."""

    kind: Literal["user.speech"]
    text: str = Field(max_length=100_000)
    final: bool = True


class Digits(_Event):
    """The caller pressed keys."""

    kind: Literal["user.dtmf"]
    digits: str = Field(max_length=64)


class OtherEvent(_Event):
    """What is only recorded, or changes a transfer's state."""

    kind: Literal["user.interrupted", "intent.progress", "intent.outcome"]


VoiceEvent = Annotated[CallStarted | CallEnded | Speech | Digits | OtherEvent, Field(discriminator="kind")]
_EVENT: TypeAdapter[VoiceEvent] = TypeAdapter(VoiceEvent)


class VoiceWorker:
    """Consumes `voice.events`."""

    def __init__(
        self, store: Store, accept: Accept, dialogue: Dialogue, clock: Clock, organization_id: str
    ) -> None:
        self._store = store
        self._accept = accept
        self._dialogue = dialogue
        self._clock = clock
        self._organization_id = organization_id

    async def consume(self, envelope: Envelope) -> Verdict:
        """Take in one event of a host."""
        if envelope.type != "voice.event":
            return dead(f"not an event of a voice host: type {envelope.type!r}")
        try:
            event = _EVENT.validate_python(envelope.data)
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            return dead(f"not a valid voice event: {where}: {first['msg']}")
        if isinstance(event, CallStarted):
            return await self._started(envelope, event)
        call = await self._store.read(_call, event.call_id)
        if call is None:
            return dead("an event of a call that no host has announced")
        return await self._heard(envelope, event, call)

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
        try:
            recipient = canonical_phone(event.recipient)
        except GatewayError as error:
            raise _RefusedCallError(error.message) from None
        message = InboundMessage(
            channel=Channel.VOICE,
            provider=event.host_id,
            provider_message_id=f"{event.call_id}:start",
            sender=_caller(event),
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

    async def _heard(self, envelope: Envelope, event: VoiceEvent, call: "_Call") -> Verdict:
        if isinstance(event, Speech) and not event.final:
            return DONE
        text, role = _said(event)
        message = InboundMessage(
            channel=Channel.VOICE,
            provider=call.host_id,
            provider_message_id=envelope.id,
            sender=call.sender,
            recipient=call.recipient,
            text=text,
            received_at=self._clock.now(),
            thread_key=event.call_id,
            role=role,
            metadata={} if role is Role.USER else {"voice_event": envelope.data},
            sender_auth=SenderAuth.VERIFIED,
        )
        if isinstance(event, CallEnded):
            await self._dialogue.end(message)
            await self._store.write(end_call, call.host_id, event.call_id)
        else:
            await self._accept(message)
        return DONE


class _RefusedCallError(Exception):
    """The call cannot be taken."""


class _Call:
    """A call that a host has announced."""

    __slots__ = ("host_id", "recipient", "sender")

    def __init__(self, host_id: str, sender: str, recipient: str) -> None:
        self.host_id = host_id
        self.sender = sender
        self.recipient = recipient


async def _call(tx: Tx, call_id: str) -> _Call | None:
    row = await tx.one("call_announced", call_id=call_id)
    return None if row is None else _Call(row["host_id"], row["their_address"], row["our_address"])


def _caller(event: CallStarted) -> str:
    """A number is what the carrier says; anything else belongs to this call alone."""
    try:
        return canonical_phone(event.sender)
    except GatewayError:
        return f"anonymous:{event.call_id}"


def _said(event: VoiceEvent) -> tuple[str, Role]:
    """An event's text in the transcript, and whether the agent answers it."""
    match event:
        case Speech():
            return event.text, Role.USER
        case Digits():
            return event.digits, Role.USER
        case CallEnded():
            return f"Call ended: {event.reason}.", Role.SYSTEM_EVENT
        case _:
            return f"{event.kind}", Role.SYSTEM_EVENT
