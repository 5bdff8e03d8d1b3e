"""What became of a reply at the end user: the worst of its parts, shown with its message and told once."""

from collections.abc import Sequence

from gateway.domain.conversation import SessionType
from gateway.domain.delivery import DeliveryState, PartState
from gateway.domain.envelope import Exchange
from gateway.domain.ports.store import Row, Tx
from gateway.service.again import try_again
from gateway.service.postings import envelope, post

_SHOWN = {DeliveryState.CANCELED: DeliveryState.FAILED}
"""`delivery_status` has no word for a canceled reply: it did not arrive."""

_TOLD = {DeliveryState.DELIVERED: "message.delivered", DeliveryState.FAILED: "message.failed"}
"""The events, each also the routing key."""

_BADNESS = (
    (PartState.FAILED, DeliveryState.FAILED),
    (PartState.CANCELED, DeliveryState.FAILED),
    (PartState.UNKNOWN, DeliveryState.UNKNOWN),
    (PartState.PENDING, DeliveryState.SENDING),
    (PartState.SENDING, DeliveryState.SENDING),
    (PartState.ACCEPTED, DeliveryState.SENT),
    (PartState.SENT, DeliveryState.SENT),
    (PartState.UNCONFIRMED, DeliveryState.SENT),
    (PartState.SANDBOXED, DeliveryState.SANDBOXED),
    (PartState.DELIVERED, DeliveryState.DELIVERED),
)


def worst(states: Sequence[PartState]) -> DeliveryState:
    """A message's delivery status from those of its parts."""
    present = set(states)
    return next((shown for state, shown in _BADNESS if state in present), DeliveryState.PENDING)


async def tell_arrival(tx: Tx, delivery: Row, parts: Sequence[Row] | None = None) -> None:
    """Show how a settled delivery stands; a change to delivered or failed is an event of live sessions.

    `delivery` is its row, which the unit has locked: receipts for two parts come one after the other.
    `parts`: all of them as they stand, where the caller knows.
    """
    state, error_code = DeliveryState(delivery["state"]), delivery["error_code"]
    if parts is None:
        parts = await tx.all("parts_of_delivery", delivery_id=delivery["id"])
    if parts and state not in (DeliveryState.CANCELED, DeliveryState.SANDBOXED):
        state = worst([PartState(part["state"]) for part in parts])
        if state is DeliveryState.FAILED and await try_again(tx, delivery, parts):
            return
        error_code = next((part["error_code"] for part in parts if part["error_code"]), None)
        if (state, error_code) != (delivery["state"], delivery["error_code"]):
            await tx.later("delivery_state", id=delivery["id"], state=state.value, error_code=error_code)
    shown = _SHOWN.get(state, state)
    message = {"conversation_id": delivery["conversation_id"], "seq": delivery["message_seq"]}
    if shown not in _TOLD:
        await tx.later("message_delivery_status", **message, delivery_status=shown.value)
    elif await tx.run("message_delivery_status", **message, delivery_status=shown.value):
        await _tell(tx, delivery, shown, "canceled" if state is DeliveryState.CANCELED else error_code)


async def _tell(tx: Tx, delivery: Row, status: DeliveryState, error_code: str | None) -> None:
    conversation = await tx.one("conversation_of_any", id=delivery["conversation_id"])
    if conversation is None or SessionType(conversation["session_type"]).sandboxed:
        return
    fact = envelope(
        _TOLD[status],
        {
            "conversation_id": delivery["conversation_id"],
            "message_id": delivery["message_id"],
            "seq": delivery["message_seq"],
            "turn_id": delivery["turn_id"],
            "channel": delivery["channel"],
            "delivery_status": status.value,
            "error_code": error_code,
        },
        at=delivery["updated_at"],
        organization_id=delivery["organization_id"],
        conversation_id=delivery["conversation_id"],
    )
    await post(tx, Exchange.EVENTS, fact.type, fact)
