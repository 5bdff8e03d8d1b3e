"""Mail that routes of Mailgun forward (documentation.mailgun.com: "Routes", "Securing Webhooks").

Its signature covers a timestamp and a token, not the mail: whoever has seen one request could put another
mail under it. So a token belongs to the mail it came with first, and counts only while Mailgun itself may
come again. All processes know it; while the database is away, each by itself.

All of a form has to be read before its signature is known. So it has no more room than any other request,
MAX_BODY bytes, unless its head shows the login that the route has in its URL.
"""

import asyncio
import hashlib
import hmac
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from channels.contract import MAX_BODY
from channels.email.auth.sender import MailArrival
from channels.email.hooks.common import hand_over, read_mail_request
from channels.email.hooks.forms import form_fields_of
from channels.email.hooks.room import Room
from channels.email.intake import MailIntake
from channels.webhooks import Login, invalid, unproven, webhook
from gateway.domain.clock import SECOND, Clock
from gateway.domain.errors import Unavailable
from gateway.domain.ports.ingress import BindToken

PROVIDER: Final = "mailgun"
PATHS: Final = ("/webhooks/mail/mailgun", "/webhooks/mail/mailgun/mime")
"""Mailgun sends the raw mail where the URL ends in `mime`."""
MAX_REQUEST: Final = 47_185_920
"""Bytes of a request whose head has the login: a mail of 30 MB, escaped."""
MAX_AGE: Final = 8 * 3600
"""Seconds; Mailgun tries again for eight hours."""
_AHEAD: Final = 300
_REMEMBERED: Final = 100_000
_WANTED: Final = frozenset({"timestamp", "token", "signature", "sender", "recipient", "body-mime"})


class SeenTokens:
    """The tokens of this process, the newest so many, before those of all."""

    def __init__(self, bind: BindToken) -> None:
        self._bind = bind
        self._seen: OrderedDict[str, str] = OrderedDict()

    async def belongs(self, token: str, digest: str) -> bool:
        """Whether a token came with the content of this digest, or with none before."""
        if self._seen.setdefault(token, digest) != digest:
            return False
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        try:
            return await self._bind(PROVIDER, token, digest)
        except Unavailable:  # it is taken by the spool, or not at all
            return True


@dataclass(frozen=True, slots=True)
class MailgunProof:
    """What Mailgun proves itself by."""

    signing_key: str
    login: str | None = None
    """`user:password` in the URL of its route, with which a request may be large; None: none may."""


def mailgun_routes(
    intake: MailIntake, proof: MailgunProof, clock: Clock, bind: BindToken, room: Room
) -> list[Route]:
    """The webhook, with and without `/mime`, to be mounted on the public surface."""
    seen = SeenTokens(bind)
    expected = None if proof.login is None else Login(proof.login)

    async def inbound(request: Request) -> Response:
        limit = MAX_REQUEST if expected is not None and expected.shown_in(request) else MAX_BODY
        async with room.of(request, limit):
            fields = await _read(request, limit)
            token = _prove(fields, proof.signing_key, clock.now() // SECOND)
            if not fields.get("body-mime"):
                raise invalid("body-mime is missing: the route must forward to a URL that ends in /mime.")
            if not await seen.belongs(token, await asyncio.to_thread(_digest, fields)):
                raise unproven(PROVIDER, "replayed")
            arrival = MailArrival(raw=fields["body-mime"], mail_from=_text(fields, "sender"))
            recipients = [box.strip() for box in _text(fields, "recipient").split(",")]
            return await hand_over(intake, arrival, recipients, PROVIDER)

    return [Route(path, webhook(inbound), methods=["POST"]) for path in PATHS]


async def _read(request: Request, limit: int) -> dict[str, bytes]:
    """The fields that count. Raises WebhookRefused."""
    body = await read_mail_request(request, PROVIDER, limit)
    return await asyncio.to_thread(form_fields_of, request.headers.get("content-type", ""), body, _WANTED)


def _digest(fields: dict[str, bytes]) -> str:
    """Of all that a token must not be put over."""
    content = hashlib.sha256()
    for name in ("recipient", "sender"):
        content.update(fields.get(name, b"") + b"\0")
    content.update(fields["body-mime"])
    return content.hexdigest()


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
