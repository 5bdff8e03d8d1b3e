"""How far an agent has come within its turn, so that another attempt of it repeats nothing."""

from gateway.domain.errors import Fenced
from gateway.domain.message import JsonObject
from gateway.domain.ports.store import Tx
from gateway.domain.turn import Claim
from gateway.store.records import pack


async def keep_progress(tx: Tx, claim: Claim, state: JsonObject) -> None:
    """Keep it for the next attempt. Raises Fenced where the turn is somebody else's, or over."""
    kept = await tx.run(
        "turn_progress",
        id=claim.turn_id,
        worker_id=claim.lease.worker_id,
        fence=claim.lease.fence,
        state=pack(state),
    )
    if not kept:
        raise Fenced(claim.turn_id)
