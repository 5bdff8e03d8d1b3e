"""A delivery that has to wait and holds nobody up: it leaves its lane for one of its own.

A mail server may be away for two days, or greylist a first mail for an hour; whoever wrote again meanwhile
gets the answer to that at once. Texts are read one below the other: they hold up those behind them for some
minutes before (`SendRules.wait`).
"""

from gateway.domain.clock import SECOND
from gateway.domain.delivery import Part, PartState
from gateway.domain.errors import Fenced
from gateway.domain.ports.store import Tx
from gateway.service.lanes import LaneRef, check_held, postpone_lane
from gateway.service.parts import reset_part
from gateway.service.postings import ring_lane


async def put_aside(tx: Tx, ref: LaneRef, delivery_id: str, delay_seconds: float) -> None:
    """Have the delivery wait in a lane of its own, and let this one go: what is behind it may leave.

    Its own lane's name begins like the one it left, so that a sender that is well again finds both.
    Raises Fenced.
    """
    if ref.lane.endswith(f"|{delivery_id}"):
        await postpone_lane(tx, ref, delay_seconds)
        return
    await check_held(tx, ref)
    # the delivery before its lanes, as where it is settled or withdrawn
    row = await tx.one("delivery_lock", id=delivery_id)
    if row is None:
        raise Fenced(ref.lane)  # its conversation was deleted
    lane, organization_id, channel = f"{ref.lane}|{delivery_id}", row["organization_id"], row["channel"]
    made = await tx.one(
        "lane_aside",
        lane=lane,
        channel=channel,
        organization_id=organization_id,
        delay=int(delay_seconds * SECOND),
    )
    moved = await tx.run("delivery_move", id=delivery_id, lane=lane, number=1, sender=row["sender"])
    left = await tx.one("lane_moved", lane=ref.lane, fence=ref.fence, worker_id=ref.worker_id, count=1)
    if made is None or not moved or left is None:
        raise Fenced(ref.lane)  # it was withdrawn
    await ring_lane(
        tx,
        organization_id=organization_id,
        channel=channel,
        lane=lane,
        at=made["due_at"],
        delay_seconds=delay_seconds,
    )
    if left["more"]:
        await ring_lane(
            tx, organization_id=organization_id, channel=channel, lane=ref.lane, at=row["created_at"]
        )


async def put_part_aside(
    tx: Tx, ref: LaneRef, part: Part, state: PartState, *, error_code: str | None, delay_seconds: float
) -> None:
    """Refused for now, or unknown: its delivery waits aside until it is to be tried, or looked up."""
    still_open = await reset_part(tx, part, state, error_code)
    await put_aside(tx, ref, part.delivery_id, delay_seconds if still_open else 0)
