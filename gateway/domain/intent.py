"""What a voice host must do: transfer a call, collect digits (contract/queues.md, "Voice hosts").

The models validate what agents send; `resolve_*` apply defaults and clamp bounds, so that a host
only ever sees complete values.
"""

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

MAX_DIGITS = (1, 64)
INTER_DIGIT_TIMEOUT_MS = (250, 60_000)
MAX_RETRIES = (0, 5)
WARM_SECONDS = {
    "max_dial_seconds": (5, 120),
    "max_briefing_seconds": (5, 300),
    "bridge_confirm_seconds": (5, 120),
    "max_hold_seconds": (10, 600),
    "reassurance_interval_seconds": (5, 300),
    "silence_timeout_seconds": (3, 120),
}
MAX_SPOKEN = 2_000
"""Characters of a text that a transfer speaks; what is beyond is left out."""
TERMINATORS = frozenset("0123456789*#ABCD")


class TransferMode(StrEnum):
    """Cold: the caller is passed on. Warm: the person is briefed first."""

    COLD = "cold"
    WARM = "warm"


class OnFailure(StrEnum):
    """What follows a transfer that reached nobody."""

    RETURN_TO_AGENT = "return_to_agent"
    COLD_TRANSFER = "cold_transfer"
    VOICEMAIL = "voicemail"
    HANGUP = "hangup"


class WarmTransfer(BaseModel):
    """How a person is briefed before the caller is joined; times in whole seconds."""

    model_config = ConfigDict(frozen=True)

    message_mode: str = "ai_summary"
    briefing_template: str | None = None
    max_dial_seconds: int = 30
    max_briefing_seconds: int = 60
    bridge_confirm_seconds: int = 20
    max_hold_seconds: int = 110
    hold_announcement_text: str = "One moment — I'll place you on a brief hold while I connect you."
    reassurance_interval_seconds: int = 20
    reassurance_text: str = "Thanks for your patience — I'm still working on connecting you."
    detect_supervisor_voicemail: bool = False
    detect_supervisor_silence: bool = False
    silence_reminder_text: str = "Hello — are you available to take this call?"
    silence_timeout_seconds: int = 15
    retry_announcement_text: str = "I couldn't reach them that way — let me try connecting you directly."
    failure_text: str = "I'm sorry, I wasn't able to connect you right now. I can keep helping you here."


class WarmOverrides(BaseModel):
    """What one transfer changes of the warm settings."""

    model_config = ConfigDict(frozen=True)

    briefing_template: str | None = None


class CallTransferIntent(BaseModel):
    """A transfer, ready for a host to carry out."""

    model_config = ConfigDict(frozen=True)

    destination: str = Field(min_length=1, max_length=255)
    mode: TransferMode = TransferMode.COLD
    label: str | None = None
    connecting_text: str | None = None
    reason: str | None = None
    warm_destinations: list[str] = Field(default_factory=list, max_length=20)
    max_retries: int = 1
    retry_text: str | None = None
    on_failure: str | None = None
    """Kept raw: an unknown value means `return_to_agent` (see `failure_action`)."""
    warm: WarmTransfer | None = None
    warm_overrides: WarmOverrides | None = None

    @property
    def failure_action(self) -> OnFailure:
        """What to do when nobody was reached; anything unknown keeps the caller with the agent."""
        try:
            return OnFailure(self.on_failure or OnFailure.RETURN_TO_AGENT)
        except ValueError:
            return OnFailure.RETURN_TO_AGENT


class DtmfInputSpec(BaseModel):
    """How digits are collected; an unset field keeps the agent's default. Holds for the next input only."""

    model_config = ConfigDict(frozen=True)

    expects_input: bool | None = None
    max_digits: int | None = None
    termination_digit: str | None = None
    """One of 0-9*#A-D; `""` means none. The digit itself is not delivered."""
    inter_digit_timeout_ms: int | None = None
    prefix: str | None = None
    """Put before the digits, nothing added."""


_TEXTS = ("_text", "_template")


def _clamp(value: int, bounds: tuple[int, int]) -> int:
    return max(bounds[0], min(bounds[1], value))


def resolve_transfer(intent: CallTransferIntent) -> tuple[CallTransferIntent, list[str]]:
    """The intent with its effective warm settings: defaults ← `warm` ← `warm_overrides`, bounds kept.

    With the names of the fields that were out of bounds and set right.
    """
    warm, corrected = None, []
    if intent.mode is TransferMode.WARM:
        warm = intent.warm or WarmTransfer()
        if intent.warm_overrides is not None and intent.warm_overrides.briefing_template is not None:
            warm = warm.model_copy(update={"briefing_template": intent.warm_overrides.briefing_template})
        bounded = _bounded(warm) | {
            name: _clamp(getattr(warm, name), bounds) for name, bounds in WARM_SECONDS.items()
        }
        corrected += [f"warm.{name}" for name, value in bounded.items() if value != getattr(warm, name)]
        warm = warm.model_copy(update=bounded)
    bounded = _bounded(intent) | {
        "max_retries": _clamp(intent.max_retries, MAX_RETRIES),
        "on_failure": intent.failure_action.value,
    }
    for name, value in bounded.items():
        if getattr(intent, name) not in (None, value):
            corrected.append(name)
    return intent.model_copy(update={**bounded, "warm": warm, "warm_overrides": None}), corrected


def _bounded(model: BaseModel) -> dict[str, Any]:
    """Its texts, no longer than what is spoken."""
    texts = {name: value for name, value in model if isinstance(value, str) and name.endswith(_TEXTS)}
    return {name: text[:MAX_SPOKEN] for name, text in texts.items()}


def resolve_digits(spec: DtmfInputSpec, default: DtmfInputSpec) -> tuple[DtmfInputSpec, list[str]]:
    """`spec` over the agent's default, clamped; with the names of the fields that were out of bounds."""
    clamped: list[str] = []
    values: dict[str, Any] = default.model_dump()
    values.update({k: v for k, v in spec.model_dump().items() if v is not None})
    for name, bounds in (("max_digits", MAX_DIGITS), ("inter_digit_timeout_ms", INTER_DIGIT_TIMEOUT_MS)):
        value = values[name]
        if value is not None and _clamp(value, bounds) != value:
            values[name] = _clamp(value, bounds)
            clamped.append(name)
    terminator = values["termination_digit"]
    if terminator and terminator not in TERMINATORS:
        values["termination_digit"] = default.termination_digit
        clamped.append("termination_digit")
    return DtmfInputSpec(**values), clamped


class IntentKind(StrEnum):
    """The `kind` of a `voice.intent` message."""

    SAY = "say"
    COLLECT_DTMF = "collect_dtmf"
    TRANSFER = "transfer"
    CANCEL = "cancel"
    HANG_UP = "hang_up"
