"""Mail that routes of Mailgun forward (documentation.mailgun.com: "Routes", "Securing Webhooks").

Its signature covers a timestamp and a token, not the mail: whoever has seen one request could put another
mail under it. So a token belongs to the mail it came with first, and counts only while Mailgun itself may
come again. All processes know it; while the database is away, each by itself. And as all of it has to be read
for that, a request has no more room than any other: MAX_BODY bytes.
"""

import hashlib
import hmac
from collections import OrderedDict
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from channels.contract import MAX_FIELDS
from channels.email.auth.sender import MailArrival
from channels.email.hooks.common import hand_over
from channels.email.intake import MailIntake
from channels.email.mime import read_mail
from channels.webhooks import FORM_TYPE, invalid, malformed, read_body, unproven, webhook
from gateway.domain.clock import SECOND, Clock
from gateway.domain.errors import Unavailable
from gateway.domain.ports.ingress import BindToken

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
    """The tokens of this process, the newest so many, before those of all."""

    def __init__(self, bind: BindToken) -> None:
        self._bind = bind
        self._seen: OrderedDict[str, str] = OrderedDict()

    async def belongs(self, token: str, content: bytes) -> bool:
        """Whether a token came with this content, or with none before."""
        digest = hashlib.sha256(content).hexdigest()
        if self._seen.setdefault(token, digest) != digest:
            return False
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        try:
            return await self._bind(PROVIDER, token, digest)
        except Unavailable:  # it is taken by the spool, or not at all
            return True


def mailgun_routes(intake: MailIntake, signing_key: str, clock: Clock, bind: BindToken) -> list[Route]:
    """The webhook, with and without `/mime`, to be mounted on the public surface."""
    seen = SeenTokens(bind)

    async def inbound(request: Request) -> Response:
        fields = await read_fields(request)
        token = _prove(fields, signing_key, clock.now() // SECOND)
        raw = fields.get("body-mime", b"")
        if not raw:
            raise invalid("body-mime is missing: the route must forward to a URL that ends in /mime.")
        recipient, sender = fields.get("recipient", b""), fields.get("sender", b"")
        if not await seen.belongs(token, b"\0".join((recipient, sender, raw))):
            raise unproven(PROVIDER, "replayed")
        arrival = MailArrival(raw=raw, mail_from=_text(fields, "sender"))
        recipients = [box.strip() for box in _text(fields, "recipient").split(",")]
        return await hand_over(intake, arrival, recipients, PROVIDER)

    return [Route(path, webhook(inbound), methods=["POST"]) for path in PATHS]


async def read_fields(request: Request) -> dict[str, bytes]:
    """The fields that count, from either kind of form; WebhookRefused where it is neither."""
    declared = request.headers.get("content-type", "")
    media_type = declared.partition(";")[0].strip().lower()
    if media_type not in (FORM_TYPE, _MULTIPART):
        raise malformed(f"The Content-Type must be {FORM_TYPE} or {_MULTIPART}.")
    body = await read_body(request)
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
