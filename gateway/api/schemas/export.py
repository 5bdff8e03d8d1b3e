"""Everything about a person as one document, for whoever has a right to it."""

from typing import Any, Literal

from pydantic import Field

from gateway.api.schemas import export_examples
from gateway.api.schemas.common import Shape, Time, Uuid, example, time_of
from gateway.api.schemas.conversations import ConversationShape, conversation_fields
from gateway.api.schemas.hitl import ApprovalShape, HandoffShape
from gateway.api.schemas.identity import EndUserShape
from gateway.api.schemas.memories import MemoryShape
from gateway.api.schemas.messages import PollRow, poll_row
from gateway.domain.clock import rfc3339
from gateway.domain.consent import ConsentSource, ConsentState
from gateway.domain.conversation import Conversation
from gateway.domain.delivery import DeliveryState, PartState
from gateway.domain.message import Channel
from gateway.domain.outgoing_call import AnsweredBy, CallState
from gateway.domain.ports.store import Row
from gateway.service.consent import Consent
from gateway.service.export import ExportedBeside, ExportedDelivery, ExportedMessage
from gateway.service.suppress import Suppression


class ExportedSuppression(Shape):
    """An address that is not written to."""

    channel: Channel
    our_address: str = Field(description="Which of ours does not; empty: none does.")
    their_address: str
    reason: str
    derived: bool = Field(description="It was asked for from another address of the person.")
    created_at: Time


class ExportedConsent(Shape):
    """A wish to be written to, or not, as it was understood."""

    channel: Channel
    our_address: str
    their_address: str
    state: ConsentState
    source: ConsentSource
    detail: str | None
    actor: str | None
    conversation_id: Uuid | None
    message_id: Uuid | None
    created_at: Time


class ExportedPart(Shape):
    """One sending of a delivery: a text message, or a whole mail."""

    number: int
    segments: int
    state: PartState
    provider: str | None
    provider_message_id: str | None
    error_code: str | None
    updated_at: Time


class ExportedDeliveryShape(Shape):
    """How a message was brought to the person."""

    id: Uuid
    channel: Channel
    sender: str
    recipient: str
    state: DeliveryState
    error_code: str | None
    created_at: Time
    settled_at: Time | None
    parts: list[ExportedPart]


class ExportedAttachment(Shape):
    """A file that came with a message; its bytes are behind `url`."""

    id: Uuid
    media_type: str
    size: int | None = Field(description="Bytes.")
    name: str | None
    url: str


class ExportedMessageShape(PollRow):
    """A message, the files that came with it, and what became of it."""

    model_config = example(export_examples.EXPORTED_MESSAGE)

    attachments: list[ExportedAttachment]
    deliveries: list[ExportedDeliveryShape]


class ExportedCall(Shape):
    """A call, as its host knows it."""

    provider: str
    call_id: str
    transport: str | None
    started_at: Time
    ended_at: Time | None


class ExportedOutgoingCall(Shape):
    """A call that we made, or were to make."""

    state: CallState
    attempt: int = Field(description="How often it was dialled.")
    first_message: str | None = Field(
        description="What it was to begin with; a message of its own where somebody has answered."
    )
    answered_by: AnsweredBy | None
    answered_at: Time | None
    created_at: Time


class ConversationHead(ConversationShape):
    """A conversation, and where it took place."""

    our_address: str | None
    their_address: str | None
    recording_url: str | None
    digest: str | None = Field(description="What its agent is told instead of its first messages.")
    facts: list[str] = Field(description="What its agent was told to remember.")
    outgoing_call: ExportedOutgoingCall | None = Field(description="Where we began it by calling.")
    calls: list[ExportedCall]


class ExportedConversation(ConversationHead):
    """A conversation with all that was said in it."""

    model_config = example(export_examples.EXPORTED_CONVERSATION)

    messages: list[ExportedMessageShape] = Field(description="In the order of `seq`.")
    handoffs: list[HandoffShape]
    approvals: list[ApprovalShape]


