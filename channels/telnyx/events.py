"""Telnyx's webhook events, proven and read: a message in, or what became of one that went out.

Source: https://developers.telnyx.com/docs/messaging/messages/receiving-webhooks. Events come more than once
and in any order. New kinds and fields appear without notice, so none is refused.
"""

from typing import Annotated, Any
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from starlette.requests import Request

from channels.telnyx.credentials import TelnyxCredentials
from channels.telnyx.signature import SIGNATURE_HEADER, TIMESTAMP_HEADER, is_fresh, verify
from channels.webhooks import invalid, malformed, read_body, unproven
from gateway.domain.clock import SECOND, Clock
from gateway.domain.ids import parse_id

PROVIDER = "telnyx"
PATH = "/webhooks/telnyx/sms"
"""Messages and receipts alike; named by the sender, answered by the route."""
RECEIVED = "message.received"
REPORTS = frozenset({"message.sent", "message.finalized"})
MAX_ITEMS = 50
"""Recipients, files and errors of one message that are read."""
MAX_TEXT = 16_384
"""Characters of any other text; Telnyx sends far less."""


def _no_null(value: object) -> object:
    """Without U+0000, which no database stores as text; absent texts are empty."""
    return "" if value is None else value.replace("\x00", "") if isinstance(value, str) else value


_Text = Annotated[str, BeforeValidator(_no_null), Field(max_length=MAX_TEXT)]


def _list(value: object) -> object:
    return [] if value is None else value[:MAX_ITEMS] if isinstance(value, list) else value


_Bounded = BeforeValidator(_list)


class _Read(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Party(_Read):
    """Who, and on the way out what became of the message to them."""

    phone_number: _Text = ""
    status: _Text = ""


class Medium(_Read):
    """A file of an MMS, by address only."""

    url: _Text = ""
    content_type: _Text = ""
    size: int | None = None


class Fault(_Read):
    """Why a message was not delivered."""

    code: Annotated[str, BeforeValidator(lambda value: str(value)[:16])] = ""


class Payload(_Read):
    """A message as Telnyx shows it."""

    id: Annotated[str, Field(pattern="^[A-Za-z0-9-]{1,64}$")]
    sender: Annotated[Party, Field(alias="from")] = Party()
    to: Annotated[tuple[Party, ...], _Bounded] = ()
    cc: Annotated[tuple[Party, ...], _Bounded] = ()
    text: Annotated[str, BeforeValidator(_no_null)] = ""
    type: _Text = ""
    media: Annotated[tuple[Medium, ...], _Bounded] = ()
    errors: Annotated[tuple[Fault, ...], _Bounded] = ()
    webhook_url: _Text = ""
    messaging_profile_id: _Text = ""
    encoding: _Text = ""
    parts: int | None = None


class Event(_Read):
    """What happened, and to which message."""

    id: _Text = ""
    event_type: Annotated[str, Field(max_length=64)]
    payload: dict[str, Any] = Field(default_factory=dict)

    def message(self) -> Payload:
        """The message; WebhookRefused with 422 where it is not one."""
        try:
            return Payload.model_validate(self.payload)
        except ValidationError as error:
            raise invalid(_first(error)) from None


class _Envelope(_Read):
    data: Event


async def proven_event(request: Request, telnyx: TelnyxCredentials, clock: Clock) -> Event:
    """The request's event; WebhookRefused with 403 unless Telnyx made it, within the last minutes."""
    body = await read_body(request)
    signature = request.headers.get(SIGNATURE_HEADER, "")
    timestamp = request.headers.get(TIMESTAMP_HEADER, "")
    if not signature or not timestamp:
        raise unproven(PROVIDER, "no_signature")
    if not verify(telnyx.public_keys, timestamp, body, signature):
        raise unproven(PROVIDER, "bad_signature")
    if not is_fresh(timestamp, clock.now() / SECOND):
        raise unproven(PROVIDER, "too_old")
    return read_event(body)


def read_event(body: bytes) -> Event:
    """The event a body holds; WebhookRefused with 400 where it is not JSON, 422 where it is no event."""
    try:
        return _Envelope.model_validate_json(body).data
    except ValidationError as error:
        if error.errors(include_input=False, include_context=False)[0]["type"] == "json_invalid":
            raise malformed("The body is not JSON.") from None
        raise invalid(_first(error)) from None


def reference_of(webhook_url: str) -> tuple[str | None, int | None, int | None]:
    """(delivery, part, attempt) as our sender wrote them into the message's own webhook URL.

    Read from the payload, which is signed, and never from the URL that was called, which is not.
    """
    try:
        query = parse_qs(urlsplit(webhook_url).query)
    except ValueError:
        return None, None, None
    delivery_id = parse_id(query.get("d", [""])[0])
    if delivery_id is None:
        return None, None, None
    return delivery_id, _number(query.get("p", [""])[0]), _number(query.get("a", [""])[0])


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 6 else None


def _first(error: ValidationError) -> str:
    """Where the first thing is wrong; never what stands there."""
    place = ".".join(str(step) for step in error.errors(include_input=False)[0]["loc"])
    return f"{place or 'data'} is missing or is not what it should be."
