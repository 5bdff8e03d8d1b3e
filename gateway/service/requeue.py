"""Requeue a dead letter: what failed is to be done again, and its letter is settled, in one transaction."""

from collections.abc import Callable

from pydantic import ValidationError

from gateway.bus.topology import Binding, Topology
from gateway.domain.envelope import Envelope, Exchange
from gateway.domain.errors import GatewayError
from gateway.domain.ids import new_id, parse_id
from gateway.domain.message import InboundMessage
from gateway.domain.ports.store import Tx, Wake
from gateway.domain.turn import InputKind
from gateway.service.accept import Route, accept
from gateway.service.dead import MAX_BODY, DeadLetter, letter, settle
from gateway.service.postings import ring_lane, ring_turns
from gateway.service.senders import SenderKey, resume
from gateway.service.spooling import MESSAGES, SpoolKind
from gateway.service.webhook_endpoints import redeliver
from gateway.tracing import TRACEPARENT, parse_traceparent, traceparent

REQUEUED = "requeued"


RouteOf = Callable[[InboundMessage], Route]
"""Where configuration sends a message; raises UnknownAddress."""


class CannotRequeue(Exception):
    """Nothing was changed; the text is the reason, for a person."""


async def requeue(tx: Tx, letter_id: str, partitions: int, route: RouteOf | None = None) -> None:
    """Have it done again and settle the letter. Raises CannotRequeue.

    The messages of a turn become pending input again, the unsent parts of a delivery are sent again, an event
    goes to its webhook endpoint again, a sender that was stopped sends again, a message that was spooled and
    refused is accepted by its `route`; any other message goes, as it was, to where it came from.
    """
    found = await letter(tx, letter_id)
    if found is None:
        raise CannotRequeue("there is no such dead letter")
    if not await settle(tx, letter_id, REQUEUED):
        raise CannotRequeue(f"it has been {found.settled_how or 'settled'} already")
    if len(found.body) >= MAX_BODY:
        raise CannotRequeue("it was too large to be kept whole")
    envelope = _envelope(found)
    match envelope.type if envelope else None, envelope:
        case "turn.dead", Envelope():
            await _owe_answer_again(tx, envelope, partitions)
        case "delivery.dead", Envelope():
            await _deliver_again(tx, envelope)
        case "webhook.dead", Envelope():
            await _tell_again(tx, envelope)
        case "sender.halted", Envelope():
            await _send_again(tx, envelope)
        case "message.unreadable", _:
            raise CannotRequeue(
                "it would not be read better; look at it as it came, then discard this letter"
            )
        case "ingress.refused", Envelope() if route is not None:
            await _accept_again(tx, envelope, route)
        case _:
            await _post_again(tx, found, partitions)


def _envelope(found: DeadLetter) -> Envelope | None:
    try:
        return Envelope.model_validate_json(found.body)
    except ValidationError:
        return None


def _id(value: object) -> str:
    found = parse_id(value) if isinstance(value, str) else None
    if found is None:
        raise CannotRequeue("its body does not say what it was about")
    return found


async def _owe_answer_again(tx: Tx, dead: Envelope, partitions: int) -> None:
    """Its messages are pending again, for a turn with a new id; they keep their place in the transcript."""
    conversation_id, turn_id = _id(dead.conversation_id), _id(dead.data.get("turn_id"))
    messages = await tx.all("messages_of_turn", conversation_id=conversation_id, turn_id=turn_id)
    if not messages:
        raise CannotRequeue("its messages are there no more, or are asked again already")
    counted = await tx.one(
        "conversation_owe_again", id=conversation_id, added=len(messages), next_turn_id=new_id()
    )
    if counted is None:
        raise CannotRequeue("its conversation has ended")
    later: str = counted["next_turn_id"]
    first = counted["last_input"] - len(messages) + 1
    for number, message in enumerate(messages, first):
        await tx.run(
            "input_insert",
            message_id=message["id"],
            conversation_id=conversation_id,
            number=number,
            kind=InputKind.CHANNEL.value,
            seq=message["seq"],
            text=None,
            reply_to=None,
            stream=False,
            turn_id=later,
        )
    await tx.run("messages_regroup", conversation_id=conversation_id, turn_id=turn_id, later=later)
    await ring_turns(
        tx,
        organization_id=counted["organization_id"],
        conversation_id=conversation_id,
        partitions=partitions,
        at=counted["updated_at"],
    )