class PersonHead(Shape):
    """Who a person is, and whether they are written to."""

    version: Literal[1]
    exported_at: Time
    end_user: EndUserShape = Field(description="With the addresses of all records.")
    merged: list[EndUserShape] = Field(description="The records that are merged into it, each with its own.")
    suppressions: list[ExportedSuppression]


class PersonExport(PersonHead):
    """Everything that is kept of a person, over all merged records."""

    model_config = example(export_examples.EXPORT)

    consents: list[ExportedConsent]
    memories: list[MemoryShape]
    conversations: list[ExportedConversation] = Field(description="Newest first.")
    complete: Literal[True] = Field(description="The last member: without it the document was cut off.")


def exported_suppression(suppression: Suppression) -> ExportedSuppression:
    """A suppression."""
    return ExportedSuppression.model_construct(
        channel=suppression.channel,
        our_address=suppression.our_address,
        their_address=suppression.their_address,
        reason=suppression.reason,
        derived=suppression.derived,
        created_at=rfc3339(suppression.created_at),
    )


def exported_consent(consent: Consent) -> ExportedConsent:
    """An entry of the ledger."""
    return ExportedConsent.model_construct(
        channel=consent.channel,
        our_address=consent.our_address,
        their_address=consent.their_address,
        state=consent.state,
        source=consent.evidence.source,
        detail=consent.evidence.detail,
        actor=consent.evidence.actor,
        conversation_id=consent.evidence.conversation_id,
        message_id=consent.evidence.message_id,
        created_at=rfc3339(consent.created_at),
    )


def exported_message(exported: ExportedMessage) -> ExportedMessageShape:
    """A message with what belongs to it."""
    row = poll_row(exported.message)
    return ExportedMessageShape.model_construct(
        **{name: getattr(row, name) for name in PollRow.model_fields},
        attachments=[
            ExportedAttachment.model_construct(
                id=a.id, media_type=a.media_type, size=a.size, name=a.name, url=a.url
            )
            for a in exported.message.attachments
        ],
        deliveries=[_delivery(delivery) for delivery in exported.deliveries],
    )


def exported_conversation(conversation: Conversation, beside: ExportedBeside) -> ConversationHead:
    """A conversation; what was said in it follows."""
    return ConversationHead.model_construct(
        **conversation_fields(conversation),
        our_address=conversation.our_address,
        their_address=conversation.their_address,
        recording_url=conversation.recording_url,
        digest=beside.digest,
        facts=list(beside.facts),
        outgoing_call=None if beside.outgoing_call is None else _outgoing_call(beside.outgoing_call),
        calls=[ExportedCall.model_construct(**_read(row, ExportedCall)) for row in beside.calls],
    )


def _outgoing_call(row: Row) -> ExportedOutgoingCall:
    who = row["answered_by"]
    made = {"state": CallState(row["state"]), "answered_by": None if who is None else AnsweredBy(who)}
    return ExportedOutgoingCall.model_construct(**_read(row, ExportedOutgoingCall, **made))


def _delivery(delivery: ExportedDelivery) -> ExportedDeliveryShape:
    made = {
        "channel": Channel(delivery.row["channel"]),
        "state": DeliveryState(delivery.row["state"]),
        "parts": [_part(part) for part in delivery.parts],
    }
    return ExportedDeliveryShape.model_construct(**_read(delivery.row, ExportedDeliveryShape, **made))


def _part(row: Row) -> ExportedPart:
    return ExportedPart.model_construct(**_read(row, ExportedPart, state=PartState(row["state"])))


def _read(row: Row, shape: type[Shape], **made: Any) -> dict[str, Any]:
    """A row's columns under the shape's names, times as clients see them."""
    values = {name: row[name] for name in shape.model_fields if name not in made}
    return {name: time_of(value) if name.endswith("_at") else value for name, value in values.items()} | made
