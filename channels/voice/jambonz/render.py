"""What jambonz is sent for one intent, for `gateway voice render`."""

import json
from typing import Any

from channels.voice.destination import Destination, destination_kind
from channels.voice.jambonz.listening import collecting
from channels.voice.jambonz.transfer import Transfer, announced, dialing, referring
from channels.voice.jambonz.verbs import Hangup, Say, Verb, array, said
from channels.voice.jambonz.warm import JambonzWarm
from channels.voice.render import CannotRender
from gateway.domain.call_rules import CallRules
from gateway.domain.intent import CallTransferIntent, DtmfInputSpec, IntentKind


def render_intent(kind: IntentKind, payload: dict[str, Any]) -> str:
    """The array of verbs, as JSON. Raises ValidationError, and CannotRender for an undialable destination."""
    return json.dumps(array(_verbs(kind, payload)), ensure_ascii=False, indent=2)


def _verbs(kind: IntentKind, payload: dict[str, Any]) -> tuple[Verb, ...]:
    match kind:
        case IntentKind.SAY:
            return (Say(text=said(str(payload.get("text", "")))),)
        case IntentKind.COLLECT_DTMF:
            return collecting(DtmfInputSpec.model_validate(payload))
        case IntentKind.TRANSFER:
            briefing = str(payload.get("briefing_text") or "")
            return _transfer(CallTransferIntent.model_validate(payload), briefing)
        case IntentKind.HANG_UP:
            return (Hangup(),)
        case IntentKind.CANCEL:
            return ()


def _transfer(intent: CallTransferIntent, briefing: str) -> tuple[Verb, ...]:
    transfer = Transfer(intent=intent, intent_id=None, session="session", n=1)
    if transfer.warm:
        verbs = JambonzWarm(transfer, briefing, CallRules()).begin(0).verbs
    else:
        kind = destination_kind(intent.destination)
        way = referring(transfer) if kind is Destination.SIP else (dialing(transfer),)
        verbs = (*announced(transfer), *way) if kind is not None else ()
    if not verbs:
        raise CannotRender("a call can be connected to a number in E.164 or a sip: URI")
    return verbs
