"""A call's way up the status table: queued, ringing, active."""

from dataclasses import replace

from gateway.domain.conversation import Cause, Conversation, Status
from gateway.domain.ports.store import Tx
from gateway.service.status import move_status

_WAY = (Status.QUEUED, Status.RINGING, Status.ACTIVE)


async def climb(tx: Tx, conversation: Conversation, to: Status) -> Conversation:
    """Every step from where it is up to `to`; one that is there, past it or over stays as it is."""
    now = conversation
    while now.status in _WAY and now.status is not Status.ACTIVE and now.status is not to:
        step = _WAY[_WAY.index(now.status) + 1]
        await move_status(tx, now, step, Cause.HOST)
        now = replace(now, status=step)
    return now
