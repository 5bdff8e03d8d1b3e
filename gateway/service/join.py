"""Which conversation an inbound message belongs to: an open one to join, or one that it begins."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.domain.clock import SECOND
from gateway.domain.conversation import Origin, Priority, SessionType, Status
from gateway.domain.errors import ErrorCode, GatewayError, Unavailable
from gateway.domain.host_line import HostLine
from gateway.domain.ids import new_id
from gateway.domain.message import Channel, InboundMessage, JsonObject, Role
from gateway.domain.ports.store import Row, Tx
from gateway.domain.subject import base_subject
from gateway.store.records import pack

if TYPE_CHECKING:
    from gateway.service.accept import Route

SUBJECT_COUNTS = 7 * 86_400 * SECOND
"""µs since the last word in a thread for which a subject alone still means it."""
FILES_WAIT = 20 * SECOND
"""How long a turn waits for files that are fetched; after that the agent is asked without them. µs."""
_TRIES = 3
"""How often a conversation is looked for that others begin and end at the same moment."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message belongs as far as could be seen: in an open conversation, or in a new one."""

    conversation_id: str | None
    metadata: JsonObject
    """What is noted in a new one."""
    messages: int | None = None
    """How many it has, where that was seen."""
    takes_over: bool = False
    """Whether it is of a call that is over, and goes on with this one."""


NOWHERE = Place(None, {}, 0)
"""The place of somebody who has never written."""


def standing(open_id: str | None, messages: int | None, ended_id: str | None) -> Place:
    """The place in a thread: its open conversation, or the one that follows the last."""
    if open_id is not None:
        return Place(open_id, {}, messages)
    return Place(None, {"previous_conversation_id": ended_id} if ended_id is not None else {}, 0)


async def join(
    tx: Tx, message: InboundMessage, route: "Route", end_user_id: str, place: Place, *, answered: bool
) -> tuple[str, Row]:
    """The conversation the message belongs to, with the message counted in: `answered`, as a turn's input.

    The row is that of a unit's `expect`: it has the message count and the end user, and the rest to pass on.
    """
    for _ in range(_TRIES):
        if place.conversation_id is None:
            conversation_id, row = await _begin(tx, message, route, end_user_id, place, answered=answered)
        else:
            conversation_id = place.conversation_id
            row = await _count(tx, message, route, end_user_id, place, answered=answered)
        if row is not None:
            if place.takes_over:
                await _take_over(tx, message, route, end_user_id, conversation_id)
            if len(route.senders) > 1 and row["our_address"] != message.recipient:
                # the number that people write to is the one that answers
                await tx.run("conversation_moved", id=conversation_id, our_address=message.recipient)
            return conversation_id, row
        place = await find_place(tx, message, route, end_user_id)
    raise Unavailable("the conversation was begun and ended again and again; try later")


def sms_thread_key(route: "Route", ours: str, end_user_id: str) -> str:
    """What makes texts one conversation: our number and the end user, whichever of our numbers took over."""
    return f"sms|{route.senders[0] if route.senders else ours}|{end_user_id}"


def _thread_key(message: InboundMessage, route: "Route", end_user_id: str) -> str | None:
    """What is unique among open conversations: per number pair on SMS, per call on voice."""
    if message.channel is Channel.SMS:
        return sms_thread_key(route, message.recipient, end_user_id)
    if message.thread_key is not None:
        return f"{message.channel}|{message.thread_key}"
    return None


async def find_place(tx: Tx, message: InboundMessage, route: "Route", end_user_id: str) -> Place:
    """An open conversation to join, or what to note about the one that went before.

    What is no message (the call ended) is noted where it belongs, even after the end; it begins nothing anew.
    """
    organization_id = route.organization_id
    key = _thread_key(message, route, end_user_id)
    if key is not None:
        row = await tx.one("conversation_of_thread", organization_id=organization_id, thread_key=key)
        if row is not None:
            return Place(row["id"], {})
        row = await tx.one("conversation_ended_before", organization_id=organization_id, thread_key=key)
        if row is not None and message.role is not Role.USER:
            return Place(row["id"], {})
        if row is not None:
            await _refuse_late(tx, message)
        if row is None and message.channel is Channel.VOICE:
            return await _place_of_call(tx, message, route, end_user_id)
        return standing(None, None, None if row is None else row["id"])
    found, metadata = await find_mail_thread(tx, message, route)
    if found is None and not metadata and message.answers_subject is not None:
        found, metadata = await _find_by_subject(tx, message, route, end_user_id)
    return Place(found, metadata)


async def _refuse_late(tx: Tx, message: InboundMessage) -> None:
    """What a caller at a voice host said as the call ended begins nothing: nobody would hear an answer."""
    if message.reply_to is None or HostLine.read(message.reply_to) is None:
        return
    call = await tx.one("call_by_id", provider=message.provider, call_id=message.thread_key)
    if call is not None and call["ended_at"] is not None:
        raise GatewayError(ErrorCode.CONVERSATION_CLOSED, "the call is over")


async def _place_of_call(tx: Tx, message: InboundMessage, route: "Route", end_user_id: str) -> Place:
    """Of a call whose name no conversation has: where it was before, or what its caller goes on with."""
    call = await tx.one("call_by_id", provider=message.provider, call_id=message.thread_key)
    if call is not None:
        known = await tx.one(
            "conversation_by_id", organization_id=route.organization_id, id=call["conversation_id"]
        )
        if known is not None and (known["ended_at"] is None or message.role is not Role.USER):
            return Place(known["id"], {})
        return standing(None, None, call["conversation_id"])
    if not _rings_back(message):
        return NOWHERE
    row = await tx.one(
        "call_to_go_on_with",
        organization_id=route.organization_id,
        end_user_id=end_user_id,
        our_address=message.recipient,
    )
    return NOWHERE if row is None else Place(row["id"], {}, takes_over=True)


