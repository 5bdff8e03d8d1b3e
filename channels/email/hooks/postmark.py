"""Mail that Postmark receives for us (postmarkapp.com/developer, "Inbound webhook"); its login proves it.

The server must have "include raw email content" switched on: what Postmark makes of a mail is not used. It is
sent all the same, so that each file comes twice. At a 403 Postmark drops the mail; else it comes again.
"""

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from channels.email.auth.sender import MailArrival
from channels.email.hooks.common import hand_over, read_json, text_of
from channels.email.hooks.room import Room
from channels.email.intake import MailIntake
from channels.webhooks import Login, invalid, webhook

PROVIDER: Final = "postmark"
PATH: Final = "/webhooks/mail/postmark"
MAX_REQUEST: Final = 75_497_472
"""Bytes of a request: a mail of 30 MB, escaped, and its files once more."""


def postmark_routes(intake: MailIntake, login: str, room: Room) -> list[Route]:
    """The webhook, to be mounted on the public surface. `login`: `user:password`."""
    expected = Login(login)

    async def inbound(request: Request) -> Response:
        # a password that was changed at one side only must cost no mail
        refusal = expected.refusal(request, PROVIDER, wrong=401)
        if refusal is not None:
            raise refusal
        async with room.of(request, MAX_REQUEST):
            raw, recipient = _mail(await read_json(request, PROVIDER, MAX_REQUEST))
            return await hand_over(intake, MailArrival(raw=raw), [recipient], PROVIDER)

    return [Route(PATH, webhook(inbound), methods=["POST"])]


def _mail(posted: dict[str, Any]) -> tuple[bytes, str]:
    """The raw mail and whom it is for; the rest is let go of."""
    raw = posted.get("RawEmail")
    if not isinstance(raw, str) or not raw:
        raise invalid("RawEmail is missing: switch on “include raw email content” for the server.")
    # half a character, which JSON can spell, is no reason to lose a mail
    return raw.encode("utf-8", "surrogatepass"), text_of(posted.get("OriginalRecipient"))
