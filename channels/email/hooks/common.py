"""What the webhooks of all mail providers share: handing a mail over, and how the provider is answered.

The provider has taken the mail, so a refusal would help nobody: only what may succeed later is an error
(503, and the provider comes again).
"""

import asyncio
import json
import logging
from collections.abc import Sequence
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from channels.contract import MAX_BODY
from channels.email.auth.sender import MailArrival
from channels.email.intake import TAKEN, MailIntake, Outcome
from channels.webhooks import WebhookRefused, malformed, read_body
from gateway.domain.errors import Unavailable

TOO_LARGE: Final = "too_large"
"""What becomes of a mail whose request nobody reads."""
SECONDS: Final = 20.0
"""For reading and storing a mail; providers wait for 30 s or more."""

log = logging.getLogger(__name__)


async def hand_over(
    intake: MailIntake, arrival: MailArrival, recipients: Sequence[str], provider: str
) -> Response:
    """Take a mail in. Raises Unavailable where the provider has to come again."""
    try:
        async with asyncio.timeout(SECONDS):
            taken = await intake.take_in(arrival, recipients, provider)
    except TimeoutError:
        raise Unavailable("the mail could not be stored in time; try again") from None
    if taken.outcome is Outcome.UNDECIDED:
        raise Unavailable("who sent the mail cannot be found out now; try again")
    if taken.outcome not in (Outcome.ACCEPTED, Outcome.REPORTED):
        log.warning(
            "mail dropped",
            extra={"action": "mail_refused", "provider": provider, "reason": taken.outcome.value},
        )
    return JSONResponse({"outcome": taken.outcome.value, "message_id": taken.message_id or None})


async def read_mail_request(request: Request, provider: str, limit: int) -> bytes:
    """The body; WebhookRefused with 413 beyond `limit` bytes, counted, as its mail is lost in the end."""
    try:
        return await read_body(request, limit)
    except WebhookRefused as refused:
        if refused.status == 413:
            TAKEN.labels(provider, TOO_LARGE).inc()
            extra = {"action": "mail_refused", "provider": provider, "reason": TOO_LARGE, "limit": limit}
            log.warning("mail refused", extra=extra)
        raise


async def read_json(request: Request, provider: str, limit: int = MAX_BODY) -> dict[str, Any]:
    """The body as a JSON object; WebhookRefused with 400 where it is none, 413 beyond `limit` bytes."""
    body = await read_mail_request(request, provider, limit)
    try:
        value = await asyncio.to_thread(json.loads, body)
    except (ValueError, RecursionError):
        raise malformed("The body is not JSON.") from None
    if not isinstance(value, dict):
        raise malformed("The body is not a JSON object.")
    return value


def text_of(value: object, longest: int = 1_000) -> str:
    """A short string of a request; "" for anything else."""
    return value if isinstance(value, str) and len(value) <= longest else ""
