"""Whoever a `<Dial>` of the fake Twilio reaches, and what they hear before they are joined."""

from urllib.parse import urljoin

from channels.twilio.fake.calls import FakeCall
from channels.twilio.fake.callstate import CallError
from channels.twilio.fake.ledger import new_sid
from channels.twilio.fake.twiml import Gather, Hangup, Say, Verb, parse
from channels.twilio.fake.webhooks import Webhooks

MAX_DOCUMENTS = 20


async def whisper(webhooks: Webhooks, call: FakeCall, keys: str) -> tuple[list[str], bool]:
    """The person picks up and presses these keys, one at each question.

    What they hear, and whether they are joined. Raises CallError where nobody is called with a whisper.
    """
    url = call.whispers_from
    if not url:
        raise CallError("nobody is called who hears something first")
    leg = [(name, value) for name, value in call.form() if name != "CallSid"]
    leg += [("CallSid", new_sid("CA")), ("ParentCallSid", call.sid)]
    heard: list[str] = []
    extra: list[tuple[str, str]] = []
    for _ in range(MAX_DOCUMENTS):
        answer = await webhooks.post(url, [*leg, *extra])
        asked = _hear(parse(answer.body), heard)
        if not isinstance(asked, Gather):
            return heard, asked is None
        key, keys = keys[:1], keys[1:]
        if not key and not asked.action_on_empty:
            return heard, False
        url, extra = urljoin(url, asked.action), [("Digits", key)] if key else []
    raise CallError("the whisper does not end")


def _hear(verbs: tuple[Verb, ...], heard: list[str]) -> Gather | Hangup | None:
    """Play a document up to a question, or to its end."""
    for verb in verbs:
        match verb:
            case Say():
                heard.append(verb.text)
            case Gather():
                heard += [one.text for one in verb.prompts if isinstance(one, Say)]
                return verb
            case Hangup():
                return verb
    return None
