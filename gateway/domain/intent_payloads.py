"""What a voice intent brings with it, by its kind (contract/queues.md, "Voice hosts")."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from gateway.domain.intent import CallTransferIntent, DtmfInputSpec, IntentKind

_Name = Annotated[str, Field(min_length=1, max_length=255)]
_After = Annotated[str | None, Field(description="the utterance that is to be spoken first")]


class _Payload(BaseModel):
    model_config = ConfigDict(frozen=True)


class SayPayload(_Payload):
    """A piece of an utterance: spoken n = 0, 1, … in order, each once, up to the one that is `final`."""

    utterance_id: _Name
    n: int = Field(ge=0)
    text: str
    final: bool
    interruptible: bool = True
    whole: str | None = Field(
        None, description="with the last piece: all of the utterance, for a host to which a piece never came"
    )


class TransferPayload(CallTransferIntent):
    """Pass the caller on. Resolved: nothing is left to a host's own defaults."""

    briefing_text: str = Field("", description="what a person is told before they take the call")
    after: _After = None


class CancelPayload(_Payload):
    """An intent is not wanted any more, whether or not it has come yet."""

    intent_id: _Name


class HangUpPayload(_Payload):
    """Let the caller go."""

    reason: str = ""
    after: _After = None


PAYLOADS: Mapping[IntentKind, type[BaseModel]] = {
    IntentKind.SAY: SayPayload,
    IntentKind.COLLECT_DTMF: DtmfInputSpec,
    IntentKind.TRANSFER: TransferPayload,
    IntentKind.CANCEL: CancelPayload,
    IntentKind.HANG_UP: HangUpPayload,
}
