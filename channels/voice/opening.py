"""How a call begins, in either direction: stored before it is answered, greeted, and carried from there."""

from channels.contract import Ingress
from channels.twilio.requests import SMS_RETRIES
from channels.voice.calls import GREETING, Call
from channels.voice.news import newest_said
from channels.voice.notes import note
from channels.voice.outgoing import RECORDED_PATH
from channels.voice.render import Rendering, listen
from channels.voice.steps import Links, Step
from channels.voice.verbs import Connect, Record
from gateway.domain.errors import GatewayError


async def opened(ingress: Ingress, links: Links, call: Call, first_message: str | None = None) -> Rendering:
    """The first document of a call (UnknownAddress, Unavailable); `first_message` instead of a greeting."""
    accepted = await ingress.accept(call.started())
    rules = ingress.calls(call.parties.ours)
    greeting = first_message or rules.texts.greeting_of(goes_on=accepted.goes_on)
    if rules.streams or first_message is not None:
        await ingress.accept(call.said(GREETING, greeting))
    if rules.streams:
        first = connect(links, greeting)
    else:
        before = accepted.goes_on or accepted.duplicate or first_message is not None
        since = await _newest(ingress, call, accepted.conversation_id) if before else 0
        first = listen(links, 1, greeting, since)
    if not rules.record:
        return first
    recording = Record(f"{ingress.public_url}{RECORDED_PATH}{SMS_RETRIES}")
    return Rendering((recording, *first.verbs), first.downgrades)


async def _newest(ingress: Ingress, call: Call, conversation_id: str) -> int | None:
    """The newest message that was said, with the greeting; None where that cannot be read now."""
    if not conversation_id:  # it is stored later
        return None
    try:
        return max(0, await newest_said(ingress.dialogue, conversation_id))
    except GatewayError as error:
        note("news_unread", call.sid, code=error.code.value)
        return None


def connect(links: Links, greeting: str, tries: int = 0) -> Rendering:
    """Go on with the call over a WebSocket."""
    action = links.relayed(Step(n=0, tries=tries))
    return Rendering((Connect(url=links.relay, action=action, greeting=greeting),))
