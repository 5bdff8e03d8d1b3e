"""A person takes the conversation: the handoff record, the operator's words, and the way back."""

from dataclasses import dataclass, replace

from gateway.domain.conversation import Cause, Conversation, SessionType, Status
from gateway.domain.envelope import Exchange
from gateway.domain.errors import ErrorCode, GatewayError
from gateway.domain.handoff import Handoff, HandoffSource, HandoffStatus
from gateway.domain.ids import new_id
from gateway.domain.message import Author, Channel, JsonObject, Message
from gateway.domain.ports.store import Tx
from gateway.domain.timeline import EventKind
from gateway.domain.turn import Claim, Reply
from gateway.domain.wire import FactType
from gateway.service.deliver import cancel_unsent
from gateway.service.postings import envelope, post, ring_turns
from gateway.service.speak import speak
from gateway.service.status import move_status, supersede_turn
from gateway.service.timeline import append_event
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
    row = await append_event(tx, conversation.id, EventKind.HANDOFF, {"handoff_id": handoff_id})
    if not conversation.session_type.sandboxed:
        requested = envelope(
            FactType.HANDOFF_REQUESTED,
            {
                "conversation_id": conversation.id,
                "handoff_id": handoff_id,
                "turn_id": turn_id,
                "channel": conversation.channel.value,
                "reason": packet["reason"],
                "source": source.value,
            },
            at=row["updated_at"],
            organization_id=conversation.organization_id,
            conversation_id=conversation.id,
        )
        await post(tx, Exchange.EVENTS, requested.type, requested)
    return handoff_id


async def human_turn(
    tx: Tx, conversation_id: str, operator: Operator, turn: HumanTurn, partitions: int
) -> HumanTurnDone:
    """An operator speaks, takes over or returns control; one transaction."""
    row = await tx.one("conversation_lock", organization_id=operator.organization_id, id=conversation_id)
    if row is None:
        raise GatewayError(ErrorCode.NOT_FOUND, "there is no such conversation")
    conversation = conversation_of(row)
    refuse_simulation(conversation)
    if turn.take_over and conversation.status is Status.ACTIVE:
        handoff = await _take_over(tx, conversation, operator)
    else:
        handoff = await _held(tx, conversation, operator)
    message = None
    if turn.content is not None:
        message = await speak(tx, conversation, turn.content, Author.HUMAN_OPERATOR)
    status = Status.WAITING_FOR_HUMAN
    if turn.return_control:
        status = await _give_back(tx, conversation, handoff, operator, partitions)
    else:
        written = message is not None or handoff.status is HandoffStatus.ACCEPTED
        taken = HandoffStatus.ACCEPTED if written else HandoffStatus.ASSIGNED
        await change_handoff(tx, handoff, taken, operator)
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
    await check_hold(tx, conversation, handoff, operator)
    return handoff


def refuse_simulation(conversation: Conversation) -> None:
    """Raises GatewayError `simulation_read_only`."""
    if conversation.session_type is SessionType.SIMULATION:
        raise GatewayError(
            ErrorCode.SIMULATION_READ_ONLY, "a simulation replays its script and takes no turns"
        )


async def check_hold(tx: Tx, conversation: Conversation, handoff: Handoff, operator: Operator) -> None:
    """Whether this operator may act. Raises GatewayError `transfer_in_progress`, `claimed_by_other`."""
    if await _transfer_runs(tx, conversation, handoff):
        raise GatewayError(
            ErrorCode.TRANSFER_IN_PROGRESS, "the call is being transferred; wait for its outcome"
        )
    if handoff.assignee not in (None, operator.name) and not operator.admin:
        raise GatewayError(ErrorCode.CLAIMED_BY_OTHER, "another operator has this conversation")


async def _transfer_runs(tx: Tx, conversation: Conversation, handoff: Handoff) -> bool:
    """A person is being dialled. Without a live call a transfer is a handoff like any other."""
    if conversation.channel is not Channel.VOICE or handoff.packet.get("transfer_to") is None:
        return False
    return await tx.one("call_live", conversation_id=conversation.id) is not None


async def change_handoff(tx: Tx, handoff: Handoff, status: HandoffStatus, operator: Operator) -> None:
    """Move a handoff on, or to another operator; a change that changes nothing leaves no trace."""
    if (status, operator.name) == (handoff.status, handoff.assignee):
        return
    query = "handoff_assign" if status.open else "handoff_close"
    await tx.run(query, id=handoff.id, status=status.value, assignee=operator.name)
    await append_event(tx, handoff.conversation_id, EventKind.HANDOFF, {"handoff_id": handoff.id})


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


async def _give_back(
    tx: Tx, conversation: Conversation, handoff: Handoff, operator: Operator, partitions: int
) -> Status:
    held = replace(conversation, status=Status.WAITING_FOR_HUMAN)
    await hand_back(tx, held, partitions)
    await change_handoff(tx, handoff, HandoffStatus.RESOLVED, operator)
    return Status.ACTIVE


async def hand_back(tx: Tx, conversation: Conversation, partitions: int) -> None:
    """The agent has a conversation again that waited for a person, and answers what is pending."""
    row = await move_status(tx, conversation, Status.ACTIVE, Cause.RETURN)
    if row["answered"] < row["last_input"]:
        await ring_turns(
            tx,
            organization_id=conversation.organization_id,
            conversation_id=conversation.id,
            partitions=partitions,
            at=row["updated_at"],
        )