async def _deliver_again(tx: Tx, dead: Envelope) -> None:
    """Its unsent parts are pending again, at the end of the lane; what the provider has stays sent."""
    delivery_id = _id(dead.data.get("delivery_id"))
    delivery = await tx.one("delivery_settled", id=delivery_id)
    if delivery is None:
        raise CannotRequeue("the delivery is gone, was canceled, or is being sent again already")
    unsent = await tx.run("parts_again", delivery_id=delivery_id)
    if not unsent and await tx.all("parts_of_delivery", delivery_id=delivery_id):
        raise CannotRequeue("the provider has all of it")
    lane = await tx.one(
        "lane_queue",
        lane=delivery["lane"],
        channel=delivery["channel"],
        organization_id=delivery["organization_id"],
    )
    if lane is None:
        raise AssertionError("an upsert returns its row")
    again = await tx.one("delivery_again", id=delivery_id, number=lane["queued"])
    if again is None:
        raise AssertionError("the delivery was read in this unit")
    await tx.run(
        "message_delivery_status",
        conversation_id=delivery["conversation_id"],
        seq=delivery["message_seq"],
        delivery_status="pending",
    )
    await ring_lane(
        tx,
        organization_id=delivery["organization_id"],
        channel=delivery["channel"],
        lane=delivery["lane"],
        at=again["updated_at"],
    )


async def _send_again(tx: Tx, halted: Envelope) -> None:
    """Its sender sends again, and what has waited for it leaves."""
    organization_id = _id(halted.organization_id)
    key = SenderKey(organization_id, str(halted.data.get("channel")), str(halted.data.get("address")))
    if not await resume(tx, key):
        raise CannotRequeue("this sender is not stopped any more")


async def _tell_again(tx: Tx, dead: Envelope) -> None:
    """Its endpoint is told the event again, and has another day for it."""
    organization_id, endpoint_id = _id(dead.organization_id), _id(dead.data.get("endpoint_id"))
    try:
        await redeliver(tx, organization_id, endpoint_id, _id(dead.data.get("event_id")))
    except GatewayError as error:
        raise CannotRequeue(error.message) from None


async def _accept_again(tx: Tx, refused: Envelope, route: RouteOf) -> None:
    """The message is taken in, as if it came now."""
    if refused.data.get("kind") != SpoolKind.MESSAGE:
        raise CannotRequeue("it is no message")
    try:
        message = MESSAGES.validate_json(refused.data["body"])
        await accept(tx, message, route(message))
    except ValidationError:
        raise CannotRequeue("its message cannot be read") from None
    except GatewayError as error:
        raise CannotRequeue(error.message) from None


async def _post_again(tx: Tx, found: DeadLetter, partitions: int) -> None:
    """The stored body, as it was, on the way it came and in the trace it came in."""
    way = _way_of(found.queue, partitions)
    if way is None:
        raise CannotRequeue(f"nothing is published to {found.queue}")
    await tx.run(
        "outbox_insert",
        # not the envelope's: a second letter of the same message may stand in the outbox too
        id=new_id(),
        exchange=way.exchange,
        routing_key=way.routing_key,
        body=found.body,
        traceparent=parse_traceparent(found.headers.get(TRACEPARENT)) or traceparent(),
        delay=0,
    )
    tx.after_commit(Wake.OUTBOX)


def _way_of(queue: str, partitions: int) -> Binding | None:
    """How a message gets to a queue; one that no queue took names its exchange and key, by / or by :."""
    known = Topology(partitions=partitions).sources().get(queue)
    if known is not None:
        return known
    exchange, separator, key = queue.partition("/" if "/" in queue else ":")
    return Binding(exchange, key) if separator and exchange in list(Exchange) else None
