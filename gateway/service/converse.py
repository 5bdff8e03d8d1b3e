"""Conversations by API: create, read, put in a turn's input, and see how its turn goes."""

from dataclasses import dataclass, replace
from enum import StrEnum

from gateway.domain.clock import rfc3339
from gateway.domain.conversation import Conversation, Origin, Priority, SessionType, Status
from gateway.domain.envelope import Exchange, partition
from gateway.domain.errors import ErrorCode, GatewayError
from gateway.domain.identity import KIND_OF_CHANNEL
from gateway.domain.ids import new_id
from gateway.domain.message import Author, Channel, JsonObject, Message, Role, SenderAuth
from gateway.domain.ports import Row, Tx
from gateway.domain.turn import InputKind, Path, TurnOutcome, TurnState
from gateway.service.accept import Route
from gateway.service.brake import wait_for_release
from gateway.service.identify import Person, person_of
from gateway.service.join import sms_thread_key
from gateway.service.postings import envelope, post
from gateway.service.suppress import suppressed
from gateway.service.timeline import write_messages
from gateway.store.records import conversation_of, message_of, outcome_of, pack


@dataclass(frozen=True, slots=True, kw_only=True)
class NewConversation:
    """A request for a conversation, its agent and addresses already looked up."""

    end_user_id: str
    channel: Channel
    our_address: str | None
    session_type: SessionType
    priority: Priority
    origin: Origin | None
    external_session_id: str | None
    subject: str | None
    metadata: JsonObject
    context_variables: JsonObject


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


_BY_POLICY = frozenset({Status.AWAITING_APPROVAL, Status.PAUSED, Status.ACTIVE})
"""Where no person is the reason that input waits; an active one waits for a brake."""


class Progress(StrEnum):
    """Where an input is while no turn row tells."""

    WAITING = "waiting"
    """Its turn has not begun."""
    GONE = "gone"
    """It was withdrawn, or its conversation ended before its turn."""


async def create(tx: Tx, new: NewConversation, route: Route) -> tuple[Conversation, bool]:
    """Create a conversation, or return the open one of the same external session or number pair."""
    organization_id = route.organization_id
    person = await person_of(tx, organization_id, new.end_user_id)
    if person is None or person.erased:
        raise GatewayError(ErrorCode.END_USER_NOT_FOUND, "there is no such end user; resolve one first")
    theirs = None
    if new.channel.delivers:
        record_id, theirs = await _their_address(tx, new, organization_id, person)
        new = replace(new, end_user_id=record_id)
    return await insert(tx, new, route, theirs)


async def insert(tx: Tx, new: NewConversation, route: Route, theirs: str | None) -> tuple[Conversation, bool]:
    """The same where the end user and their address are known, or of no matter."""
    organization_id = route.organization_id
    key = _thread_key(new, route)
    conversation_id = new_id()
    inserted = await tx.one(
        "conversation_insert",
        id=conversation_id,
        organization_id=organization_id,
        end_user_id=new.end_user_id,
        channel=new.channel.value,
        status=Status.ACTIVE.value,
        session_type=new.session_type.value,
        priority=new.priority.value,
        origin=new.origin.value if new.origin else None,
        agent_id=route.agent_id,
        revision_id=route.revision_id,
        our_address=new.our_address,
        their_address=theirs,
        unverified=False,
        thread_key=key,
        external_session_id=new.external_session_id,
        subject=new.subject,
        metadata=pack(new.metadata),
        context_variables=pack(new.context_variables),
        idle_ttl=route.idle_ttl,
        retention=route.retention,
    )
    if inserted is not None:
        return await _known(tx, organization_id, conversation_id), True
    return await _open_one(tx, new, organization_id, key), False


def _thread_key(new: NewConversation, route: Route) -> str | None:
    """What makes a person's texts join the conversation; never one that is sandboxed."""
    if new.channel is not Channel.SMS or new.session_type.sandboxed:
        return None
    return sms_thread_key(route, new.our_address or "", new.end_user_id)


async def _their_address(
    tx: Tx, new: NewConversation, organization_id: str, person: Person
) -> tuple[str, str]:
    """(record, address) of a person to write to. A conversation belongs to the record its address does."""
    row = await tx.one(
        "contact_of_kind",
        organization_id=organization_id,
        ids=list(person.records),
        end_user_id=new.end_user_id,
        kind=KIND_OF_CHANNEL[new.channel].value,
    )
    if row is None or new.our_address is None:
        raise GatewayError(
            ErrorCode.NO_ADDRESS, f"this end user, or this gateway, has no {new.channel} address"
        )
    if await suppressed(tx, organization_id, new.channel, new.our_address, row["value"]):
        raise GatewayError(ErrorCode.SUPPRESSED, f"this end user must not be written to on {new.channel}")
    return row["end_user_id"], row["value"]


