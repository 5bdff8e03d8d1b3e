"""The documents that tell a call what to do, as the fake Twilio fetches them."""

from collections.abc import Sequence
from typing import Final

from channels.twilio.fake.twiml import TwimlError, Verb, parse
from channels.twilio.fake.webhooks import Webhooks, WebhookUnreachable

_TYPES: Final = ("text/xml", "application/xml", "text/html")


async def fetch_document(
    webhooks: Webhooks, url: str, form: Sequence[tuple[str, str]], method: str
) -> tuple[Verb, ...]:
    """The verbs answered at `url`. Raises TwimlError, with Twilio's code, where the answer is no document."""
    try:
        answer = await webhooks.post(url, form, method=method)
    except WebhookUnreachable as error:
        raise TwimlError(f"11200 {error}") from error
    if not 200 <= answer.status < 300:
        raise TwimlError(f"11200 HTTP {answer.status}")
    if answer.content_type not in _TYPES:
        raise TwimlError(f"12300 Invalid Content-Type {answer.content_type}")
    return parse(answer.body)
