"""Bring replies to people: queue a delivery in its lane, then claim, send, record part by part (rule 4)."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.domain.clock import SECOND
from gateway.domain.conversation import Conversation
from gateway.domain.delivery import (
    Delivery,
    DeliveryState,
    Failure,
    Part,
    PartState,
    PartText,
    Refused,
    Thread,
    lane_of,
)
from gateway.domain.envelope import Exchange
from gateway.domain.errors import Fenced
from gateway.domain.ids import new_id
from gateway.domain.message import Author, Message
from gateway.domain.ports import Row, Tx
from gateway.domain.turn import NotNow
from gateway.service.arrival import tell_arrival
from gateway.service.dead import bury_delivery
from gateway.service.postings import envelope, post, ring_lane
from gateway.store.engine import single_statement
from gateway.store.records import delivery_of, pack, part_of

SUPPRESSED = Refused(Failure.OPTED_OUT, "suppressed")
"""We refuse it ourselves: nobody has to look at it, and to requeue it would be wrong."""


@dataclass(frozen=True, slots=True)
class LaneRef:
    """The right to send in a lane: whose, and under which fencing number."""

    lane: str
    worker_id: str
    fence: int


@dataclass(frozen=True, slots=True)
class LaneClaim:
    """A lane held, and the delivery that is next in it."""

    ref: LaneRef
    delivery: Delivery


async def enqueue(
    tx: Tx,
    conversation: Conversation,
    message: Message,
    thread: Thread,
    *,
    at: int,
    despite_suppression: bool = False,
) -> None:
    """Queue a message for delivery on the conversation's channel; nothing to do where it has none.

    `despite_suppression`: it is the answer to the wish to get none.
    """
    channel = conversation.channel
    if not channel.delivers or not conversation.our_address or not conversation.their_address:
        return
    lane = lane_of(
        conversation.organization_id, channel, conversation.our_address, conversation.their_address
    )
    row = await tx.one(
        "lane_queue", lane=lane, channel=channel.value, organization_id=conversation.organization_id
    )
    if row is None:
        raise AssertionError("an upsert returns its row")
    delivery_id = new_id()
    await tx.later(
        "delivery_insert",
        id=delivery_id,
        lane=lane,
        number=row["queued"],
        organization_id=conversation.organization_id,
        conversation_id=conversation.id,
        message_id=message.id,
        message_seq=message.seq,
        turn_id=message.turn_id,
        channel=channel.value,
        sender=conversation.our_address,
        recipient=conversation.their_address,
        text=message.content,
        thread=pack(thread) if thread.in_reply_to or thread.subject else None,
        attachments=None,
        sandboxed=conversation.session_type.sandboxed,
        by_agent=message.author is Author.AGENT,
        despite_suppression=despite_suppression,
    )
    outbound = envelope(
        "message.outbound",
        {
            "lane": lane,
            "delivery_id": delivery_id,
            "message_id": message.id,
            "turn_id": message.turn_id,
            "channel": channel.value,
            "to": conversation.their_address,
            "from": conversation.our_address,
            "text": message.content,
            "attachments": [],
            "thread": thread,
            "intents": [],
        },
        at=at,
        organization_id=conversation.organization_id,
        conversation_id=conversation.id,
    )
    await post(tx, Exchange.OUTBOUND, channel.value, outbound)


async def claim_lane(tx: Tx, lane: str, worker_id: str) -> LaneClaim | NotNow:
    """Take the lane's lease and its next delivery, or say why not."""
    row = await tx.one("lane_claim", lane=lane, worker_id=worker_id)
    if row is None:
        state = await tx.one("lane_claimable", lane=lane)
        if state is None or state["settled"] >= state["queued"]:
            return NotNow.ANSWERED
        return NotNow.LEASED if state["leased"] else NotNow.NOT_DUE
    ref = LaneRef(lane, worker_id, row["fence"])
    delivery = await next_delivery(tx, ref)
    if delivery is None:
        raise AssertionError("a lane with unsettled deliveries has one")
    return LaneClaim(ref, delivery)


