"""Where the calls of an agent may be transferred to, and how: `[agents.NAME.transfers.LABEL]`."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from gateway.domain.intent import (
    MAX_RETRIES,
    MAX_SPOKEN,
    WARM_SECONDS,
    CallTransferIntent,
    OnFailure,
    TransferMode,
    WarmTransfer,
)
from gateway.settings.addresses import parse_destination
from gateway.settings.refusals import Table

Destination = Annotated[str, BeforeValidator(parse_destination)]
Line = Annotated[str, Field(max_length=MAX_SPOKEN)]
"""Spoken; "" for nothing."""


def _within(name: str) -> object:
    low, high = WARM_SECONDS[name]
    return Field(ge=low, le=high)


class WarmTable(Table):
    """How a person is briefed before the caller is joined; what is not given is as in `WarmTransfer`."""

    message_mode: Annotated[str, Field(pattern="^(ai_summary|template|none)$")] | None = None
    briefing_template: Line | None = None
    max_dial_seconds: Annotated[int, _within("max_dial_seconds")] | None = None
    max_briefing_seconds: Annotated[int, _within("max_briefing_seconds")] | None = None
    bridge_confirm_seconds: Annotated[int, _within("bridge_confirm_seconds")] | None = None
    max_hold_seconds: Annotated[int, _within("max_hold_seconds")] | None = None
    hold_announcement_text: Line | None = None
    reassurance_interval_seconds: Annotated[int, _within("reassurance_interval_seconds")] | None = None
    reassurance_text: Line | None = None
    detect_supervisor_voicemail: bool | None = None
    detect_supervisor_silence: bool | None = None
    silence_reminder_text: Line | None = None
    silence_timeout_seconds: Annotated[int, _within("silence_timeout_seconds")] | None = None
    retry_announcement_text: Line | None = None
    failure_text: Line | None = None


class TransferConfig(Table):
    """Where a call may be transferred to, under a label that the agent knows.

    A destination is an E.164 number or a sip: URI; a warm transfer tries `warm_destinations` in order.
    """

    destination: Destination
    mode: TransferMode = TransferMode.COLD
    warm_destinations: Annotated[tuple[Destination, ...], Field(max_length=20)] = ()
    connecting_text: Line | None = None
    max_retries: Annotated[int, Field(ge=MAX_RETRIES[0], le=MAX_RETRIES[1])] = 1
    retry_text: Line | None = None
    on_failure: OnFailure | None = None
    warm: WarmTable | None = None

    def intent(self, label: str) -> CallTransferIntent:
        """The transfer that the label stands for, without defaults applied."""
        warm = None if self.warm is None else WarmTransfer(**self.warm.model_dump(exclude_none=True))
        return CallTransferIntent(
            destination=self.destination,
            mode=self.mode,
            label=label,
            warm_destinations=list(self.warm_destinations),
            connecting_text=self.connecting_text,
            max_retries=self.max_retries,
            retry_text=self.retry_text,
            on_failure=None if self.on_failure is None else self.on_failure.value,
            warm=warm,
        )
