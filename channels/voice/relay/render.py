"""What ConversationRelay would be sent for an intent, as `gateway voice render` shows it. Pure."""

import json
from typing import Any

from channels.voice.relay.frames import end, token
from channels.voice.relay.handoff import HANG_UP, TRANSFER
from gateway.domain.intent import CallTransferIntent, DtmfInputSpec, IntentKind


def render_intent(kind: IntentKind, payload: dict[str, Any]) -> str:
    """The array of frames, as JSON; a session's own has its id in `handoffData`. Raises ValidationError."""
    return json.dumps(_frames(kind, payload), ensure_ascii=False, indent=2)


def _frames(kind: IntentKind, payload: dict[str, Any]) -> list[dict[str, Any]]:
    match kind:
        case IntentKind.SAY:
            text, last = str(payload.get("text", "")), payload.get("final") is not False
            return [token(text, last=last, interruptible=payload.get("interruptible") is not False)]
        case IntentKind.COLLECT_DTMF:
            DtmfInputSpec.model_validate(payload)  # a session is told every key, and collects them itself
            return []
        case IntentKind.TRANSFER:
            said = CallTransferIntent.model_validate(payload).connecting_text
            spoken = [token(said, last=True, interruptible=False)] if said else []
            return [*spoken, end({"do": TRANSFER, "n": 1, "session": "session"})]
        case IntentKind.HANG_UP:
            return [end({"do": HANG_UP, "session": "session"})]
        case IntentKind.CANCEL:
            return []
