"""A turn has led to a transfer that nobody has begun, as its connection broke: another one takes it over."""

from pydantic import ValidationError

from gateway.domain.conversation import Status
from gateway.domain.handoff import HandoffStatus
from gateway.domain.intent import CallTransferIntent, IntentKind
from gateway.domain.message import JsonObject
from gateway.domain.ports.store import Tx
from gateway.domain.turn import TurnOutcome
from gateway.store.records import outcome_of


async def take_transfer(
    tx: Tx, organization_id: str, conversation_id: str, provider: str, provider_message_id: str
) -> TurnOutcome | None:
    """The turn whose transfer the conversation waits for, where neither that nor a person has begun.

    From now on the provider's message of this id is one that the turn has answered.
    """
    row = await tx.one("conversation_lock", organization_id=organization_id, id=conversation_id)
    if row is None or row["status"] != Status.WAITING_FOR_HUMAN:
        return None
    handoff = await tx.one("handoff_open", conversation_id=conversation_id)
    if handoff is None or handoff["turn_id"] is None or handoff["status"] != HandoffStatus.REQUESTED:
        return None
    turn = await tx.one("turn_by_id", id=handoff["turn_id"])
    asked = await tx.one("message_of_turn", conversation_id=conversation_id, turn_id=handoff["turn_id"])
    if turn is None or asked is None:
        return None
    outcome = outcome_of(turn, Status(row["status"]))
    wanted = [one["intent_id"] for one in outcome.intents if _transfers(one)]
    if not wanted or await tx.one("held_by_id", id=wanted[-1]) is not None:
        return None
    await tx.one(
        "receipt_insert",
        organization_id=organization_id,
        provider=provider,
        provider_message_id=provider_message_id,
        message_id=asked["id"],
    )
    return outcome


def _transfers(intent: JsonObject) -> bool:
    """Whether it is a transfer that this version can read."""
    if intent.get("kind") != IntentKind.TRANSFER:
        return False
    try:
        CallTransferIntent.model_validate(intent.get("payload"))
    except ValidationError:
        return False
    return True
