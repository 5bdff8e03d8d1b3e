"""Suppressions and the ledger of consent, as operators see them."""

from pydantic import ConfigDict, Field

from gateway.api.cursors import page_fields
from gateway.api.schemas import examples
from gateway.api.schemas.common import Cursor, HasMore, Request, Shape, Time, Uuid, example
from gateway.domain.clock import rfc3339
from gateway.domain.consent import ConsentSource, ConsentState
from gateway.domain.message import Channel
from gateway.service.browse import Page
from gateway.service.consent import Consent
from gateway.service.suppress import Suppression

_SUPPRESSION: examples.Example = {
    "id": "018f7ea6-8293-7495-a6b7-c2d3e4f50718",
    "channel": "sms",
    "our_address": "+15550100",
    "their_address": "+14155550123",
    "reason": "keyword",
    "lifted_by_start": True,
    "derived": False,
    "created_at": "2024-05-14T12:05:00.000000Z",
}
_CONSENT: examples.Example = {
    "id": "018f7ea6-8293-7495-a6b7-c2d3e4f50719",
    "channel": "sms",
    "our_address": "+15550100",
    "their_address": "+14155550123",
    "state": "opted_out",
    "source": "keyword",
    "detail": "STOP",
    "actor": None,
    "conversation_id": "018f7e9c-5a3b-7c1d-9e2f-4a5b6c7d8e9f",
    "message_id": "018f7e9c-7c5d-7e3f-9041-6c7d8e9fa0b1",
    "created_at": "2024-05-14T12:05:00.000000Z",
}
_ADDRESS = "A number in E.164, or a mailbox; its channel says which."


class SuppressBody(Request):
    """An address that is not to be written to."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"channel": "sms", "their_address": "+14155550123", "reason": "by phone"}
        }
    )

    channel: Channel = Field(description="`sms`, `email` or `voice`.")
    their_address: str = Field(description=_ADDRESS, max_length=255)
    our_address: str | None = Field(
        default=None, description="Only this one of ours may not write; null: none may.", max_length=255
    )
    reason: str | None = Field(default=None, max_length=500, description="For the ledger.")


class SuppressionShape(Shape):
    """Somebody who is not written to."""

    model_config = example(_SUPPRESSION)

    id: Uuid
    channel: Channel
    our_address: str | None = Field(description="null: none of our addresses may write to them.")
    their_address: str
    reason: str = Field(
        description="Who said so: keyword, provider, carrier (the provider refused to send), agent, operator."
    )
    lifted_by_start: bool = Field(description="Whether a START from them lifts it.")
    derived: bool = Field(
        description="It holds because it holds for another address of the same person, and goes with that."
    )
    created_at: Time


class SuppressionList(Shape):
    """What is in force, newest first."""

    model_config = example(examples.page(_SUPPRESSION))

    items: list[SuppressionShape]
    has_more: HasMore
    next_cursor: Cursor


class ConsentShape(Shape):
    """What somebody said about being written to, and what shows it."""

    id: Uuid
    channel: Channel
    our_address: str | None
    their_address: str
    state: ConsentState
    source: ConsentSource
    detail: str | None = Field(description="The provider's code, or an operator's reason.")
    actor: str | None = Field(description="The operator's key, by name.")
    conversation_id: Uuid | None
    message_id: Uuid | None = Field(description="The message it was read in.")
    created_at: Time


class ConsentList(Shape):
    """The ledger, newest first."""

    model_config = example(examples.page(_CONSENT))

    items: list[ConsentShape]
    has_more: HasMore
    next_cursor: Cursor


def suppression_shape(found: Suppression) -> SuppressionShape:
    """One suppression."""
    return SuppressionShape.model_construct(
        id=found.id,
        channel=found.channel,
        our_address=found.our_address or None,
        their_address=found.their_address,
        reason=found.reason,
        lifted_by_start=not found.firm,
        derived=found.derived,
        created_at=rfc3339(found.created_at),
    )


def suppression_list(page: Page[Suppression]) -> SuppressionList:
    """A page of them."""
    return SuppressionList.model_construct(**page_fields(page, suppression_shape))


def consent_list(page: Page[Consent]) -> ConsentList:
    """A page of the ledger."""
    return ConsentList.model_construct(**page_fields(page, _consent))


def _consent(entry: Consent) -> ConsentShape:
    return ConsentShape.model_construct(
        id=entry.id,
        channel=entry.channel,
        our_address=entry.our_address or None,
        their_address=entry.their_address,
        state=entry.state,
        source=entry.evidence.source,
        detail=entry.evidence.detail,
        actor=entry.evidence.actor,
        conversation_id=entry.evidence.conversation_id,
        message_id=entry.evidence.message_id,
        created_at=rfc3339(entry.created_at),
    )
