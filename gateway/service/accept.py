"""Accept an inbound message: one unit of work, after which the provider may be told 2xx.

It stores the de-duplication key, the end user, the conversation, the message with its `seq`,
the pending input and the outbox row that rings the turn workers (rule 1: accepted means durable).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.domain.clock import SECOND, rfc3339
from gateway.domain.consent import DEFAULT_CONSENT, ConsentRules, Evidence, keyword_of
from gateway.domain.conversation import SessionType, Status
from gateway.domain.envelope import Exchange, partition
from gateway.domain.identity import KIND_OF_CHANNEL, UNVERIFIED, Address, ContactKind
from gateway.domain.ids import new_id
from gateway.domain.message import (
    Accepted,
    Attachment,
    Author,
    Channel,
    InboundAttachment,
    InboundMessage,
    JsonObject,
    Message,
    Role,
)
from gateway.domain.pace import DEFAULT_PACE, Pace
from gateway.domain.ports.store import Row, Tx
from gateway.domain.quiet import QuietHours
from gateway.domain.turn import InputKind
from gateway.service.admit import ANSWERED, Admission, admit, count_answered
from gateway.service.attachments import attach
from gateway.service.call_events import apply_voice_event
from gateway.service.consent import Wish, follow_keyword
from gateway.service.dead import bury_unreadable
from gateway.service.forgotten import is_left_over, left_out
from gateway.service.identify import find_contact, new_contact
from gateway.service.join import NOWHERE, Place, find_place, join
from gateway.service.postings import envelope, post
from gateway.service.timeline import write_messages
from gateway.store.engine import at_once
from gateway.store.records import conversation_of

ATTACHMENTS_PATH = "/v1/attachments"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What configuration says about the address a message came to. Durations in microseconds."""

    organization_id: str
    agent_id: str
    revision_id: str
    idle_ttl: int | None
    retention: int | None
    partitions: int
    senders: tuple[str, ...] = ()
    """Our numbers that are one sender to the people they write to, the first before the others."""
    attachments_url: str = ATTACHMENTS_PATH
    """Where attachments are read, without a trailing slash."""
    pace: Pace = DEFAULT_PACE
    """How much of one sender is answered."""
    quiet: QuietHours | None = None
    """When nobody is written to unasked, by their own clock."""
    coalesce: int = 0
    """How long a turn waits for more input after its first."""
    consent: ConsentRules = DEFAULT_CONSENT
    """What is said to keywords of consent."""


@at_once
async def accept(tx: Tx, message: InboundMessage, route: Route) -> Accepted:
    """Store a message durably, once per provider message id.

    Of a text, what there is to see is looked at before anything is written: one statement can write it.
    """
    message_id, address = message.message_id or new_id(), _contact_address(message)
    if await is_left_over(tx, route.organization_id, message):
        return left_out(message_id)
    proven = message.sender_auth.proven
    sender = await find_contact(tx, route.organization_id, address, verified=proven)
    seen = None
    if sender is not None and message.channel is Channel.SMS:
        seen = await _look(tx, message, route, sender.record_id)
    receipt = {
        "organization_id": route.organization_id,
        "provider": message.provider,
        "provider_message_id": message.provider_message_id,
    }
    if await tx.expect("receipt_insert", **receipt, message_id=message_id) is None:
        return await _accepted_before(tx, receipt)
    if sender is None:
        sender = await new_contact(
            tx, route.organization_id, address, verified=proven, source=message.channel.value
        )
    if seen is None:
        plain = sender.created and message.channel is Channel.SMS and _is_plain(message)
        seen = (ANSWERED, NOWHERE) if plain else await _look(tx, message, route, sender.record_id)
    admission, place = seen
    answered = admission.unanswered is None
    conversation_id, row = await join(tx, message, route, sender.record_id, place, answered=answered)
    await _store(tx, message, route, message_id, conversation_id, row, admission)
    event = message.metadata.get("voice_event")
    if event is not None and message.role is Role.SYSTEM_EVENT:
        known = await conversation_row(tx, route.organization_id, conversation_id)
        await apply_voice_event(tx, message, known, event, route.partitions)
    if admission.keyword is not None:
        known = await conversation_row(tx, route.organization_id, conversation_id)
        evidence = Evidence(source=admission.source, conversation_id=conversation_id, message_id=message_id)
        wish = Wish(admission.keyword, evidence, told=admission.told)
        await follow_keyword(tx, conversation_of(known), wish, route.consent)
    if message.channel is Channel.EMAIL and answered and message.role is Role.USER and proven:
        await count_answered(tx, message, route.organization_id)
    row = await tx.known(row)
    status = Status(row["status"])
    return Accepted(
        conversation_id=conversation_id,
        message_id=message_id,
        end_user_id=row["end_user_id"],
        duplicate=False,
        turn_expected=message.role is Role.USER and answered and status.runs_turns,
        unanswered=None if admission.unanswered is None else admission.unanswered.value,
        goes_on=place.takes_over,
    )


async def _look(tx: Tx, message: InboundMessage, route: Route, end_user_id: str) -> tuple[Admission, Place]:
    """Whether the agent answers, and where the message belongs; reads only."""
    admission = await admit(tx, message, route, end_user_id)
    return admission, admission.place or await find_place(tx, message, route, end_user_id)