async def next_delivery(tx: Tx, ref: LaneRef) -> Delivery | None:
    """The lane's oldest unsettled delivery, with its parts."""
    row = await tx.one("delivery_next", lane=ref.lane)
    if row is None:
        return None
    if row["state"] == DeliveryState.PENDING:
        return delivery_of(row)  # it has no parts: it is being sent from the moment they are stored
    parts = await tx.all("parts_of_delivery", delivery_id=row["id"])
    return delivery_of(row, tuple(part_of(p) for p in parts))


async def store_parts(tx: Tx, delivery_id: str, texts: Sequence[PartText]) -> tuple[Part, ...]:
    """Keep how a reply was cut, before the first part is sent: a retry sends the same."""
    parts = tuple(
        Part(
            delivery_id=delivery_id,
            index=index,
            text=text.text,
            hash=hashlib.sha256(text.text.encode()).hexdigest(),
            encoding=text.encoding,
            segments=text.segments,
        )
        for index, text in enumerate(texts)
    )
    for part in parts:
        await tx.later(
            "part_insert",
            delivery_id=part.delivery_id,
            number=part.index,
            text=part.text,
            hash=part.hash,
            encoding=part.encoding,
            segments=part.segments,
        )
    return parts


@dataclass(frozen=True, slots=True)
class PartClaim:
    """An attempt that is committed: the provider may be called now."""

    attempt: int
    claimed_at: int


async def claim_part(
    tx: Tx, ref: LaneRef, part: Part, provider: str, texts: Sequence[PartText] = ()
) -> PartClaim | Refused | None:
    """Commit an attempt before the provider is called; with `texts`, store the parts first.

    None when there is nothing to send: the delivery was canceled, or the provider has the part. Refused
    when the recipient wants nothing from us, as it is at this moment.
    Raises Fenced when the lane is another's.
    """
    if texts:
        await store_parts(tx, part.delivery_id, texts)
        await tx.later("delivery_state", id=part.delivery_id, state="sending", error_code=None)
    row = await tx.one(
        "part_claim",
        delivery_id=part.delivery_id,
        number=part.index,
        provider=provider,
        lane=ref.lane,
        fence=ref.fence,
        worker_id=ref.worker_id,
    )
    if row is not None:
        return PartClaim(row["attempt"], row["claimed_at"])
    await _check(tx, ref)
    if await tx.one("delivery_suppressed", id=part.delivery_id) is not None:
        return SUPPRESSED
    return None


async def _check(tx: Tx, ref: LaneRef) -> None:
    """Raise Fenced unless the lane is still held under this number."""
    if await tx.one("lane_held", lane=ref.lane, fence=ref.fence, worker_id=ref.worker_id) is None:
        raise Fenced(ref.lane)


async def settle_part(tx: Tx, part: Part, provider_message_id: str | None) -> None:
    """Record that the provider has the part; needs no lease, since it is a fact about the world.

    Raises Fenced where the part is gone: its conversation was deleted while it was on its way.
    """
    await _settle_part(tx, part, provider_message_id)


async def _settle_part(tx: Tx, part: Part, provider_message_id: str | None) -> Row:
    """How the part stands now: a receipt may have come first."""
    row = await tx.one(
        "part_settle",
        delivery_id=part.delivery_id,
        number=part.index,
        state=PartState.ACCEPTED.value,
        rank=PartState.ACCEPTED.rank,
        provider_message_id=provider_message_id,
        error_code=None,
    )
    if row is None:
        raise Fenced(part.delivery_id)  # its conversation was deleted while it was on its way
    return row


async def settle_part_and_delivery(
    tx: Tx, ref: LaneRef, delivery: Delivery, part: Part, provider_message_id: str
) -> Delivery | None:
    """The last part is taken: the delivery is over too; the lane's next one, if any."""
    row = await _settle_part(tx, part, provider_message_id)
    only = [row] if part.index == 0 else None
    return await settle_delivery(tx, ref, delivery, DeliveryState.SENT, parts=only)


