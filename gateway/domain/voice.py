"""What hosts on the queues are told, as `voice.intent` messages (contract/queues.md, "Voice hosts")."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from gateway.domain.clock import SECOND, rfc3339
from gateway.domain.conversation import Status
from gateway.domain.digits import DEFAULT_DIGITS
from gateway.domain.host_line import HostLine
from gateway.domain.ids import named_id
from gateway.domain.intent import IntentKind
from gateway.domain.turn import TurnOutcome, Uttered

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
    payload: dict[str, Any] = Field(
        default_factory=dict,
        description="by `kind`: a schema each",
    )


def utterance_of(turn_id: str, fence: int) -> str:
    """The utterance that is a turn's reply. Each attempt is one of its own: what it says may differ."""
    return named_id(turn_id, str(fence), "utterance")


def piece(
    line: HostLine, conversation_id: str, turn_id: str, now: int, part: tuple[str, int, str]
) -> VoiceIntent:
    """A piece of a reply that is being made; `part`: the utterance, which piece of it, its text."""
    utterance_id, n, text = part
    return VoiceIntent(
        intent_id=named_id(utterance_id, str(n)),
        kind=IntentKind.SAY,
        payload=_utterance(utterance_id, text, n=n, final=False),
        **_frame(line.call_id, conversation_id, turn_id, now),
    )


def voice_intents(
    outcome: TurnOutcome, call_id: str, now: int, uttered: Uttered | None = None
) -> tuple[VoiceIntent, ...]:
    """What a host has to do after a turn, in order: say the reply, carry out its intents, hang up at the end.

    Pure; `now` in microseconds. The ids follow from the turn, so publishing a second time doubles nothing.
    Of a reply that was said while it was made (`uttered`) only the last piece is left. Intents of a kind that
    the contract does not know are left out.
    """
    frame = _frame(call_id, outcome.conversation_id, outcome.turn_id, now)
    return tuple(
        VoiceIntent(intent_id=intent_id, kind=kind, payload=payload, **frame)
        for intent_id, kind, payload in _wanted(outcome, uttered)
    )


def saying(call_id: str, message: tuple[str, str], text: str, now: int) -> VoiceIntent:
    """Speak what no turn made; `message`: its id, and that of its conversation."""
    message_id, conversation_id = message
    return VoiceIntent(
        intent_id=named_id(message_id, IntentKind.SAY.value),
        kind=IntentKind.SAY,
        payload=_utterance(named_id(message_id, "utterance"), text),
        **_frame(call_id, conversation_id, None, now),
    )


def hanging_up(call_id: str, conversation_id: str, status: Status, now: int) -> VoiceIntent:
    """Let the caller go: the conversation has ended with `status`."""
    return VoiceIntent(
        intent_id=named_id(conversation_id, call_id, IntentKind.HANG_UP.value),
        kind=IntentKind.HANG_UP,
        payload={"reason": status.value},
        **_frame(call_id, conversation_id, None, now),
    )


def letting_go(said: VoiceIntent, reason: str, now: int) -> VoiceIntent:
    """Let the caller go once they have heard this."""
    return VoiceIntent(
        intent_id=named_id(said.conversation_id, said.call_id, IntentKind.HANG_UP.value),
        kind=IntentKind.HANG_UP,
        payload={"reason": reason, "after": said.payload["utterance_id"]},
        **_frame(said.call_id, said.conversation_id, None, now),
    )


def _frame(call_id: str, conversation_id: str, turn_id: str | None, now: int) -> dict[str, Any]:
    return {
        "call_id": call_id,
        "conversation_id": conversation_id,
        "turn_id": turn_id,
        "issued_at": rfc3339(now),
        "not_after": rfc3339(now + VALID_SECONDS * SECOND),
    }


def _wanted(
    outcome: TurnOutcome, uttered: Uttered | None
) -> Iterator[tuple[str, IntentKind, dict[str, Any]]]:
    last = _last_piece(outcome, uttered)
    after = {}
    if last is not None:
        yield named_id(last["utterance_id"], str(last["n"])), IntentKind.SAY, last
        after = {"after": last["utterance_id"]}
    hangs_up = False
    for number, intent in enumerate(outcome.intents):
        if intent.get("kind") in frozenset(IntentKind):
            kind = IntentKind(intent["kind"])
            hangs_up = hangs_up or kind is IntentKind.HANG_UP
            payload = intent.get("payload") or {}
            if kind in _PARTING:
                payload = {**payload, **after}
            elif kind is IntentKind.COLLECT_DTMF:
                payload = {**DEFAULT_DIGITS.model_dump(), "expects_input": True, **_set(payload)}
            yield intent.get("intent_id") or _own_id(outcome, kind, number), kind, payload
    if outcome.ended and not hangs_up:
        yield (
            _own_id(outcome, IntentKind.HANG_UP),
            IntentKind.HANG_UP,
            {"reason": outcome.session_status.value, **after},
        )


def _set(payload: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in payload.items() if value is not None}


_PARTING = frozenset({IntentKind.TRANSFER, IntentKind.HANG_UP})
"""What would cut off the words before it, which travel by another queue: it names them (`after`)."""


def _last_piece(outcome: TurnOutcome, uttered: Uttered | None) -> dict[str, Any] | None:
    """The reply, or what is left of it; with all of it, for a host that has missed a piece."""
    if uttered is not None:
        rest = outcome.text[len(uttered.text) :]
        return {**_utterance(uttered.utterance_id, rest, n=uttered.pieces), "whole": outcome.text}
    if not outcome.text:
        return None
    return _utterance(utterance_of(outcome.turn_id, outcome.fence), outcome.text)


def _utterance(utterance_id: str, text: str, *, n: int = 0, final: bool = True) -> dict[str, Any]:
    """A piece of what is to be said, or all of it."""
    return {
        "utterance_id": utterance_id,
        "n": n,
        "text": text,
        "final": final,
        "interruptible": True,
    }


def _own_id(outcome: TurnOutcome, kind: IntentKind, number: int = 0) -> str:
    return named_id(outcome.turn_id, kind.value, str(number))
