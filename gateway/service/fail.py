"""Parts that were not taken: what that does to their delivery, and to our sender."""

from gateway.domain.delivery import (
    Delivery,
    DeliveryState,
    Failure,
    Part,
    PartState,
    Refused,
)
from gateway.domain.ports.store import Row, Tx
from gateway.service.consequences import draw_consequences
from gateway.service.dead import bury_delivery
from gateway.service.deliver import settle_delivery
from gateway.service.lanes import LaneRef, postpone_lane
from gateway.service.parts import SUPPRESSED, take_back
from gateway.service.senders import TRY_AGAIN_SECONDS, SenderKey, halt, resume

GIVEN_UP = "outcome_unknown"
"""Our code for a part of which it could not be learnt whether the provider has it."""


async def fail_delivery(
    tx: Tx, ref: LaneRef, delivery: Delivery, part: Part, refused: Refused
) -> Delivery | None:
    """A part will never be taken: the rest of the delivery is canceled, and kept as a dead letter."""
    await tx.run(
        "part_reset",
        delivery_id=part.delivery_id,
        number=part.index,
        state=PartState.FAILED.value,
        rank=PartState.FAILED.rank,
        error_code=refused.code,
    )
    if refused != SUPPRESSED:
        await bury_delivery(tx, delivery, part, refused)
        await draw_consequences(tx, _row_of(delivery), refused.failure, refused.code)
    return await settle_delivery(tx, ref, delivery, DeliveryState.FAILED, error_code=refused.code)


async def give_up_part(tx: Tx, ref: LaneRef, delivery: Delivery, part: Part) -> Delivery | None:
    """Whether the provider has a part cannot be learnt, and it is not sent again: the rest is canceled.

    The part stays unknown, so that a receipt may still tell. The lane's next delivery, if any.
    """
    await tx.run(
        "part_reset",
        delivery_id=part.delivery_id,
        number=part.index,
        state=PartState.UNKNOWN.value,
        rank=PartState.UNKNOWN.rank,
        error_code=GIVEN_UP,
    )
    await tx.run("parts_cancel", delivery_id=delivery.id)
    await bury_delivery(tx, delivery, part, Refused(Failure.PERMANENT, GIVEN_UP))
    return await settle_delivery(tx, ref, delivery, DeliveryState.UNKNOWN, error_code=GIVEN_UP)


async def stop_sender(tx: Tx, ref: LaneRef, delivery: Delivery, part: Part, refused: Refused) -> bool:
    """The provider lets this sender send nothing: it is stopped, its parts wait. False: it was already."""
    await take_back(tx, part, refused.code)
    stopped = await halt_sender_of(tx, delivery, refused)
    await postpone_lane(tx, ref, TRY_AGAIN_SECONDS)
    return stopped


async def halt_sender_of(tx: Tx, delivery: Delivery, refused: Refused) -> bool:
    """Stop the sender of a delivery; False where it was stopped already."""
    key = SenderKey(delivery.organization_id, delivery.channel.value, delivery.sender)
    return await halt(tx, key, refused.code, delivery=_row_of(delivery), tries=True)


async def resume_sender(tx: Tx, delivery: Delivery) -> bool:
    """An attempt of a stopped sender was taken: all that waits for it may go."""
    return await resume(tx, SenderKey(delivery.organization_id, delivery.channel.value, delivery.sender))


def _row_of(delivery: Delivery) -> Row:
    """A delivery as its row is read, as far as consequences ask."""
    return {
        "id": delivery.id,
        "organization_id": delivery.organization_id,
        "conversation_id": delivery.conversation_id,
        "message_id": delivery.message_id,
        "channel": delivery.channel.value,
        "sender": delivery.sender,
        "recipient": delivery.recipient,
    }
