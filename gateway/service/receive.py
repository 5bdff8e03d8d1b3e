"""Apply what a provider says later about a part: ranked, once, in whatever order the receipts come."""

import logging
from enum import StrEnum

from gateway.domain.delivery import PartState, Receipt
from gateway.domain.ids import parse_id
from gateway.domain.ports import Row, Tx
from gateway.service.arrival import tell_arrival

_log = logging.getLogger(__name__)


class Received(StrEnum):
    """What a receipt changed."""

    APPLIED = "applied"
    STALE = "stale"
    """Nothing: it, or a later one, had come before; or it tells of an attempt that no longer counts."""
    UNKNOWN_PART = "unknown_part"
    """We have no such part."""


async def receive(tx: Tx, receipt: Receipt) -> Received:
    """Move a part on, and show its message's status once the delivery is settled.

    Any receipt proves that the provider took the part, whatever we learnt of the attempt itself.
    """
    part = await _find(tx, receipt)
    if part is None:
        _log.warning(
            "a receipt names no part of ours",
            extra={
                "action": "receipt.unknown",
                "provider": receipt.provider,
                "provider_message_id": receipt.provider_message_id,
                "raw_status": receipt.raw_status,
            },
        )
        return Received.UNKNOWN_PART
    if _of_another_attempt(receipt, part):
        return Received.STALE
    changed = await tx.run(
        "part_receipt",
        delivery_id=part["delivery_id"],
        number=part["number"],
        state=receipt.state.value,
        rank=receipt.state.rank,
        raw_status=receipt.raw_status,
        error_code=receipt.error_code,
        provider=receipt.provider,
        provider_message_id=receipt.provider_message_id,
    )
    if not changed:
        return Received.STALE
    # after the part, as settling does; whoever comes last sees what the others have changed
    delivery = await tx.one("delivery_lock", id=part["delivery_id"])
    if delivery is not None and delivery["settled_at"] is not None:
        await tell_arrival(tx, delivery)
    return Received.APPLIED


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
    """The failure of an attempt is the part's failure only while no other attempt was made."""
    if receipt.state is not PartState.FAILED:
        return False
    bound = part["provider_message_id"]
    if bound is not None:
        return bool(bound != receipt.provider_message_id)
    return receipt.attempt is not None and receipt.attempt < part["attempt"]
