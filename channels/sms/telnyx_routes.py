"""The webhook of text messages at Telnyx: a message in, and what became of one that went out."""

import logging

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from channels.contract import Ingress
from channels.telnyx.credentials import TelnyxCredentials
from channels.telnyx.errors import LATE, failure_in_event, part_state
from channels.telnyx.events import (
    PATH,
    PROVIDER,
    RECEIVED,
    REPORTS,
    Payload,
    proven_event,
    reference_of,
)
from channels.twilio.addresses import canonical_sender, is_withheld
from channels.webhooks import invalid, webhook
from gateway.domain.attachment import media_type_of
from gateway.domain.delivery import PartState, Receipt
from gateway.domain.ids import new_id
from gateway.domain.message import Channel, InboundAttachment, InboundMessage, SenderAuth

_log = logging.getLogger(__name__)


def telnyx_sms_routes(ingress: Ingress, telnyx: TelnyxCredentials) -> list[Route]:
    """The webhook, to be mounted on the public surface."""

    async def event(request: Request) -> Response:
        happened = await proven_event(request, telnyx, ingress.clock)
        if happened.event_type == RECEIVED:
            await ingress.accept(inbound_message(happened.message(), ingress))
        elif happened.event_type in REPORTS:
            await ingress.receive(receipt(happened.message()))
        else:
            _log.info("webhook event ignored", extra={"action": "webhook.ignored", "provider": PROVIDER})
        return Response(status_code=200)

    return [Route(PATH, webhook(event), methods=["POST"])]


def inbound_message(payload: Payload, ingress: Ingress) -> InboundMessage:
    """A proven event as a message; WebhookRefused with 422 where it names no parties, or a group of them.

    Who withholds the number is nobody we know: each message stands alone, under an address of its own.
    """
    sender = payload.sender.phone_number.strip()
    if not sender or not payload.to or not payload.to[0].phone_number.strip():
        raise invalid("data.payload.from or to names nobody.")
    if len(payload.to) > 1 or payload.cc:
        raise invalid("A message to a group is not taken: an answer would reach its sender only.")
    withheld = is_withheld(sender)
    return InboundMessage(
        channel=Channel.SMS,
        provider=PROVIDER,
        provider_message_id=payload.id,
        sender=f"anonymous:{payload.id}" if withheld else canonical_sender(sender),
        recipient=payload.to[0].phone_number.strip(),
        text=payload.text,
        received_at=ingress.clock.now(),
        attachments=tuple(
            InboundAttachment(
                id=new_id(),
                media_type=media_type_of(medium.content_type),
                size=medium.size,
                source=medium.url,
            )
            for medium in payload.media
            if medium.url
        ),
        sender_auth=SenderAuth.UNVERIFIED if withheld else SenderAuth.VERIFIED,
        metadata={"provider": payload.model_dump(exclude={"text", "media", "errors"}, exclude_defaults=True)},
    )


def receipt(payload: Payload) -> Receipt:
    """A proven event as a receipt; WebhookRefused with 422 where it says nothing of a recipient."""
    status = payload.to[0].status if payload.to else ""
    if not status or len(status) > 64:
        raise invalid("data.payload.to says no status.")
    delivery_id, part_index, attempt = reference_of(payload.webhook_url)
    state = part_state(status)
    failed = state is PartState.FAILED and payload.errors
    code = payload.errors[0].code if failed else None
    return Receipt(
        provider=PROVIDER,
        provider_message_id=payload.id,
        state=state,
        raw_status=status,
        error_code=code,
        failure=failure_in_event(code) if code is not None else None,
        again=LATE.get(code) if code is not None else None,
        delivery_id=delivery_id,
        part_index=part_index,
        attempt=attempt,
    )