async def _open_one(tx: Tx, new: NewConversation, organization_id: str, key: str | None) -> Conversation:
    """The open conversation that stood in the way of a new one."""
    row: Row | None = None
    if new.external_session_id is not None:
        row = await tx.one(
            "conversation_of_external_session",
            organization_id=organization_id,
            end_user_id=new.end_user_id,
            external_session_id=new.external_session_id,
        )
    if row is None and key is not None:
        found = await tx.one("conversation_of_thread", organization_id=organization_id, thread_key=key)
        if found is not None:
            return await _known(tx, organization_id, found["id"])
    if row is None:
        raise GatewayError(ErrorCode.UNAVAILABLE, "the conversation ended meanwhile; try again")
    return conversation_of(row)


async def _known(tx: Tx, organization_id: str, conversation_id: str) -> Conversation:
    found = await conversation(tx, organization_id, conversation_id)
    if found is None:
        raise AssertionError("the conversation was read in this unit")
    return found


async def conversation(tx: Tx, organization_id: str, conversation_id: str) -> Conversation | None:
    """One conversation; None where the organisation has no such one."""
    row = await tx.one("conversation_by_id", organization_id=organization_id, id=conversation_id)
    return None if row is None else conversation_of(row)


async def messages_since(tx: Tx, conversation_id: str, since: int, limit: int) -> list[Message]:
    """Messages after a seq, ascending."""
    rows = await tx.all("messages_since", conversation_id=conversation_id, since=since, limit=limit)
    return [message_of(row) for row in rows]


async def newest_messages(tx: Tx, conversation: Conversation, limit: int) -> list[Message]:
    """The last messages, ascending."""
    rows = await tx.all(
        "messages_recent",
        conversation_id=conversation.id,
        before=conversation.message_count,
        limit=limit,
    )
    return [message_of(row) for row in reversed(rows)]


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


async def progress(tx: Tx, conversation_id: str, message_id: str) -> TurnOutcome | Progress:
    """How the turn of an input goes: its row, or that it has none yet, or never will."""
    row = await tx.one("turn_of_message", message_id=message_id)
    if row is not None:
        status = Status(row["conversation_status"])
        if row["set_aside"]:
            return _queued_outcome(
                row["conversation_id"], row["id"], row["message_seq"], status, row["started_at"]
            )
        return outcome_of(row, status)
    waiting = await tx.one("input_by_message", message_id=message_id)
    if waiting is None:
        return Progress.GONE
    status = Status(waiting["status"])
    if waiting["seq"] is None or (status.runs_turns and not waiting["braked"]):
        return Progress.WAITING
    return _queued_outcome(
        waiting["conversation_id"], waiting["turn_id"], waiting["seq"], status, waiting["accepted_at"]
    )


def queued(submitted: Submitted) -> TurnOutcome | None:
    """The answer to an input that was queued; None where its turn is to be awaited."""
    if submitted.queued_seq is None:
        return None
    conversation = submitted.conversation
    return _queued_outcome(
        conversation.id,
        submitted.turn_id,
        submitted.queued_seq,
        conversation.status,
        conversation.updated_at,
    )


def _queued_outcome(conversation_id: str, turn_id: str, seq: int, status: Status, at: int) -> TurnOutcome:
    """Path `queued`: a person, a decision or a brake has the conversation, and a later turn will answer."""
    return TurnOutcome(
        turn_id=turn_id,
        conversation_id=conversation_id,
        state=TurnState.DONE,
        path=Path.QUEUED,
        decision_source="policy" if status in _BY_POLICY else "operator",
        text="",
        agent_id=None,
        message_seqs=(seq,),
        session_status=status,
        ttft_ms=None,
        started_at=at,
    )


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


async def listen_again(tx: Tx, message_id: str, reply_to: str | None, *, stream: bool) -> None:
    """The listener has a new reply queue, or another process took up the wait."""
    await tx.run("input_listener", message_id=message_id, reply_to=reply_to, stream=stream)


async def message_of_receipt(
    tx: Tx, organization_id: str, provider: str, provider_message_id: str
) -> tuple[str, str] | None:
    """(conversation, message) that a provider's message became."""
    row = await tx.one(
        "receipt_accepted",
        organization_id=organization_id,
        provider=provider,
        provider_message_id=provider_message_id,
    )
    if row is None or row["conversation_id"] is None:
        return None
    return row["conversation_id"], row["message_id"]
