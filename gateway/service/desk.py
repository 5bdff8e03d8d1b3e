"""An operator's work on one handoff: claim it, speak, give the conversation back, or settle the matter.

Each act is a unit of its own and answers the handoff as it has left it.
"""

from gateway.domain.conversation import Cause, Conversation, Status
from gateway.domain.errors import ErrorCode, GatewayError
from gateway.domain.handoff import Handoff, HandoffStatus
from gateway.domain.ports.store import Tx
from gateway.service.close import Ending, end
from gateway.service.handoff import (
    HumanTurn,
    Operator,
    change_handoff,
    check_hold,
    human_turn,
    refuse_simulation,
)
from gateway.store.records import conversation_of, handoff_of


async def claim(tx: Tx, handoff_id: str, operator: Operator) -> Handoff:
    """Take it. Again by the same operator changes nothing; an admin may take it from another."""
    _, handoff = await _held(tx, handoff_id, operator)
    requested = handoff.status is HandoffStatus.REQUESTED
    await change_handoff(tx, handoff, HandoffStatus.ASSIGNED if requested else handoff.status, operator)
    return await _known(tx, handoff_id, operator)


async def relay(tx: Tx, handoff_id: str, operator: Operator, content: str, partitions: int) -> Handoff:
    """Say something to the end user; the first to do so has it."""
    said = HumanTurn(content=content, return_control=False, take_over=False)
    return await _turn(tx, handoff_id, operator, said, partitions)


async def give_back(tx: Tx, handoff_id: str, operator: Operator, partitions: int) -> Handoff:
    """The agent goes on, and answers what has queued up."""
    returned = HumanTurn(content=None, return_control=True, take_over=False)
    return await _turn(tx, handoff_id, operator, returned, partitions)


async def settle(tx: Tx, handoff_id: str, operator: Operator, partitions: int) -> Handoff:
    """The matter is settled: the conversation is closed."""
    conversation, handoff = await _held(tx, handoff_id, operator)
    await change_handoff(tx, handoff, HandoffStatus.RESOLVED, operator)
    await end(tx, conversation, Ending(Status.CLOSED, Cause.CLOSE, "handoff resolved"), partitions)
    return await _known(tx, handoff_id, operator)


async def _turn(tx: Tx, handoff_id: str, operator: Operator, turn: HumanTurn, partitions: int) -> Handoff:
    conversation, _ = await _held(tx, handoff_id, operator)
    await human_turn(tx, conversation.id, operator, turn, partitions)
    return await _known(tx, handoff_id, operator)


async def _held(tx: Tx, handoff_id: str, operator: Operator) -> tuple[Conversation, Handoff]:
    """The handoff, open and this operator's to act on, under its conversation's lock."""
    seen = await _known(tx, handoff_id, operator)
    row = await tx.one("conversation_lock", organization_id=operator.organization_id, id=seen.conversation_id)
    if row is None:
        raise _unknown()
    conversation = conversation_of(row)
    refuse_simulation(conversation)
    handoff = await _known(tx, handoff_id, operator)  # whoever held the lock may have changed it
    if not handoff.status.open:
        raise GatewayError(ErrorCode.NOT_WAITING_FOR_HUMAN, f"this handoff is {handoff.status}")
    await check_hold(tx, conversation, handoff, operator)
    return conversation, handoff


async def _known(tx: Tx, handoff_id: str, operator: Operator) -> Handoff:
    row = await tx.one("handoff_by_id", organization_id=operator.organization_id, id=handoff_id)
    if row is None:
        raise _unknown()
    return handoff_of(row)


def _unknown() -> GatewayError:
    return GatewayError(ErrorCode.NOT_FOUND, "there is no such handoff")
