"""What jambonz is sent for one intent, for `gateway voice render`."""

import json
from typing import Any

from channels.voice.destination import Destination, destination_kind
from channels.voice.jambonz.listening import collecting
from channels.voice.jambonz.transfer import Transfer, announced, dialing, referring
from channels.voice.jambonz.verbs import Hangup, Say, Verb, array, said
from channels.voice.render import CannotRender
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
            return _transfer(CallTransferIntent.model_validate(payload))
        case IntentKind.HANG_UP:
            return (Hangup(),)
        case IntentKind.CANCEL:
            return ()


def _transfer(intent: CallTransferIntent) -> tuple[Verb, ...]:
    transfer = Transfer(intent=intent, intent_id=None, session="session", n=1)
    kind = destination_kind(intent.destination)
    if kind is None:
        raise CannotRender("a call can be connected to a number in E.164 or a sip: URI")
    way = referring(transfer) if kind is Destination.SIP else (dialing(transfer),)
    return (*announced(transfer), *way)
