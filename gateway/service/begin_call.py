"""A call begins by API: the wish is stored with its conversation, and whoever dials is rung."""

from dataclasses import dataclass

from gateway.domain.conversation import Conversation, Origin, Priority, SessionType, Status
from gateway.domain.errors import ErrorCode, GatewayError
from gateway.domain.identity import KIND_OF_CHANNEL, Address
from gateway.domain.message import Channel, JsonObject
from gateway.domain.ports.store import Tx
from gateway.domain.quiet import HELD_AT_MOST, quiet_until, zones_of
from gateway.service.accept import Route
from gateway.service.converse import NewConversation, conversation, insert
from gateway.service.identify import person_of, resolve
from gateway.service.postings import ring_call
from gateway.service.suppress import suppressed


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOutgoingCall:
    """A request for a call, its agent and our number already looked up. One of the first two is given."""

    end_user_id: str | None
    their_address: str | None
    """E.164."""
    our_address: str
    first_message: str | None
    metadata: JsonObject
    context_variables: JsonObject


async def begin_call(tx: Tx, new: NewOutgoingCall, route: Route) -> Conversation:
    """Store the wish to call somebody; while it is quiet where they are, it waits. Raises GatewayError."""
    record_id, theirs = await _callee(tx, route.organization_id, new)
    if await suppressed(tx, route.organization_id, Channel.VOICE, new.our_address, theirs):
        raise GatewayError(ErrorCode.SUPPRESSED, "this end user must not be called")
    begun = NewConversation(
        end_user_id=record_id,
        channel=Channel.VOICE,
        our_address=new.our_address,
        session_type=SessionType.LIVE,
        priority=Priority.NORMAL,
        origin=Origin.OUTBOUND,
        external_session_id=None,
        subject=None,
        metadata=new.metadata,
        context_variables=new.context_variables,
        status=Status.QUEUED,
    )
    made, _ = await insert(tx, begun, route, theirs)
    quiet = None if route.quiet is None else quiet_until(made.created_at, zones_of(theirs), route.quiet)
    due_at = made.created_at if quiet is None else quiet
    await tx.run(
        "outgoing_call_insert",
        conversation_id=made.id,
        organization_id=made.organization_id,
        due_at=due_at,
        expires_at=due_at + HELD_AT_MOST,
        first_message=new.first_message,
    )
    if quiet is None:
        await ring_call(tx, organization_id=made.organization_id, conversation_id=made.id, at=made.created_at)
        return made
    await tx.run("conversation_wait_until", id=made.id, until=quiet)
    held = await conversation(tx, made.organization_id, made.id)
    if held is None:
        raise AssertionError("the conversation was created in this unit")
    return held


async def _callee(tx: Tx, organization_id: str, new: NewOutgoingCall) -> tuple[str, str]:
    """(record, number) of whom to call. A conversation belongs to the record its number does."""
    kind = KIND_OF_CHANNEL[Channel.VOICE]
    if new.their_address is not None:
        found = await resolve(
            tx, organization_id, Address(kind, new.their_address), verified=False, source="api"
        )
        return found.record_id, new.their_address
    person = await person_of(tx, organization_id, new.end_user_id or "")
    if person is None or person.erased:
        raise GatewayError(ErrorCode.END_USER_NOT_FOUND, "there is no such end user; resolve one first")
    row = await tx.one(
        "contact_of_kind",
        organization_id=organization_id,
        ids=list(person.records),
        end_user_id=new.end_user_id,
        kind=kind.value,
        whatsapp=False,
    )
    if row is None or not row["value"].startswith("+"):
        raise GatewayError(ErrorCode.NO_ADDRESS, "this end user has no phone number; name one in `to`")
    return row["end_user_id"], row["value"]
