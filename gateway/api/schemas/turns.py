"""A turn as clients ask for it and read its answer, with the evidence behind it."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Literal

from pydantic import ConfigDict, Field, StrictBool

from gateway.api.schemas import examples
from gateway.api.schemas.common import Request, Shape, Time, Uuid, example
from gateway.domain.clock import rfc3339
from gateway.domain.conversation import Status
from gateway.domain.ids import named_id
from gateway.domain.message import JsonObject
from gateway.domain.ports.store import Row
from gateway.domain.turn import TurnOutcome


class EvidenceView(StrEnum):
    """How much evidence is shown."""

    DISPLAY = "display"
    """Source cards for an end user."""
    FULL = "full"
    """With chunks and scores, for an audit."""


class TurnBody(Request):
    """One turn of a conversation."""

    model_config = ConfigDict(json_schema_extra={"example": {"user_message": "Where is order #12345?"}})

    user_message: str = Field(min_length=1, max_length=100_000)
    for_update: StrictBool = Field(
        default=False, description="Refuse (409 turn_in_progress) instead of waiting when a turn runs."
    )
    include_evidence: StrictBool = False
    evidence_view: EvidenceView = EvidenceView.DISPLAY


class SectionShape(Shape):
    """Where in a document a source stands."""

    path_titles: list[str]
    path_numbers: list[str]
    display_label: str | None
    confidence: str


class SourceCard(Shape):
    """A source as an end user sees it."""

    model_config = example(examples.SOURCE)

    citation_marker: str | None = Field(examples=["[1]"])
    label: str | None
    short_label: str | None
    document_title: str | None
    version_number: int | None
    section: SectionShape
    deep_link: str | None


class FullSource(SourceCard):
    """A source with the chunk it came from."""

    model_config = example({**examples.SOURCE, **examples.CHUNK})

    chunk_id: str
    kb_id: str
    score: float
    text: str


class _Package(Shape):
    package_id: Uuid
    conversation_id: Uuid
    turn_id: Uuid
    created_at: Time
    schema_version: Literal[1] = 1
    message_id: Uuid | None


class EvidencePackageDisplay(_Package):
    """What a reply was based on, for end users."""

    model_config = example(examples.EVIDENCE)

    items: list[SourceCard]
    view: Literal["display"]


class EvidencePackageFull(_Package):
    """What a reply was based on, for an audit."""

    model_config = example(examples.FULL_EVIDENCE)

    items: list[FullSource]
    view: Literal["full"]
    organization_id: Uuid
    agent_id: Uuid | None
    status_reason: str | None


Package = EvidencePackageFull | EvidencePackageDisplay


class TurnAnswer(Shape):
    """The outcome of one turn."""

    model_config = example(examples.TURN)

    turn_id: Uuid
    conversation_id: Uuid
    text: str
    active_assistant_id: Uuid | None
    path: str = Field(description="single, queued, approval, handoff, closed_by_agent, blocked, …")
    decision_source: str = Field(description="router, operator, policy, agent; may grow.")
    message_seqs: list[int] = Field(description="All this turn wrote, ascending.", examples=[[2, 3]])
    session_status: Status
    turn_ttft_ms: int | None = Field(description="From the turn's start to its first text.")
    ended: bool
    evidence: Package | None


class StreamedAnswer(TurnAnswer):
    """The last event of a stream."""

    model_config = example(examples.STREAMED_TURN)

    perceived_ttft_ms: int | None = Field(description="From the request's arrival to the first delta.")


def turn_answer(outcome: TurnOutcome, evidence: Package | None) -> TurnAnswer:
    """A turn's answer."""
    return TurnAnswer.model_construct(**_fields(outcome), evidence=evidence)


def streamed_answer(answer: TurnAnswer, perceived_ttft_ms: int | None) -> StreamedAnswer:
    """The answer as a stream ends with it."""
    values = {name: getattr(answer, name) for name in TurnAnswer.model_fields}
    return StreamedAnswer.model_construct(**values, perceived_ttft_ms=perceived_ttft_ms)


def _fields(outcome: TurnOutcome) -> dict[str, Any]:
    return {
        "turn_id": outcome.turn_id,
        "conversation_id": outcome.conversation_id,
        "text": outcome.text,
        "active_assistant_id": outcome.agent_id,
        "path": outcome.path or "",
        "decision_source": outcome.decision_source or "",
        "message_seqs": list(outcome.message_seqs),
        "session_status": outcome.session_status,
        "turn_ttft_ms": outcome.ttft_ms,
        "ended": outcome.ended,
    }


def evidence_package(
    outcome: TurnOutcome, organization_id: str, view: EvidenceView, last_said: Row | None
) -> Package:
    """The evidence of a turn; `last_said` is its last assistant message."""
    common: dict[str, Any] = {
        "package_id": named_id("evidence", outcome.turn_id),
        "conversation_id": outcome.conversation_id,
        "turn_id": outcome.turn_id,
        "created_at": rfc3339(last_said["created_at"] if last_said else outcome.started_at),
        "schema_version": 1,
        "message_id": last_said["id"] if last_said else None,
        "view": view.value,
    }
    if view is EvidenceView.DISPLAY:
        cards = [SourceCard.model_construct(**_card(item)) for item in outcome.evidence]
        return EvidencePackageDisplay.model_construct(**common, items=cards)
    return EvidencePackageFull.model_construct(
        **common,
        items=_full(outcome.evidence),
        organization_id=organization_id,
        agent_id=outcome.agent_id,
        status_reason=None if outcome.evidence else "nothing_retrieved",
    )


def _full(items: Sequence[JsonObject]) -> list[FullSource]:
    return [
        FullSource.model_construct(
            **_card(item),
            **{name: item[name] for name in ("chunk_id", "kb_id", "score", "text")},
        )
        for item in items
    ]


def _card(item: JsonObject) -> dict[str, Any]:
    section = item.get("section") or {}
    return {
        "citation_marker": item.get("citation_marker"),
        "label": item.get("label"),
        "short_label": item.get("short_label"),
        "document_title": item.get("document_title"),
        "version_number": item.get("version_number"),
        "section": SectionShape.model_construct(
            path_titles=section.get("path_titles", []),
            path_numbers=section.get("path_numbers", []),
            display_label=section.get("display_label"),
            confidence=section.get("confidence", "unknown"),
        ),
        "deep_link": item.get("deep_link"),
    }
