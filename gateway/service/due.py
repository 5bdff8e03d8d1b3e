"""Bells rung again: for input that nobody works on, deliveries that nobody sends, calls that nobody makes.

A bounded number of rows at once; what is left is found the next time.
"""

from gateway.domain.ports.store import Tx
from gateway.service.postings import ring_call, ring_lane, ring_turns

AT_ONCE = 200
"""The most that one look rings for."""


async def forget_bells(tx: Tx) -> None:
    """At an embedded start: what was rung for was rung for in vain, since the bells are gone. All at once."""
    await tx.run("turn_bells_reset")
    await tx.run("lane_bells_reset")


async def due_turns(tx: Tx, every: int, partitions: int) -> int:
    """Ring for conversations with input that nobody works on and a bell older than `every` µs; how many."""
    rows = await tx.all("turns_due", every=every)
    for row in rows:
        await ring_turns(
            tx,
            organization_id=row["organization_id"],
            conversation_id=row["id"],
            partitions=partitions,
            at=row["rung_at"],
        )
    return len(rows)


async def due_lanes(tx: Tx, every: int) -> int:
    """Ring for lanes with deliveries that nobody sends and a bell older than `every` µs; how many."""
    rows = await tx.all("lanes_due", every=every)
    for row in rows:
        await ring_lane(
            tx,
            organization_id=row["organization_id"],
            channel=row["channel"],
            lane=row["id"],
            at=row["rung_at"],
        )
    return len(rows)


async def due_calls(tx: Tx, every: int) -> int:
    """Ring for calls of ours that somebody has to look at, with a bell older than `every` µs; how many."""
    rows = await tx.all("outgoing_calls_due", every=every)
    for row in rows:
        await ring_call(
            tx,
            organization_id=row["organization_id"],
            conversation_id=row["conversation_id"],
            at=row["rung_at"],
        )
    return len(rows)
