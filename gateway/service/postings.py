"""What a unit of work puts on the queues: outbox rows, written in its own transaction."""

from gateway.domain.clock import SECOND, rfc3339
from gateway.domain.envelope import BELLS, Envelope, Exchange, Posting, partition
from gateway.domain.ids import new_id
from gateway.domain.message import Channel, JsonObject
from gateway.domain.ports.store import Tx, Wake
from gateway.tracing import traceparent

HANDED_SECONDS = 10.0
"""How long a row that is handed over is left alone in the table, as if it were claimed."""


def envelope(
    kind: str, data: JsonObject, *, at: int, organization_id: str, conversation_id: str | None
) -> Envelope:
    """A new envelope; `at` in microseconds."""
    return Envelope.model_construct(
        v=1,
        id=new_id(),
        type=kind,
        occurred_at=rfc3339(at),
        organization_id=organization_id,
        conversation_id=conversation_id,
        data=data,
    )


async def post(
    tx: Tx, exchange: Exchange, routing_key: str, message: Envelope, *, delay_seconds: float = 0
) -> None:
    """Put an envelope into the outbox; it leaves after the commit and a delay, in the trace of this work.

    What is due at once is handed over. Embedded, a bell has no row then: what it rings for is durable anyway.
    """
    taker = None if delay_seconds else tx.taker
    without_row = taker is not None and message.type in BELLS and not taker.bells_need_rows
    text = None if without_row else message.model_dump_json()
    posting = Posting(message.id, exchange.value, routing_key, text, traceparent(), envelope=message)
    if taker is not None:
        tx.hand_over(posting)
    if without_row:
        return
    await tx.later(
        "outbox_insert",
        id=posting.id,
        exchange=posting.exchange,
        routing_key=posting.routing_key,
        body=posting.body,
        traceparent=posting.traceparent,
        delay=int((delay_seconds if taker is None else HANDED_SECONDS) * SECOND),
    )
    if taker is None:
        tx.after_commit(Wake.OUTBOX)


async def ring_turns(
    tx: Tx,
    *,
    organization_id: str,
    conversation_id: str,
    partitions: int,
    at: int,
    delay_seconds: float = 0,
) -> None:
    """Ring a conversation's bell without new input: it may run turns again, or a timer found it due."""
    bell = envelope("turn.due", {}, at=at, organization_id=organization_id, conversation_id=conversation_id)
    key = str(partition(conversation_id, partitions))
    await post(tx, Exchange.INBOUND, key, bell, delay_seconds=delay_seconds)


async def ring_lane(
    tx: Tx, *, organization_id: str, channel: str, lane: str, at: int, delay_seconds: float = 0
) -> None:
    """Ring a lane's bell: a delivery in it is due, now or after the delay."""
    bell = envelope(
        "delivery.due", {"lane": lane}, at=at, organization_id=organization_id, conversation_id=None
    )
    await post(tx, Exchange.OUTBOUND, channel, bell, delay_seconds=delay_seconds)


async def ring_call(tx: Tx, *, organization_id: str, conversation_id: str, at: int) -> None:
    """Ring for a call that we begin: it is to be dialled, looked at, or told something."""
    bell = envelope("call.due", {}, at=at, organization_id=organization_id, conversation_id=conversation_id)
    await post(tx, Exchange.OUTBOUND, Channel.VOICE.value, bell)