def _is_plain(message: InboundMessage) -> bool:
    """Whether the agent answers a first text whatever else there is to see."""
    return (
        message.role is Role.USER
        and message.answerable
        and message.keyword is None
        and keyword_of(message.text) is None
    )


async def conversation_row(tx: Tx, organization_id: str, conversation_id: str) -> Row:
    """The conversation, held until the unit ends."""
    row = await tx.one("conversation_lock", organization_id=organization_id, id=conversation_id)
    if row is None:
        raise AssertionError("the conversation was joined in this unit")
    return row


async def _accepted_before(tx: Tx, receipt: dict[str, str]) -> Accepted:
    row = await tx.one("receipt_accepted", **receipt)
    if row is None:
        raise AssertionError("a receipt that conflicts exists")
    return Accepted(
        conversation_id=row["conversation_id"] or "",
        message_id=row["message_id"],
        end_user_id=row["end_user_id"] or "",
        duplicate=True,
        turn_expected=row["status"] == Status.ACTIVE,
    )


def _contact_address(message: InboundMessage) -> Address:
    """Unproven mail belongs to a person of its own: never to the one whose address it claims."""
    kind = KIND_OF_CHANNEL[message.channel]
    if kind is ContactKind.EMAIL and not message.sender_auth.proven:
        return Address(kind, f"{UNVERIFIED}{message.sender}")
    return Address(kind, message.sender)


async def _store(  # noqa: PLR0913 - what accept has found
    tx: Tx,
    message: InboundMessage,
    route: Route,
    message_id: str,
    conversation_id: str,
    row: Row,
    admission: Admission,
) -> None:
    seq = row["message_count"] - 1
    attachments = _shown(message.attachments, route.attachments_url)
    await attach(tx, message, route.organization_id, (conversation_id, message_id))
    await write_messages(
        tx,
        [
            Message(
                id=message_id,
                conversation_id=conversation_id,
                seq=seq,
                turn_id=row["next_turn_id"],
                role=message.role,
                content=message.text,
                author=Author.END_USER if message.role is Role.USER else Author.SYSTEM,
                created_at=message.received_at,
                metadata=_noted(message.metadata, admission) | _original(message, route.attachments_url),
                attachments=attachments,
            )
        ],
        row["event_count"] - 1,
    )
    if message.unreadable:
        await bury_unreadable(tx, message, route.organization_id, (conversation_id, message_id))
    if message.channel is Channel.EMAIL:
        await _remember_thread(tx, message, route.organization_id, conversation_id)
    if message.role is not Role.USER or admission.unanswered is not None:
        return
    await tx.later(
        "input_insert",
        message_id=message_id,
        conversation_id=conversation_id,
        number=row["last_input"],
        kind=InputKind.CHANNEL.value,
        seq=seq,
        text=None,
        reply_to=message.reply_to,
        stream=message.stream,
        turn_id=row["next_turn_id"],
    )
    arrived = envelope(
        "message.inbound",
        _inbound(message, attachments, message_id, row["end_user_id"], seq),
        at=message.received_at,
        organization_id=route.organization_id,
        conversation_id=conversation_id,
    )
    bell = str(partition(conversation_id, route.partitions))
    await post(tx, Exchange.INBOUND, bell, arrived, delay_seconds=row["wait"] / SECOND)


async def _remember_thread(
    tx: Tx, message: InboundMessage, organization_id: str, conversation_id: str
) -> None:
    own = message.metadata.get("message_id")
    names = (*((own,) if isinstance(own, str) and own else ()), *message.thread_names)
    for name in dict.fromkeys(names):
        await tx.later(
            "thread_id_insert",
            organization_id=organization_id,
            our_address=message.recipient,
            thread_id=name,
            conversation_id=conversation_id,
        )


def _noted(metadata: JsonObject, admission: Admission) -> JsonObject:
    """A message that nobody answers says why."""
    if admission.unanswered is None:
        return metadata
    keyword = {} if admission.keyword is None else {"keyword": admission.keyword.value}
    return {**metadata, "unanswered": admission.unanswered.value, **keyword}


def _shown(attachments: Sequence[InboundAttachment], url: str) -> tuple[Attachment, ...]:
    """Attachments as the agent and everybody else knows them: where their bytes are read from us."""
    return tuple(
        Attachment(id=a.id, media_type=a.media_type, size=a.size, name=a.name, url=f"{url}/{a.id}")
        for a in attachments
    )


def _original(message: InboundMessage, url: str) -> JsonObject:
    """Where the message as it came is read."""
    return {} if message.original is None else {"original_url": f"{url}/{message.original.id}"}


def _inbound(
    message: InboundMessage,
    attachments: tuple[Attachment, ...],
    message_id: str,
    end_user_id: str,
    seq: int,
) -> JsonObject:
    """The `message.inbound` body (contract/queues.md)."""
    return {
        "message_id": message_id,
        "seq": seq,
        "channel": message.channel.value,
        "provider": message.provider,
        "provider_message_id": message.provider_message_id,
        "end_user_id": end_user_id,
        "from": message.sender,
        "to": message.recipient,
        "text": message.text,
        "attachments": attachments,
        "subject": message.subject,
        "sender_auth": message.sender_auth.value,
        "received_at": rfc3339(message.received_at),
        "session_type": SessionType.LIVE.value,
        "reply_to": message.reply_to,
    }
