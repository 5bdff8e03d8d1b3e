"""What a turn's outcome wants of a call: its intents, read from how they are stored."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from gateway.domain.conversation import Status
from gateway.domain.intent import CallTransferIntent, DtmfInputSpec, IntentKind
from gateway.domain.turn import Path, TurnOutcome

WAITING = frozenset({Status.WAITING_FOR_HUMAN, Status.AWAITING_APPROVAL, Status.PAUSED})
"""Where a person has to act before the agent answers again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the intents of an outcome ask for."""

    transfer: CallTransferIntent | None = None
    transfer_id: str | None = None
    briefing: str = ""
    """What a warm transfer's person is told."""
    digits: DtmfInputSpec | None = None
    hang_up: bool = False
    invalid: tuple[str, ...] = ()
    """Kinds of intents that could not be read."""


def wishes_of(intents: Iterable[Mapping[str, Any]]) -> Wishes:
    """The last transfer and the last digit request among stored intents."""
    transfer: CallTransferIntent | None = None
    transfer_id: str | None = None
    briefing = ""
    digits: DtmfInputSpec | None = None
    hang_up = False
    invalid: list[str] = []
    for intent in intents:
        kind, payload = intent.get("kind"), intent.get("payload")
        try:
            if kind == IntentKind.TRANSFER:
                transfer = CallTransferIntent.model_validate(payload)
                transfer_id = intent.get("intent_id")
                briefing = str((payload or {}).get("briefing_text") or "")
            elif kind == IntentKind.COLLECT_DTMF:
                digits = DtmfInputSpec.model_validate(payload)
            hang_up = hang_up or kind == IntentKind.HANG_UP
        except ValidationError:
            invalid.append(str(kind))
    return Wishes(
        transfer=transfer,
        transfer_id=transfer_id,
        briefing=briefing,
        digits=digits,
        hang_up=hang_up,
        invalid=tuple(invalid),
    )


def is_waiting(outcome: TurnOutcome) -> bool:
    """Whether a person has to act before the agent answers again."""
    return outcome.path is Path.QUEUED or outcome.session_status in WAITING
