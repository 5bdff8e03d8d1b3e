"""A turn's outcome as `voice.intent` messages for hosts on the queues (contract/queues.md, "Voice hosts")."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from gateway.domain.clock import SECOND, rfc3339
from gateway.domain.conversation import Status
from gateway.domain.ids import named_id
from gateway.domain.intent import IntentKind
from gateway.domain.message import Message
from gateway.domain.turn import TurnOutcome

VALID_SECONDS = 30
"""An intent a host has not begun by then is worth nothing to the caller any more."""


class VoiceIntent(BaseModel):
    """The `data` of one `voice.intent` message."""

    model_config = ConfigDict(frozen=True)

    intent_id: str
    call_id: str
    conversation_id: str
    turn_id: str | None
    """None where no turn asked for it: an operator speaks, the conversation is closed."""
    issued_at: str
    not_after: str
    kind: IntentKind
    payload: dict[str, Any] = Field(default_factory=dict)


def voice_intents(outcome: TurnOutcome, call_id: str, now: int) -> tuple[VoiceIntent, ...]:
    """What a host has to do after a turn, in order: say the reply, carry out its intents, hang up at the end.

    Pure; `now` in microseconds. The ids follow from the turn, so publishing a second time doubles nothing.
    Intents of a kind that the contract does not know are left out.
    """
    frame = _frame(call_id, outcome.conversation_id, outcome.turn_id, now)
    return tuple(
        VoiceIntent(intent_id=intent_id, kind=kind, payload=payload, **frame)
        for intent_id, kind, payload in _wanted(outcome)
    )


def saying(call_id: str, message: Message) -> VoiceIntent:
    """Speak a message that no turn made."""
    return VoiceIntent(
        intent_id=named_id(message.id, IntentKind.SAY.value),
        kind=IntentKind.SAY,
        payload=_utterance(named_id(message.id, "utterance"), message.content),
        **_frame(call_id, message.conversation_id, None, message.created_at),
    )


def hanging_up(call_id: str, conversation_id: str, status: Status, now: int) -> VoiceIntent:
    """Let the caller go: the conversation has ended with `status`."""
    return VoiceIntent(
        intent_id=named_id(conversation_id, call_id, IntentKind.HANG_UP.value),
        kind=IntentKind.HANG_UP,
        payload={"reason": status.value},
        **_frame(call_id, conversation_id, None, now),
    )


def _frame(call_id: str, conversation_id: str, turn_id: str | None, now: int) -> dict[str, Any]:
    return {
        "call_id": call_id,
        "conversation_id": conversation_id,
        "turn_id": turn_id,
        "issued_at": rfc3339(now),
        "not_after": rfc3339(now + VALID_SECONDS * SECOND),
    }


def _wanted(outcome: TurnOutcome) -> Iterator[tuple[str, IntentKind, dict[str, Any]]]:
    if outcome.text:
        yield _own_id(outcome, IntentKind.SAY), IntentKind.SAY, _whole_reply(outcome)
    hangs_up = False
    for number, intent in enumerate(outcome.intents):
        if intent.get("kind") in frozenset(IntentKind):
            kind = IntentKind(intent["kind"])
            hangs_up = hangs_up or kind is IntentKind.HANG_UP
            yield intent.get("intent_id") or _own_id(outcome, kind, number), kind, intent.get("payload") or {}
    if outcome.ended and not hangs_up:
        yield (
            _own_id(outcome, IntentKind.HANG_UP),
            IntentKind.HANG_UP,
            {"reason": outcome.session_status.value},
        )


def _whole_reply(outcome: TurnOutcome) -> dict[str, Any]:
    return _utterance(named_id(outcome.turn_id, "utterance"), outcome.text)


def _utterance(utterance_id: str, text: str) -> dict[str, Any]:
    """What was not streamed: one utterance of one piece."""
    return {
        "utterance_id": utterance_id,
        "n": 0,
        "text": text,
        "final": True,
        "interruptible": True,
    }


def _own_id(outcome: TurnOutcome, kind: IntentKind, number: int = 0) -> str:
    return named_id(outcome.turn_id, kind.value, str(number))
