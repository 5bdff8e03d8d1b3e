"""Conversations by API: create and read them."""

from dataclasses import dataclass, replace

from gateway.domain.conversation import Conversation, Origin, Priority, SessionType, Status
from gateway.domain.errors import ErrorCode, GatewayError
from gateway.domain.identity import KIND_OF_CHANNEL, WHATSAPP
from gateway.domain.ids import new_id
from gateway.domain.message import Channel, JsonObject, Message
from gateway.domain.ports.store import Row, Tx
from gateway.service.accept import Route
from gateway.service.identify import Person, person_of
from gateway.service.join import sms_thread_key
from gateway.service.suppress import suppressed
from gateway.store.records import conversation_of, message_of, pack


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
    status: Status = Status.ACTIVE
    """How it begins."""


def of_nobody(
    session_type: SessionType,
    *,
    context_variables: JsonObject,
    origin: Origin | None = None,
    metadata: JsonObject | None = None,
) -> NewConversation:
    """One by API with an end user of its own, of whom nothing is known but this id."""
    return NewConversation(
        end_user_id=new_id(),
        channel=Channel.API,
        our_address=None,
        session_type=session_type,
        priority=Priority.NORMAL,
        origin=origin,
        external_session_id=None,
        subject=None,
        metadata=metadata or {},
        context_variables=context_variables,
    )


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
        status=new.status.value,
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
        whatsapp=(new.our_address or "").startswith(WHATSAPP),
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
