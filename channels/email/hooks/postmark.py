"""Mail that Postmark receives for us (postmarkapp.com/developer, "Inbound webhook"); its login proves it.

The server must have "include raw email content" switched on: what Postmark makes of a mail is not used.
"""

import hmac
from base64 import b64encode
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from channels.email.auth.sender import MailArrival
from channels.email.hooks.common import MAX_MAIL_REQUEST, hand_over, read_json, text_of
from channels.email.intake import MailIntake
from channels.webhooks import invalid, unproven, webhook

PROVIDER: Final = "postmark"
PATH: Final = "/webhooks/mail/postmark"


def postmark_routes(intake: MailIntake, login: str) -> list[Route]:
    """The webhook, to be mounted on the public surface. `login`: `user:password`."""
    expected = b"Basic " + b64encode(login.encode())

    async def inbound(request: Request) -> Response:
        given = request.headers.get("authorization", "").encode("latin-1", "replace")
        if not hmac.compare_digest(given, expected):
            raise unproven(PROVIDER, "login")
        posted = await read_json(request, MAX_MAIL_REQUEST)
        raw = posted.get("RawEmail")
        if not isinstance(raw, str) or not raw:
            raise invalid("RawEmail is missing: switch on “include raw email content” for the server.")
        recipient = text_of(posted.get("OriginalRecipient"))
        arrival = MailArrival(raw=raw.encode("utf-8", "surrogateescape"))
        return await hand_over(intake, arrival, [recipient], PROVIDER)

    return [Route(PATH, webhook(inbound), methods=["POST"])]
