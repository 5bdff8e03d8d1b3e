"""What the end user's browser is shown of a conversation: what was said, not how it came about."""

from typing import Any, TypeVar

from gateway.api.auth import Principal
from gateway.api.schemas.common import Shape
from gateway.api.schemas.conversations import ConversationDetail
from gateway.api.schemas.events import StatusEvent
from gateway.api.schemas.messages import Poll, PollRow, TranscriptRow
from gateway.api.schemas.turns import EvidenceView, TurnBody
from gateway.domain.message import Role

_SPOKEN = frozenset({Role.USER, Role.ASSISTANT, Role.SYSTEM})
_RowT = TypeVar("_RowT", PollRow, TranscriptRow)


def asked(body: TurnBody, principal: Principal) -> TurnBody:
    """The request, without the view of evidence that is for an audit."""
    if principal.conversation_id is None:
        return body
    return body.model_copy(update={"evidence_view": EvidenceView.DISPLAY})


def shown_poll(poll: Poll, principal: Principal) -> Poll:
    """A poll's answer; every seq stays, so that a reader's count does."""
    if principal.conversation_id is None:
        return poll
    return poll.model_copy(update={"messages": [shown_row(row) for row in poll.messages]})


def shown_row(row: PollRow) -> PollRow:
    """A message without tools, evidence, costs and metadata."""
    hidden: dict[str, Any] = {
        "tool_calls": [],
        "tool_results": [],
        "metadata": {},
        "model_used": None,
        "token_count": None,
    }
    return _said(row.model_copy(update=hidden))


def shown_event(body: Shape, principal: Principal) -> Shape | None:
    """The data of an event; None where it is not for a browser: handoffs, approvals and intents."""
    if principal.conversation_id is None or isinstance(body, StatusEvent):
        return body
    return shown_row(body) if isinstance(body, PollRow) else None


def shown_detail(detail: ConversationDetail, principal: Principal) -> ConversationDetail:
    """A conversation without what the business knows about it."""
    if principal.conversation_id is None:
        return detail
    hidden: dict[str, Any] = {
        "context_variables": {},
        "metadata": {},
        "external_session_id": None,
        "summary": None,
        "summary_preview": None,
        "recording_url": None,
        "recent_turns": [
            _said(TranscriptRow.model_construct(**{n: getattr(row, n) for n in TranscriptRow.model_fields}))
            for row in detail.recent_turns
        ],
    }
    return detail.model_copy(update=hidden)


def _said(row: _RowT) -> _RowT:
    content = row.content if row.role in _SPOKEN else ""
    return row.model_copy(update={"evidence": [], "content": content})
