"""The webhooks of text messages at Twilio: a message in, and what became of one that went out."""

import re
from types import MappingProxyType

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from channels.contract import Ingress
from channels.twilio.addresses import canonical_sender, is_one_way, is_withheld
from channels.twilio.credentials import TwilioCredentials
from channels.twilio.errors import again, failure_in_callback, part_state
from channels.twilio.requests import PROVIDER, SMS_PATH, SMS_STATUS_PATH, TwilioForm, proven_form, twiml
from channels.webhooks import invalid, webhook
from gateway.domain.attachment import media_type_of
from gateway.domain.consent import Keyword
from gateway.domain.delivery import PartState, Receipt
from gateway.domain.ids import new_id, parse_id
from gateway.domain.message import Channel, InboundAttachment, InboundMessage, SenderAuth

MAX_MEDIA = 10
"""Files of one message; Twilio's own limit."""
MAX_STATUS = 64
_OPT_OUT_TYPES = MappingProxyType({"STOP": Keyword.STOP, "START": Keyword.START, "HELP": Keyword.HELP})
"""https://www.twilio.com/docs/messaging/tutorials/advanced-opt-out; another value stays in the metadata."""
_SMALL_NUMBER = re.compile(r"[0-9]{1,6}")
_MEDIA_URL = re.compile(r"https?://[^\s\x00-\x1f]{1,2000}")
_ERROR_CODE = re.compile(r"[0-9]{1,10}")


def sms_routes(ingress: Ingress, twilio: TwilioCredentials) -> list[Route]:
    """The two webhooks, to be mounted on the public surface."""

    async def inbound(request: Request) -> Response:
        form = await proven_form(request, ingress.public_url, twilio)
        await ingress.accept(inbound_message(form, ingress.clock.now()))
        return twiml()

    async def status(request: Request) -> Response:
        form = await proven_form(request, ingress.public_url, twilio)
        query = request.query_params
        await ingress.receive(
            receipt(form, delivery=query.get("d", ""), part=query.get("p", ""), attempt=query.get("a", ""))
        )
        return twiml()

    return [
        Route(SMS_PATH, webhook(inbound), methods=["POST"]),
        Route(SMS_STATUS_PATH, webhook(status), methods=["POST"]),
    ]


def inbound_message(form: TwilioForm, received_at: int) -> InboundMessage:
    """A proven request as a message; WebhookRefused with 422 where it names no message or no parties.

    Who withholds the number is nobody we know: each message stands alone, under an address of its own. No
    reply reaches them, nor a sender that is a name; one to a group would go to one of it only.
    """
    sid = form.sid("MessageSid", "SmsSid", "SmsMessageSid")
    sender = form.address("From")
    withheld = is_withheld(sender)
    group = any(name.startswith("OtherRecipients") for name in form.first)
    return InboundMessage(
        channel=Channel.SMS,
        provider=PROVIDER,
        provider_message_id=sid,
        sender=f"anonymous:{sid}" if withheld else canonical_sender(sender),
        recipient=form.address("To"),
        text=form.text("Body"),
        received_at=received_at,
        attachments=_media(form),
        sender_auth=SenderAuth.UNVERIFIED if withheld else SenderAuth.VERIFIED,
        keyword=_OPT_OUT_TYPES.get(form.text("OptOutType").upper()),
        answerable=not (withheld or group or is_one_way(canonical_sender(sender))),
        metadata=form.metadata("Body"),
    )


def receipt(form: TwilioForm, *, delivery: str, part: str, attempt: str) -> Receipt:
    """A proven status callback; our reference comes back in its URL, which the signature covers."""
    status = form.text("MessageStatus") or form.text("SmsStatus")
    if not status or len(status) > MAX_STATUS:
        raise invalid("MessageStatus is missing or is not a status.")
    code = form.text("ErrorCode")
    known = code if _ERROR_CODE.fullmatch(code) and int(code) else None
    state = part_state(status)
    delivery_id = parse_id(delivery)
    return Receipt(
        provider=PROVIDER,
        provider_message_id=form.sid("MessageSid", "SmsSid"),
        state=state,
        raw_status=status,
        error_code=known,
        failure=failure_in_callback(known) if state is PartState.FAILED and known else None,
        again=again(known) if state is PartState.FAILED and known else None,
        delivery_id=delivery_id,
        part_index=_number(part) if delivery_id else None,
        attempt=_number(attempt) if delivery_id else None,
    )


def _media(form: TwilioForm) -> tuple[InboundAttachment, ...]:
    """What came with the message, by address only; the files stay at Twilio until they are wanted."""
    count = min(_number(form.text("NumMedia")) or 0, MAX_MEDIA)
    found = ((form.text(f"MediaUrl{n}"), form.text(f"MediaContentType{n}")) for n in range(count))
    return tuple(
        InboundAttachment(id=new_id(), media_type=media_type_of(kind), source=url)
        for url, kind in found
        if _MEDIA_URL.fullmatch(url)
    )


def _number(text: str) -> int | None:
    return int(text) if _SMALL_NUMBER.fullmatch(text) else None