async def fail_delivery(
    tx: Tx, ref: LaneRef, delivery: Delivery, part: Part, refused: Refused
) -> Delivery | None:
    """A part will never be taken: the rest of the delivery is canceled, and kept as a dead letter."""
    await tx.run(
        "part_reset",
        delivery_id=part.delivery_id,
        number=part.index,
        state=PartState.FAILED.value,
        rank=PartState.FAILED.rank,
        error_code=refused.code,
    )
    if refused != SUPPRESSED:
        await bury_delivery(tx, delivery, part, refused)
    return await settle_delivery(tx, ref, delivery, DeliveryState.FAILED, error_code=refused.code)


async def settle_delivery(
    tx: Tx,
    ref: LaneRef,
    delivery: Delivery,
    state: DeliveryState,
    *,
    error_code: str | None = None,
    parts: Sequence[Row] | None = None,
) -> Delivery | None:
    """The delivery is over as far as sending goes; the lane's next one, or None and the lane is free.

    `parts`: all of them as they stand, where the caller knows.

    A part may also refuse its claim because a receipt has shown meanwhile that the provider has it:
    what nobody canceled is not settled as canceled, but given back as it is now.
    """
    if state is DeliveryState.CANCELED and not await _canceled(tx, delivery):
        return await next_delivery(tx, ref)
    row = await tx.one("delivery_settle", id=delivery.id, state=state.value, error_code=error_code)
    if row is None:
        raise Fenced(ref.lane)
    if state in (DeliveryState.FAILED, DeliveryState.CANCELED):
        await tx.run("parts_cancel", delivery_id=delivery.id)
    lane = await tx.one("lane_settle", lane=ref.lane, fence=ref.fence, worker_id=ref.worker_id)
    if lane is None:
        raise Fenced(ref.lane)
    await tell_arrival(tx, row, parts)
    return None if lane["lease_owner"] is None else await next_delivery(tx, ref)


async def _canceled(tx: Tx, delivery: Delivery) -> bool:
    row = await tx.one("delivery_lock", id=delivery.id)
    return row is not None and row["state"] == DeliveryState.CANCELED


async def postpone_part(
    tx: Tx, ref: LaneRef, part: Part, state: PartState, *, error_code: str | None, delay_seconds: float
) -> None:
    """Refused for now, or unknown: let the lane go until it is to be tried, or looked up."""
    await tx.run(
        "part_reset",
        delivery_id=part.delivery_id,
        number=part.index,
        state=state.value,
        rank=state.rank,
        error_code=error_code,
    )
    await postpone_lane(tx, ref, delay_seconds)


async def postpone_lane(tx: Tx, ref: LaneRef, delay_seconds: float) -> None:
    """Let the lane go, not to be taken before the delay is over. Raises Fenced."""
    changed = await tx.run(
        "lane_postpone",
        lane=ref.lane,
        fence=ref.fence,
        worker_id=ref.worker_id,
        delay=int(delay_seconds * SECOND),
    )
    if not changed:
        raise Fenced(ref.lane)


@single_statement
async def release_lane(tx: Tx, ref: LaneRef) -> None:
    """Let the lane go at once."""
    await tx.run("lane_release", lane=ref.lane, fence=ref.fence, worker_id=ref.worker_id)


async def cancel_unsent(tx: Tx, conversation: Conversation, *, at: int) -> None:
    """What the agent said and has not left yet never will; the lanes are rung to settle it."""
    rows = await tx.all("deliveries_cancel", conversation_id=conversation.id)
    for lane in sorted({row["lane"] for row in rows}):
        await ring_lane(
            tx,
            organization_id=conversation.organization_id,
            channel=conversation.channel.value,
            lane=lane,
            at=at,
        )


async def bound_ids(tx: Tx, provider: str, ids: Sequence[str]) -> set[str]:
    """Which of these provider message ids belong to parts already."""
    rows = await tx.all("parts_bound", provider=provider, ids=list(ids))
    return {row["provider_message_id"] for row in rows}
