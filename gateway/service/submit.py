"""What a client says by API: a turn of its own where turns run, queued with the rest where they do not."""

from dataclasses import dataclass

from gateway.domain.clock import rfc3339
from gateway.domain.conversation import Conversation, SessionType
from gateway.domain.envelope import Exchange, partition
from gateway.domain.errors import ErrorCode, GatewayError
from gateway.domain.ids import new_id
from gateway.domain.message import Author, Channel, JsonObject, Message, Role, SenderAuth
from gateway.domain.ports.store import Tx
from gateway.domain.turn import InputKind
from gateway.service.brake import wait_for_release
from gateway.service.postings import envelope, post
from gateway.service.timeline import write_messages
from gateway.store.records import conversation_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiInput:
    """What a client says, and how it waits for the answer."""

    message_id: str
    text: str
    reply_to: str | None
    """The transient reply queue of the process that waits."""
    stream: bool
    """Whether deltas are wanted."""
    for_update: bool
    """Refuse instead of waiting when a turn runs or waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """An API input that is stored."""

    conversation: Conversation
    message_id: str
    turn_id: str
    queued_seq: int | None
    """Its seq where the status runs no turns now (path `queued`); None where its turn is awaited."""


async def submit(
    tx: Tx, organization_id: str, conversation_id: str, said: ApiInput, partitions: int
) -> Submitted:
    """Store an API input: a turn of its own where turns run, queued with the rest where they do not."""
    row = await tx.one("conversation_lock", organization_id=organization_id, id=conversation_id)
    if row is None:
        raise GatewayError(ErrorCode.NOT_FOUND, "there is no such conversation")
    conversation = conversation_of(row)
    if conversation.session_type is SessionType.SIMULATION:
        raise GatewayError(
            ErrorCode.SIMULATION_READ_ONLY, "a simulation replays its script and takes no turns"
        )
    if conversation.status.terminal:
        raise GatewayError(ErrorCode.CONVERSATION_CLOSED, f"the conversation is {conversation.status}")
    if said.for_update and row["answered"] < row["last_input"]:
        raise GatewayError(ErrorCode.TURN_IN_PROGRESS, "a turn runs or waits in this conversation")
    if conversation.channel is Channel.VOICE:
        await _need_live_call(tx, conversation)
    if not conversation.status.runs_turns:
        return await _queue(tx, conversation, said)
    return await put_input(tx, conversation, said, partitions)


async def put_input(tx: Tx, conversation: Conversation, said: ApiInput, partitions: int) -> Submitted:
    """Store an input of an active conversation, which this unit has locked, and ring for its turn.

    Where a brake is on, it is queued.
    """
    turn_id = new_id()
    counted = await tx.one("conversation_add_waiting_input", id=conversation.id)
    if counted is None:
        submitted = await _queue(tx, conversation, said)
        await wait_for_release(tx, conversation.id)
        return submitted
    await tx.run(
        "input_insert",
        message_id=said.message_id,
        conversation_id=conversation.id,
        number=counted["last_input"],
        kind=InputKind.API.value,
        seq=None,
        text=said.text,
        reply_to=said.reply_to,
        stream=said.stream,
        turn_id=turn_id,
    )
    arrived = envelope(
        "message.inbound",
        inbound_of_api(conversation, said, counted["updated_at"]),
        at=counted["updated_at"],
        organization_id=conversation.organization_id,
        conversation_id=conversation.id,
    )
    await post(tx, Exchange.INBOUND, str(partition(conversation.id, partitions)), arrived)
    return Submitted(
        conversation=conversation,
        message_id=said.message_id,
        turn_id=turn_id,
        queued_seq=None,
    )


async def _need_live_call(tx: Tx, conversation: Conversation) -> None:
    call = await tx.one("call_live", conversation_id=conversation.id)
    if call is None:
        raise GatewayError(ErrorCode.NO_LIVE_CALL, "the call of this conversation is over")


async def _queue(tx: Tx, conversation: Conversation, said: ApiInput) -> Submitted:
    """A person or a decision has the conversation, or a brake is on: stored, and answered when it is over."""
    counted = await tx.one(
        "conversation_add_input", id=conversation.id, next_turn_id=new_id(), window=0, files=0
    )
    if counted is None:
        raise AssertionError("the conversation was locked in this unit")
    seq = counted["message_count"] - 1
    message = Message(
        id=said.message_id,
        conversation_id=conversation.id,
        seq=seq,
        turn_id=counted["next_turn_id"],
        role=Role.USER,
        content=said.text,
        author=Author.END_USER,
        created_at=0,
    )
    await write_messages(tx, [message], counted["event_count"] - 1)
    await tx.run(
        "input_insert",
        message_id=message.id,
        conversation_id=conversation.id,
        number=counted["last_input"],
        kind=InputKind.CHANNEL.value,
        seq=seq,
        text=None,
        reply_to=None,
        stream=False,
        turn_id=counted["next_turn_id"],
    )
    return Submitted(
        conversation=conversation,
        message_id=message.id,
        turn_id=counted["next_turn_id"],
        queued_seq=seq,
    )


def inbound_of_api(
    conversation: Conversation, said: ApiInput, at: int, *, seq: int | None = None
) -> JsonObject:
    """The `message.inbound` body of an API input: its seq comes when its turn starts, unless it has one."""
    return {
        "message_id": said.message_id,
        "seq": seq,
        "channel": conversation.channel.value,
        "provider": "api",
        "provider_message_id": said.message_id,
        "end_user_id": conversation.end_user_id,
        "from": conversation.their_address or conversation.end_user_id,
        "to": conversation.our_address or "",
        "text": said.text,
        "attachments": [],
        "subject": None,
        "sender_auth": SenderAuth.VERIFIED.value,
        "received_at": rfc3339(at),
        "session_type": conversation.session_type.value,
        "reply_to": said.reply_to,
    }


async def withdraw(tx: Tx, message_id: str) -> bool:
    """Take an input back whose turn has not begun; False when it has."""
    waiting = await tx.one("input_by_message", message_id=message_id)
    if waiting is None:
        return False
    # the conversation first, as everywhere: its turn cannot begin while the input is taken out
    await tx.one(
        "conversation_lock", organization_id=waiting["organization_id"], id=waiting["conversation_id"]
    )
    if not await tx.run("input_withdraw", message_id=message_id):
        return False
    await tx.run("conversation_settle_input", id=waiting["conversation_id"])
    return True
