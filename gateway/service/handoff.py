"""A person takes the conversation: the handoff record, the operator's words, and the way back."""

from dataclasses import dataclass, replace

from gateway.domain.conversation import Cause, Conversation, SessionType, Status
from gateway.domain.errors import ErrorCode, GatewayError
from gateway.domain.handoff import Handoff, HandoffSource, HandoffStatus
from gateway.domain.ids import new_id
from gateway.domain.message import Author, JsonObject, Message
from gateway.domain.ports import Tx
from gateway.domain.turn import Claim, Reply
from gateway.service.deliver import cancel_unsent
from gateway.service.postings import ring_turns
from gateway.service.speak import speak
from gateway.service.status import move_status, supersede_turn
from gateway.service.timeline import write_event
from gateway.store.records import conversation_of, handoff_of, pack


@dataclass(frozen=True, slots=True)
class Operator:
    """Who speaks for the organisation: the name of the API key used."""

    organization_id: str
    name: str
    admin: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HumanTurn:
    """An operator's request: say something, give control back, or take it."""

    content: str | None
    return_control: bool
    take_over: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HumanTurnDone:
    """What an operator's request changed."""

    conversation_id: str
    message: Message | None
    handoff_id: str
    session_status: Status
    next_seq: int


async def open_handoff(tx: Tx, claim: Claim, reply: Reply, *, up_to_seq: int) -> None:
    """The agent asked for a person."""
    transfer: JsonObject = reply.transfer or {}
    await _insert(
        tx,
        claim.conversation,
        turn_id=claim.turn_id,
        source=HandoffSource.ROUTER,
        packet={
            "static_text": reply.handoff_text,
            "reason": reply.handoff_reason or "",
            "context_vars": claim.conversation.context_variables,
            "summary": claim.conversation.summary,
            "transcript_ptr": {"conversation_id": claim.conversation.id, "up_to_seq": up_to_seq},
            "transfer_to": transfer.get("destination"),
            "transfer_label": transfer.get("label"),
        },
    )


async def _insert(
    tx: Tx,
    conversation: Conversation,
    *,
    turn_id: str | None,
    source: HandoffSource,
    packet: JsonObject,
) -> str:
    handoff_id = new_id()
    await tx.run(
        "handoff_insert",
        id=handoff_id,
        organization_id=conversation.organization_id,
        conversation_id=conversation.id,
        turn_id=turn_id,
        reason=packet["reason"],
        static_text=packet["static_text"],
        status=HandoffStatus.REQUESTED.value,
        source=source.value,
        packet=pack(packet),
    )
    row = await tx.one("conversation_add_event", id=conversation.id)
    if row is not None:
        await write_event(tx, conversation.id, row["event_count"] - 1, "handoff", {"handoff_id": handoff_id})
    return handoff_id


async def human_turn(
    tx: Tx, conversation_id: str, operator: Operator, turn: HumanTurn, partitions: int
) -> HumanTurnDone:
    """An operator speaks, takes over or returns control; one transaction."""
    row = await tx.one("conversation_lock", organization_id=operator.organization_id, id=conversation_id)
    if row is None:
        raise GatewayError(ErrorCode.NOT_FOUND, "there is no such conversation")
    conversation = conversation_of(row)
    if conversation.session_type is SessionType.SIMULATION:
        raise GatewayError(
            ErrorCode.SIMULATION_READ_ONLY, "a simulation replays its script and takes no turns"
        )
    if turn.take_over and conversation.status is Status.ACTIVE:
        handoff = await _take_over(tx, conversation, operator)
    else:
        handoff = await _held(tx, conversation, operator)
    message = None
    if turn.content is not None:
        message = await speak(tx, conversation, turn.content, Author.HUMAN_OPERATOR)
    status = Status.WAITING_FOR_HUMAN
    if turn.return_control:
        status = await _give_back(tx, conversation, handoff, partitions)
    else:
        accepted = HandoffStatus.ACCEPTED if message is not None else HandoffStatus.ASSIGNED
        await tx.run("handoff_assign", id=handoff.id, status=accepted.value, assignee=operator.name)
    last = message.seq if message is not None else conversation.message_count - 1
    return HumanTurnDone(
        conversation_id=conversation.id,
        message=message,
        handoff_id=handoff.id,
        session_status=status,
        next_seq=last,
    )


async def _held(tx: Tx, conversation: Conversation, operator: Operator) -> Handoff:
    if conversation.status is not Status.WAITING_FOR_HUMAN:
        raise GatewayError(
            ErrorCode.NOT_WAITING_FOR_HUMAN,
            f"the conversation is {conversation.status}; use take_over on an active one",
        )
    row = await tx.one("handoff_open", conversation_id=conversation.id)
    if row is None:
        raise AssertionError("a conversation that waits for a person has an open handoff")
    handoff = handoff_of(row)
    if handoff.assignee not in (None, operator.name) and not operator.admin:
        raise GatewayError(ErrorCode.CLAIMED_BY_OTHER, "another operator has this conversation")
    return handoff


async def _take_over(tx: Tx, conversation: Conversation, operator: Operator) -> Handoff:
    """The running turn loses its number, and what the agent has not sent yet never leaves."""
    moved = await move_status(tx, conversation, Status.WAITING_FOR_HUMAN, Cause.HANDOFF)
    await supersede_turn(tx, moved)
    await cancel_unsent(tx, conversation, at=moved["updated_at"])
    handoff_id = await _insert(
        tx,
        conversation,
        turn_id=None,
        source=HandoffSource.OPERATOR,
        packet={
            "static_text": None,
            "reason": f"taken over by {operator.name}",
            "context_vars": conversation.context_variables,
            "summary": conversation.summary,
            "transcript_ptr": {
                "conversation_id": conversation.id,
                "up_to_seq": conversation.message_count - 1,
            },
            "transfer_to": None,
            "transfer_label": None,
        },
    )
    row = await tx.one("handoff_open", conversation_id=conversation.id)
    if row is None:
        raise AssertionError(f"handoff {handoff_id} was stored in this unit")
    return handoff_of(row)


async def _give_back(tx: Tx, conversation: Conversation, handoff: Handoff, partitions: int) -> Status:
    held = replace(conversation, status=Status.WAITING_FOR_HUMAN)
    row = await move_status(tx, held, Status.ACTIVE, Cause.RETURN)
    await tx.run("handoff_close", id=handoff.id, status=HandoffStatus.RESOLVED.value)
    if row["answered"] < row["last_input"]:
        await ring_turns(
            tx,
            organization_id=conversation.organization_id,
            conversation_id=conversation.id,
            partitions=partitions,
            at=row["updated_at"],
        )
    return Status.ACTIVE
