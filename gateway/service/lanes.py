"""The order in which deliveries between two addresses leave: its lease, let go for a while or for good."""

from dataclasses import dataclass

from gateway.domain.clock import SECOND
from gateway.domain.errors import Fenced
from gateway.domain.ports.store import Tx
from gateway.service.postings import ring_lane
from gateway.store.engine import single_statement

PUT_DOWN_SECONDS = 5.0
"""How long a lane is left alone whose work broke off: what breaks it off may do so again."""


@dataclass(frozen=True, slots=True)
class LaneRef:
    """The right to send in a lane: whose, and under which fencing number."""

    lane: str
    worker_id: str
    fence: int


async def check_held(tx: Tx, ref: LaneRef) -> None:
    """Raise Fenced unless the lane is still held under this number."""
    if await tx.one("lane_held", lane=ref.lane, fence=ref.fence, worker_id=ref.worker_id) is None:
        raise Fenced(ref.lane)


async def postpone_lane(tx: Tx, ref: LaneRef, delay_seconds: float) -> None:
    """Let the lane go, not to be taken before the delay is over; it rings then. Raises Fenced."""
    if not await let_go(tx, ref, delay_seconds):
        raise Fenced(ref.lane)


async def let_go(tx: Tx, ref: LaneRef, delay_seconds: float) -> bool:
    """The same; False where the lane is another's."""
    row = await tx.one(
        "lane_postpone",
        lane=ref.lane,
        fence=ref.fence,
        worker_id=ref.worker_id,
        delay=int(delay_seconds * SECOND),
    )
    if row is None:
        return False
    await ring_lane(
        tx,
        organization_id=row["organization_id"],
        channel=row["channel"],
        lane=ref.lane,
        at=row["due_at"],
        delay_seconds=delay_seconds,
    )
    return True


async def held_lanes(tx: Tx, worker_id: str, at_most: int) -> dict[str, LaneRef]:
    """The leases that a worker holds on lanes in which something waits, by lane."""
    rows = await tx.all("lanes_held", worker_id=worker_id, limit=at_most)
    return {row["id"]: LaneRef(row["id"], worker_id, row["fence"]) for row in rows}


async def put_down_lane(tx: Tx, ref: LaneRef) -> None:
    """Nobody works in the lane any more: let it go, if it is still ours; it rings again soon."""
    await let_go(tx, ref, PUT_DOWN_SECONDS)


@single_statement
async def wait_in_lane(tx: Tx, ref: LaneRef) -> None:
    """A brake is on: let the lane go, and leave it to whoever lifts it to ring."""
    await tx.run("lane_wait", lane=ref.lane, fence=ref.fence, worker_id=ref.worker_id)


@single_statement
async def release_lane(tx: Tx, ref: LaneRef) -> None:
    """Let the lane go at once."""
    await tx.run("lane_release", lane=ref.lane, fence=ref.fence, worker_id=ref.worker_id)
