"""Mail that routes of Mailgun forward (documentation.mailgun.com: "Routes", "Securing Webhooks").

Its signature covers a timestamp and a token, not the mail: whoever has seen one request could put another
mail under it. So a token counts once in each process, and for as long only as Mailgun itself comes again.
"""

import hmac
from collections import OrderedDict
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from channels.contract import MAX_FIELDS
from channels.email.auth.sender import MailArrival
from channels.email.hooks.common import MAX_REQUEST, hand_over
from channels.email.intake import MailIntake
from channels.email.mime import read_mail
from channels.webhooks import FORM_TYPE, invalid, malformed, read_body, unproven, webhook
from gateway.domain.clock import SECOND, Clock

PROVIDER: Final = "mailgun"
PATHS: Final = ("/webhooks/mail/mailgun", "/webhooks/mail/mailgun/mime")
"""Mailgun sends the raw mail where the URL ends in `mime`."""
MAX_AGE: Final = 8 * 3600
"""Seconds; Mailgun tries again for eight hours."""
_AHEAD: Final = 300
_REMEMBERED: Final = 100_000
_MULTIPART: Final = "multipart/form-data"
_WANTED: Final = frozenset({"timestamp", "token", "signature", "sender", "recipient", "body-mime"})


class SeenTokens:
    """Tokens of requests that were taken, the newest so many."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, token: str) -> bool:
        return token in self._seen

    def add(self, token: str) -> None:
        """Remember one, and forget the oldest where there are too many."""
        self._seen[token] = None
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)


def mailgun_routes(intake: MailIntake, signing_key: str, clock: Clock) -> list[Route]:
    """The webhook, with and without `/mime`, to be mounted on the public surface."""
    seen = SeenTokens()

    async def inbound(request: Request) -> Response:
        fields = await read_fields(request)
        token = _prove(fields, signing_key, clock.now() // SECOND)
        if token in seen:
            raise unproven(PROVIDER, "replayed")
        raw = fields.get("body-mime", b"")
        if not raw:
            raise invalid("body-mime is missing: the route must forward to a URL that ends in /mime.")
        arrival = MailArrival(raw=raw, mail_from=_text(fields, "sender"))
        recipients = [box.strip() for box in _text(fields, "recipient").split(",")]
        response = await hand_over(intake, arrival, recipients, PROVIDER)
        seen.add(token)
        return response

    return [Route(path, webhook(inbound), methods=["POST"]) for path in PATHS]


async def read_fields(request: Request) -> dict[str, bytes]:
    """The fields that count, from either kind of form; WebhookRefused where it is neither."""
    declared = request.headers.get("content-type", "")
    media_type = declared.partition(";")[0].strip().lower()
    if media_type not in (FORM_TYPE, _MULTIPART):
        raise malformed(f"The Content-Type must be {FORM_TYPE} or {_MULTIPART}.")
    body = await read_body(request, MAX_REQUEST)
    if media_type == FORM_TYPE:
        if body.count(b"&") >= MAX_FIELDS:
            raise malformed(f"A form has at most {MAX_FIELDS} fields.")
        pairs = parse_qsl(body.decode("latin-1"), keep_blank_values=True, encoding="latin-1")
        return {name: value.encode("latin-1") for name, value in reversed(pairs) if name in _WANTED}
    form = read_mail(b"Content-Type: " + declared.encode("latin-1", "replace") + b"\r\n\r\n" + body)
    named = ((part.disposition.parameters.get("name", ""), part) for part in form.children)
    return {name: part.content() for name, part in named if name in _WANTED}


def _prove(fields: dict[str, bytes], signing_key: str, now: int) -> str:
    """The token of a request that Mailgun signed lately."""
    timestamp, token = _text(fields, "timestamp"), _text(fields, "token")
    signed = hmac.new(signing_key.encode(), (timestamp + token).encode(), "sha256").hexdigest()
    if not token or not hmac.compare_digest(signed.encode(), fields.get("signature", b"")):
        raise unproven(PROVIDER, "signature")
    if not timestamp.isdecimal() or not now - MAX_AGE <= int(timestamp[:12]) <= now + _AHEAD:
        raise unproven(PROVIDER, "age")
    return token


def _text(fields: dict[str, bytes], name: str) -> str:
    return fields.get(name, b"")[:4_096].decode("utf-8", "replace")
