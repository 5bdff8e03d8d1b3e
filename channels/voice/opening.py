"""How a call begins, in either direction: stored before it is answered, greeted, and carried from there."""

from channels.contract import Ingress
from channels.twilio.requests import SMS_RETRIES
from channels.voice.calls import GREETING, Call
from channels.voice.outgoing import RECORDED_PATH
from channels.voice.render import Rendering, listen
from channels.voice.steps import Links, Step
from channels.voice.verbs import Connect, Record
from gateway.domain.call_rules import CallRules
from gateway.domain.message import Accepted


async def opened(ingress: Ingress, links: Links, call: Call, first_message: str | None = None) -> Rendering:
    """The first document of a call (UnknownAddress, Unavailable); `first_message` instead of a greeting."""
    accepted = await ingress.accept(call.started())
    rules = ingress.calls(call.parties.ours)
    greeting = first_message or await _greeting(ingress, rules, accepted)
    if rules.streams or first_message is not None:
        await ingress.accept(call.said(GREETING, greeting))
    first = connect(links, greeting) if rules.streams else listen(links, 1, greeting)
    if not rules.record:
        return first
    recording = Record(f"{ingress.public_url}{RECORDED_PATH}{SMS_RETRIES}")
    return Rendering((recording, *first.verbs), first.downgrades)


def connect(links: Links, greeting: str, tries: int = 0) -> Rendering:
    """Go on with the call over a WebSocket."""
    action = links.relayed(Step(n=0, tries=tries))
    return Rendering((Connect(url=links.relay, action=action, greeting=greeting),))


async def _greeting(ingress: Ingress, rules: CallRules, accepted: Accepted) -> str:
    """Somebody who rings back into a conversation is not asked what it is about."""
    may_go_on = rules.ring_back_seconds > 0 or not rules.closes
    if may_go_on and not accepted.duplicate:
        news = await ingress.dialogue.news(accepted.conversation_id, -1)
        if news.said:
            return rules.texts.welcome_back
    return rules.texts.greeting