def _rings_back(message: InboundMessage) -> bool:
    """Whether this is the beginning of a call by somebody whom we know by their number."""
    event = message.metadata.get("voice_event") or {}
    begins = event.get("kind") == "call.started" and event.get("direction", "inbound") == "inbound"
    return begins and message.sender_auth.proven and message.sender.startswith("+")


async def _take_over(
    tx: Tx, message: InboundMessage, route: "Route", end_user_id: str, conversation_id: str
) -> None:
    """What comes of the new call finds the conversation by it, and that does not close."""
    key = _thread_key(message, route, end_user_id)
    await tx.run("conversation_bind_call", id=conversation_id, thread_key=key)
    await tx.run("calls_keep", conversation_id=conversation_id)


async def _find_by_subject(
    tx: Tx, message: InboundMessage, route: "Route", end_user_id: str
) -> tuple[str | None, JsonObject]:
    """A reply that names no mail: the newest thread of this very person, lately, about the same."""
    rows = await tx.all(
        "mail_conversations_lately",
        organization_id=route.organization_id,
        end_user_id=end_user_id,
        our_address=message.recipient,
        their_address=message.sender,
        within=SUBJECT_COUNTS,
    )
    for row in rows:
        if base_subject(row["subject"] or "") == message.answers_subject:
            ended = row["ended_at"] is not None
            return (None, {"previous_conversation_id": row["id"]}) if ended else (row["id"], {})
    return None, {}


async def find_mail_thread(tx: Tx, message: InboundMessage, route: "Route") -> tuple[str | None, JsonObject]:
    """By signed reply address first, then by Message-IDs; each only if the sender belongs to it."""
    found: Row | None = None
    if message.conversation_id is not None:
        found = await tx.one(
            "conversation_by_id", organization_id=route.organization_id, id=message.conversation_id
        )
    for thread_id in message.thread_ids:
        if found is not None:
            break
        found = await tx.one(
            "conversation_of_thread_id",
            organization_id=route.organization_id,
            our_address=message.recipient,
            thread_id=thread_id,
        )
    if found is None or found["their_address"] != message.sender:
        return None, {}
    if not message.sender_auth.proven and not found["unverified"]:
        return None, {}
    if found["ended_at"] is not None:
        return None, {"previous_conversation_id": found["id"]}
    return found["id"], {}


async def _begin(
    tx: Tx, message: InboundMessage, route: "Route", end_user_id: str, place: Place, *, answered: bool
) -> tuple[str, Row | None]:
    """A new conversation with its first message; None where another unit began it first."""
    conversation_id = new_id()
    new = {
        "id": conversation_id,
        "organization_id": route.organization_id,
        "end_user_id": end_user_id,
        "channel": message.channel.value,
        "status": (Status.QUEUED if _is_new_call(message) else Status.ACTIVE).value,
        "session_type": SessionType.LIVE.value,
        "priority": Priority.NORMAL.value,
        "origin": Origin.INBOUND.value,
        "agent_id": route.agent_id,
        "revision_id": route.revision_id,
        "our_address": message.recipient,
        "their_address": message.sender,
        "unverified": not message.sender_auth.proven,
        "thread_key": _thread_key(message, route, end_user_id),
        "external_session_id": None,
        "subject": message.subject,
        "metadata": pack(place.metadata),
        "context_variables": "{}",
        "idle_ttl": route.idle_ttl,
        "retention": route.retention,
    }
    if message.role is Role.USER and answered and _at_once(message, route):
        seen = _seen(message, end_user_id, 1)
        row = await tx.expect("conversation_begin", seen, **new, next_turn_id=new_id())
        return conversation_id, row
    if await tx.one("conversation_insert", **new) is None:
        return conversation_id, None
    begun = Place(conversation_id, {})
    return conversation_id, await _count(tx, message, route, end_user_id, begun, answered=answered)


def _is_new_call(message: InboundMessage) -> bool:
    """Whether a call begins with this: it climbs from there (`service.calls`)."""
    event = message.metadata.get("voice_event") or {}
    return message.role is Role.SYSTEM_EVENT and event.get("kind") == "call.started"


async def _count(
    tx: Tx, message: InboundMessage, route: "Route", end_user_id: str, place: Place, *, answered: bool
) -> Row | None:
    """Take the next `seq`; None when the conversation has ended meanwhile."""
    if message.role is not Role.USER:
        return await tx.one("conversation_add_note", id=place.conversation_id)
    if not answered:
        return await tx.one("conversation_add_unanswered", id=place.conversation_id)
    counted = {
        "id": place.conversation_id,
        "next_turn_id": new_id(),
        "window": route.coalesce,
        "files": FILES_WAIT if _fetches(message) else 0,
    }
    if place.messages is None or not _at_once(message, route):
        return await tx.one("conversation_add_input", **counted)
    seen = _seen(message, end_user_id, place.messages + 1)
    return await tx.expect("conversation_add_input", seen, **counted)


def _fetches(message: InboundMessage) -> bool:
    return any(attachment.sha256 is None for attachment in message.attachments)


def _at_once(message: InboundMessage, route: "Route") -> bool:
    """Whether a turn need not wait for more."""
    return not route.coalesce and not _fetches(message)


def _seen(message: InboundMessage, end_user_id: str, messages: int) -> Row:
    """What the conversation's row will say, unless somebody else writes in it at this moment."""
    return {
        "end_user_id": end_user_id,
        "our_address": message.recipient,
        "message_count": messages,
        "wait": 0,
    }
