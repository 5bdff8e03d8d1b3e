"""Apply what a provider says later about a part: ranked, once, in whatever order the receipts come.

States go up by rank and never back, but for delivered after failed.
"""

from enum import StrEnum

from gateway.domain.clock import SECOND
from gateway.domain.delivery import PartState, Receipt
from gateway.domain.ids import parse_id
from gateway.domain.ports.store import Row, Tx
from gateway.service.arrival import tell_arrival
from gateway.service.consequences import draw_consequences
from gateway.service.postings import ring_lane

UNCONFIRMED_AFTER = 72 * 3600 * SECOND
"""How long a receipt is waited for, µs: many carriers never send one."""


class Received(StrEnum):
    """What a receipt changed, or showed."""

    APPLIED = "applied"
    STALE = "stale"
    """Nothing: it, or a later one, had come before; or it tells of an attempt that no longer counts."""
    DOUBLED = "doubled"
    """The provider took two attempts of one part; told once. Its state counts as any other receipt's."""
    CONTRADICTED = "contradicted"
    """Nothing: it says that the part has failed, which was delivered before."""
    UNKNOWN_PART = "unknown_part"
    """We have no such part."""


async def receive(tx: Tx, receipt: Receipt) -> Received:
    """Move a part on, and show its message's status once the delivery is settled.

    Any receipt proves that the provider took the part, whatever we learnt of the attempt itself.
    """
    part = await _find(tx, receipt)
    if part is None:
        return Received.UNKNOWN_PART
    if _of_another_attempt(receipt, part):
        return Received.STALE
    doubled = await _doubled(tx, receipt, part)
    received = await _apply(tx, receipt, part)
    return Received.DOUBLED if doubled else received


async def _apply(tx: Tx, receipt: Receipt, part: Row) -> Received:
    state = PartState.ACCEPTED if receipt.state is PartState.UNKNOWN else receipt.state
    changed = await tx.run(
        "part_receipt",
        delivery_id=part["delivery_id"],
        number=part["number"],
        state=state.value,
        rank=state.rank,
        raw_status=receipt.raw_status,
        error_code=receipt.error_code,
        provider=receipt.provider,
        provider_message_id=receipt.provider_message_id,
        again_times=receipt.again.times if receipt.again else 0,
        again_after=receipt.again.after * SECOND if receipt.again else 0,
    )
    if not changed:
        return await _note(tx, receipt, part)
    # after the part, as settling does; whoever comes last sees what the others have changed
    delivery = await tx.one("delivery_lock", id=part["delivery_id"])
    if delivery is None:
        return Received.APPLIED
    if state is PartState.FAILED and receipt.failure is not None:
        await draw_consequences(tx, delivery, receipt.failure, receipt.error_code or receipt.raw_status)
    if delivery["settled_at"] is not None:
        await tell_arrival(tx, delivery)
    elif part["state"] == PartState.UNKNOWN:
        await _ring(tx, delivery)
    return Received.APPLIED


async def _ring(tx: Tx, delivery: Row) -> None:
    """Nobody has to ask the provider any more: what waits behind the part may go at once."""
    if await tx.run("lane_hurry", lane=delivery["lane"]):
        await ring_lane(
            tx,
            organization_id=delivery["organization_id"],
            channel=delivery["channel"],
            lane=delivery["lane"],
            at=delivery["updated_at"],
        )


async def close_unconfirmed(tx: Tx) -> int:
    """Wait no longer for receipts that have not come in three days; how many parts, so many at most."""
    return await tx.run("parts_unconfirmed", age=UNCONFIRMED_AFTER)


async def _doubled(tx: Tx, receipt: Receipt, part: Row) -> bool:
    """Whether this is the first we hear of a second copy."""
    bound = part["provider_message_id"]
    if bound is None or bound == receipt.provider_message_id:
        return False
    first = await tx.run(
        "part_doubled",
        delivery_id=part["delivery_id"],
        number=part["number"],
        provider_message_id=receipt.provider_message_id,
    )
    return bool(first)


async def _note(tx: Tx, receipt: Receipt, part: Row) -> Received:
    """What cannot change the state: a status we do not know is kept, a contradiction to the end told."""
    if receipt.state is PartState.UNKNOWN:
        await tx.run(
            "part_raw_status",
            delivery_id=part["delivery_id"],
            number=part["number"],
            raw_status=receipt.raw_status,
        )
    elif receipt.state is PartState.FAILED and part["state"] == PartState.DELIVERED:
        return Received.CONTRADICTED
    return Received.STALE


async def _find(tx: Tx, receipt: Receipt) -> Row | None:
    """The part: by our own reference, else by the provider's id."""
    delivery_id = parse_id(receipt.delivery_id or "")
    if delivery_id is not None and receipt.part_index is not None:
        return await tx.one("part_by_reference", delivery_id=delivery_id, number=receipt.part_index)
    return await tx.one(
        "part_by_provider",
        provider=receipt.provider,
        provider_message_id=receipt.provider_message_id,
    )


def _of_another_attempt(receipt: Receipt, part: Row) -> bool:
    """The failure of an attempt is the part's failure only while no other attempt was made.

    Of a copy that did not arrive, and is sent once more, only that it did arrive after all counts.
    """
    if receipt.state is PartState.DELIVERED:
        return False
    if receipt.provider_message_id == part["failed_id"]:
        return True
    if receipt.state is not PartState.FAILED:
        return False
    bound = part["provider_message_id"]
    if bound is not None:
        return bool(bound != receipt.provider_message_id)
    return receipt.attempt is not None and receipt.attempt < part["attempt"]
