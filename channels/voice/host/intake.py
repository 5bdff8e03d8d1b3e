"""The rules by which a host takes what the gateway wants, before it acts (contract/queues.md)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, Self

from pydantic import ValidationError

from channels.voice.host.ledger import Json, Ledger
from channels.voice.host.say import Piece
from gateway.domain.clock import Clock, from_rfc3339
from gateway.domain.intent import DtmfInputSpec, IntentKind
from gateway.domain.intent_payloads import CancelPayload, HangUpPayload, TransferPayload
from gateway.domain.outcome import TransferReason, TransferState
from gateway.domain.voice import VoiceIntent

Payload = Piece | DtmfInputSpec | TransferPayload | CancelPayload | HangUpPayload


@dataclass(frozen=True, slots=True)
class Wanted:
    """A valid intent."""

    intent_id: str
    not_after: int
    """µs."""
    payload: Payload

    @classmethod
    def read(cls, intent: VoiceIntent) -> Self:
        """Raises ValueError, in one sentence, with the field that is wrong and not what is in it."""
        try:
            not_after = from_rfc3339(intent.not_after)
        except ValueError:
            raise ValueError("not_after is not a time") from None
        try:
            return cls(intent.intent_id, not_after, _payload(intent))
        except ValidationError as error:
            raise ValueError(f"not a valid payload of {intent.kind.value}: {fault(error)}") from None


def fault(error: ValidationError) -> str:
    """Which field is wrong and how, without what it holds."""
    first = error.errors(include_input=False, include_context=False, include_url=False)[0]
    where = ".".join(str(part)[:50] for part in first["loc"])
    return f"{where or 'data'}: {first['type']}"


def _payload(intent: VoiceIntent) -> Payload:
    match intent.kind:
        case IntentKind.SAY:
            return Piece.model_validate({**intent.payload, "intent_id": intent.intent_id})
        case IntentKind.COLLECT_DTMF:
            return DtmfInputSpec.model_validate(intent.payload)
        case IntentKind.TRANSFER:
            return TransferPayload.model_validate(intent.payload)
        case IntentKind.CANCEL:
            return CancelPayload.model_validate(intent.payload)
        case IntentKind.HANG_UP:
            return HangUpPayload.model_validate(intent.payload)


class Callee(Protocol):
    """A call, as far as it is told what to do."""

    call_id: str

    def act(self, wanted: Wanted) -> None:
        """Do it."""
        ...

    def settle(self, intent_id: str, **fields: Any) -> None:
        """Report how it ended, unless that is known."""
        ...

    def repeat(self, outcome: Json) -> None:
        """Report it again."""
        ...


def take(call: Callee, intent: VoiceIntent, ledger: Ledger, clock: Clock) -> Callable[[], None]:
    """Keep what the gateway wants; what is returned does it. One that is known is only answered again.

    Of words only the last piece is kept: the others are known by their numbers, and wait for no disk. Raises
    ValueError, in one sentence, for what is not valid; besides, the gateway hears that it has failed.
    """
    intent_id = intent.intent_id
    piece = intent.kind is IntentKind.SAY and not intent.payload.get("final")
    known = None if piece else ledger.intent(intent_id)
    if known is not None:
        outcome = known.outcome
        return lambda: None if outcome is None else call.repeat(outcome)
    if not piece:
        ledger.intent_begins(intent_id, call.call_id)
    try:
        wanted = Wanted.read(intent)
    except ValueError:
        if not piece:
            call.settle(intent_id, state=TransferState.FAILED.value, reason=TransferReason.UNSUPPORTED.value)
        raise
    if piece:
        return lambda: call.act(wanted)
    if ledger.canceled(intent_id):
        return lambda: call.settle(intent_id, state=TransferState.CANCELED.value)
    if clock.now() > wanted.not_after:
        return lambda: call.settle(intent_id, state=TransferState.EXPIRED.value)
    if isinstance(wanted.payload, CancelPayload):
        ledger.cancel(wanted.payload.intent_id)
    return lambda: call.act(wanted)
