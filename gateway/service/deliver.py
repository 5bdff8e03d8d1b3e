"""Bring replies to people: queue a delivery in its lane, then claim, send, record part by part (rule 4)."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic_core import from_json

from gateway.domain.clock import SECOND
from gateway.domain.conversation import Conversation
from gateway.domain.delivery import (
    Delivery,
    DeliveryState,
    Part,
    Thread,
    lane_of,
)
from gateway.domain.envelope import Exchange
from gateway.domain.errors import Fenced
from gateway.domain.ids import new_id
from gateway.domain.message import Author, Message
from gateway.domain.ports.store import Row, Tx
from gateway.domain.quiet import HELD_AT_MOST
from gateway.domain.turn import NotNow
from gateway.service.arrival import tell_arrival
from gateway.service.lanes import LaneRef, wait_in_lane
from gateway.service.parts import settle_part
from gateway.service.postings import envelope, post, ring_lane
from gateway.store.engine import at_once
from gateway.store.records import delivery_of, pack, part_of


@dataclass(frozen=True, slots=True)
class LaneClaim:
    """A lane held, and the delivery that is next in it."""

    ref: LaneRef
    delivery: Delivery


_TRIES = 3
"""How often a lane is claimed in which others write at the same moment."""
HELD = "|held"
"""Ends the name of the lane of what we begin and must not say yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave:
    """What is special about when a message leaves."""

    despite_suppression: bool = False
    """It is the answer to the wish to get none."""
    held_until: int | None = None
    """It waits until then (µs), in a lane of its own: it holds up no reply, and is not sent long after."""


AT_ONCE = Leave()
NO_THREAD = Thread()


async def enqueue(
    tx: Tx,
    conversation: Conversation,
    message: Message,
    thread: Thread,
    *,
    at: int,
    leave: Leave = AT_ONCE,
) -> None:
    """Queue a message for delivery on the conversation's channel; nothing to do where it has none."""
    held_until = leave.held_until
    channel = conversation.channel
    if not channel.delivers or not conversation.our_address or not conversation.their_address:
        return
    lane = lane_of(
        conversation.organization_id, channel, conversation.our_address, conversation.their_address
    )
    if held_until is not None:
        lane += HELD
    row = await tx.expect(
        "lane_queue", None, lane=lane, channel=channel.value, organization_id=conversation.organization_id
    )
    if row is None:
        raise AssertionError("an upsert returns its row")
    if held_until is not None:
        await tx.run("lane_hold", lane=lane, until=held_until)
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
        thread=None if thread == NO_THREAD else pack(thread),
        attachments=pack(message.attachments) if message.attachments else None,
        sandboxed=conversation.session_type.sandboxed,
        by_agent=message.author is Author.AGENT,
        despite_suppression=leave.despite_suppression,
        expires_at=None if held_until is None else held_until + HELD_AT_MOST,
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
            "attachments": message.attachments,
            # not what it quotes, which is in the transcript
            "thread": {
                "subject": thread.subject,
                "in_reply_to": thread.in_reply_to,
                "references": thread.references,
            },
            "intents": [],
        },
        at=at,
        organization_id=conversation.organization_id,
        conversation_id=conversation.id,
    )
    delay = 0.0 if held_until is None else max(held_until - at, 0) / SECOND
    await post(tx, Exchange.OUTBOUND, channel.value, outbound, delay_seconds=delay)


@at_once
async def claim_lane(tx: Tx, lane: str, worker_id: str) -> LaneClaim | NotNow:
    """Take the lane's lease and its next delivery, or say why not."""
    for _ in range(_TRIES):
        row = await tx.expect("lane_claim", lane=lane, worker_id=worker_id)
        if row is not None:
            row = await tx.known(row)
            # under the lease it stays the next one; a brake that was put on since keeps its parts
            return LaneClaim(
                LaneRef(lane, worker_id, row["fence"]), await _delivery(tx, from_json(row["next"]))
            )
        reason = await _why_not(tx, lane)
        if reason is not None:
            return reason
    return NotNow.LEASED


async def _why_not(tx: Tx, lane: str) -> NotNow | None:
    """What stands in the way of the lane's next delivery; None where nothing does any more."""
    state = await tx.one("lane_claimable", lane=lane)
    if state is None or state["settled"] >= state["queued"]:
        return NotNow.ANSWERED
    if state["leased"]:
        return NotNow.LEASED
    if state["wait"] is not None and state["wait"] > 0:
        return NotNow.NOT_DUE
    following = await tx.one("delivery_next", lane=lane)
    if following is None or not following["braked"]:
        return None
    await tx.run("lane_set_aside", lane=lane)
    return NotNow.BRAKED


async def next_delivery(tx: Tx, ref: LaneRef) -> Delivery | None:
    """The lane's oldest unsettled delivery, with its parts. None where a brake is on: the lane is free."""
    row = await _next(tx, ref.lane)
    if row["braked"]:
        await wait_in_lane(tx, ref)
        return None
    return await _delivery(tx, row)


async def _next(tx: Tx, lane: str) -> Row:
    row = await tx.one("delivery_next", lane=lane)
    if row is None:
        raise AssertionError("a lane with unsettled deliveries has one")
    return row


async def _delivery(tx: Tx, row: Row) -> Delivery:
    if row["state"] == DeliveryState.PENDING:
        return delivery_of(row)  # it has no parts: it is being sent from the moment they are stored
    parts = await tx.all("parts_of_delivery", delivery_id=row["id"])
    return delivery_of(row, tuple(part_of(p) for p in parts))


@at_once
async def settle_part_and_delivery(
    tx: Tx, ref: LaneRef, delivery: Delivery, part: Part, provider_message_id: str
) -> Delivery | None:
    """The last part is taken: the delivery is over too; the lane's next one, if any."""
    row = await settle_part(tx, part, provider_message_id)
    only = [row] if part.index == 0 else None
    return await settle_delivery(tx, ref, delivery, DeliveryState.SENT, parts=only)


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

    Free it is where nothing is left, or what is next has to wait for a brake.

    `parts`: all of them as they stand, where the caller knows.

    A part may also refuse its claim because a receipt has shown meanwhile that the provider has it:
    what nobody canceled is not settled as canceled, but given back as it is now.
    """
    if state is DeliveryState.CANCELED and not await _canceled(tx, delivery):
        return await next_delivery(tx, ref)
    row = await tx.expect(
        "delivery_settle",
        {"state": state.value, "error_code": error_code, **_unchanging(delivery)},
        id=delivery.id,
        state=state.value,
        error_code=error_code,
    )
    if row is None:
        raise Fenced(ref.lane)
    if state in (DeliveryState.FAILED, DeliveryState.CANCELED):
        await tx.run("parts_cancel", delivery_id=delivery.id)
    lane = await tx.expect(
        "lane_settle", {"lease_owner": None}, lane=ref.lane, fence=ref.fence, worker_id=ref.worker_id
    )
    if lane is None:
        raise Fenced(ref.lane)
    await tell_arrival(tx, row, parts)
    return None if lane["lease_owner"] is None else await next_delivery(tx, ref)


def _unchanging(delivery: Delivery) -> dict[str, str | int]:
    return {"conversation_id": delivery.conversation_id, "message_seq": delivery.message_seq}


async def _canceled(tx: Tx, delivery: Delivery) -> bool:
    row = await tx.one("delivery_lock", id=delivery.id)
    return row is not None and row["state"] == DeliveryState.CANCELED


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
