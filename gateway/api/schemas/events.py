"""Events of a conversation as clients read them: each names what it is about in the shape its route has."""

from typing import Any

from pydantic import Field

from gateway.api.schemas.common import Shape, Time, Uuid
from gateway.api.schemas.hitl import approval_shape, handoff_shape
from gateway.api.schemas.messages import poll_row
from gateway.domain.clock import rfc3339
from gateway.domain.conversation import Status
from gateway.domain.handoff import Handoff
from gateway.domain.intent import IntentKind
from gateway.domain.message import Message
from gateway.service.follow import Approval, Intent, StatusChange, Subject


class StatusEvent(Shape):
    """The conversation's status has changed."""

    session_status: Status
    previous: Status
    at: Time


class IntentEvent(Shape):
    """What a voice host has to do."""

    intent_id: Uuid
    kind: IntentKind
    payload: dict[str, Any]
    state: str = Field(description="issued, then what its host reports: how far it is, and how it ended.")


def event_body(subject: Subject) -> Shape:
    """The `data` of an event."""
    match subject:
        case Message():
            return poll_row(subject)
        case StatusChange():
            return StatusEvent.model_construct(
                session_status=Status(subject.status),
                previous=Status(subject.previous),
                at=rfc3339(subject.at),
            )
        case Handoff():
            return handoff_shape(subject)
        case Approval():
            return approval_shape(subject.row)
        case Intent():
            return IntentEvent.model_construct(**subject.body)
