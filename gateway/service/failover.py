"""One of our numbers cannot send, another takes over: what waits moves to its lane, in its order.

Only what certainly has not left moves. A reply of which a part was taken, or may have been, stays with the
number that began it, and so does all that waits behind it.
"""

from itertools import takewhile

from gateway.domain.delivery import Delivery, Failure, Part, Refused, lane_of
from gateway.domain.ports.store import Tx
from gateway.service.fail import halt_sender_of
from gateway.service.lanes import LaneRef, check_held
from gateway.service.parts import take_back
from gateway.service.postings import ring_lane

LEAST_TRIES = 2
"""How often a provider must not be reached before another sender takes over."""


def calls_for_another(refused: Refused, part: Part) -> bool:
    """Whether this refusal is the sender's own, so that another may do better."""
    if refused.failure is Failure.TRANSIENT:
        return refused.never_left and part.refusals + 1 >= LEAST_TRIES
    return refused.failure in (Failure.CONFIGURATION, Failure.UNROUTABLE)


async def fail_over(
    tx: Tx, ref: LaneRef, delivery: Delivery, part: Part, refused: Refused | None, to: str
) -> int:
    """Have another of our numbers send what waits in the lane; how many deliveries moved.

    0: nothing may move, and all is as before. Else the lane is let go, the other one rings, and the
    conversation speaks from the other number. `refused`: the attempt that shows it, which does not count;
    None where the sender was stopped before. Raises Fenced.
    """
    await check_held(tx, ref)
    # the conversation before its lanes, as where replies are queued
    await tx.one("conversation_lock", organization_id=delivery.organization_id, id=delivery.conversation_id)
    known = -1 if refused is None else part.index
    waiting = await tx.all("deliveries_waiting", lane=ref.lane, delivery_id=part.delivery_id, number=known)
    moving = [row["id"] for row in takewhile(lambda row: not row["stays"], waiting)]
    if not moving:
        return 0
    if refused is not None:
        await take_back(tx, part, refused.code)
        if refused.failure is Failure.CONFIGURATION:
            await halt_sender_of(tx, delivery, refused)
    lane = lane_of(delivery.organization_id, delivery.channel, to, delivery.recipient)
    queued = await tx.one(
        "lane_queue_many",
        lane=lane,
        channel=delivery.channel.value,
        organization_id=delivery.organization_id,
        count=len(moving),
    )
    left = await tx.one(
        "lane_moved", lane=ref.lane, fence=ref.fence, worker_id=ref.worker_id, count=len(moving)
    )
    if queued is None or left is None:
        raise AssertionError("the lane is held by this unit, and an upsert returns its row")
    first = queued["queued"] - len(moving) + 1
    await tx.many(
        "delivery_move",
        [
            {"id": delivery_id, "lane": lane, "number": first + place, "sender": to}
            for place, delivery_id in enumerate(moving)
        ],
    )
    await tx.run("conversation_moved", id=delivery.conversation_id, our_address=to)
    for due in (lane, *((ref.lane,) if left["more"] else ())):
        await ring_lane(
            tx,
            organization_id=delivery.organization_id,
            channel=delivery.channel.value,
            lane=due,
            at=part.claimed_at or delivery.created_at,
        )
    return len(moving)
