"""A text that did not arrive for now (the phone was off, a limit was reached) is sent once more, later.

Only what a receipt says so of, and what was not sent because of it. It waits in a lane of its own, so that it
holds up nothing; whatever withdraws an unsent reply meanwhile withdraws it too.
"""

from collections.abc import Sequence

from gateway.domain.clock import SECOND
from gateway.domain.delivery import LATE_AT_MOST, DeliveryState, PartState, lane_of
from gateway.domain.ports.store import Row, Tx
from gateway.service.postings import ring_lane


async def try_again(tx: Tx, delivery: Row, parts: Sequence[Row]) -> bool:
    """Queue a settled reply anew where all its lost parts may be sent again; False: it has failed.

    `delivery`: its row, which the unit has locked; `parts`: all of them as they stand.
    """
    states = [PartState(part["state"]) for part in parts]
    times = [part["retry_at"] for part in parts if part["state"] == PartState.FAILED]
    if not times or None in times or PartState.UNKNOWN in states:
        return False
    at = max(times)
    if await tx.one("delivery_may_again", id=delivery["id"], at=at, within=LATE_AT_MOST * SECOND) is None:
        return False
    organization_id, channel = delivery["organization_id"], delivery["channel"]
    lane = lane_of(organization_id, channel, delivery["sender"], delivery["recipient"])
    lane += f"|{delivery['id']}"
    queued = await tx.one("lane_again", lane=lane, channel=channel, organization_id=organization_id, at=at)
    if queued is None:
        raise AssertionError("an upsert returns its row")
    await tx.run("delivery_once_more", id=delivery["id"], lane=lane, number=queued["queued"])
    await tx.run("parts_once_more", delivery_id=delivery["id"])
    await tx.run(
        "message_delivery_status",
        conversation_id=delivery["conversation_id"],
        seq=delivery["message_seq"],
        delivery_status=DeliveryState.SENDING.value,
    )
    await ring_lane(
        tx,
        organization_id=organization_id,
        channel=channel,
        lane=lane,
        at=at,
        delay_seconds=max(at - delivery["updated_at"], 0) / SECOND,
    )
    return True
