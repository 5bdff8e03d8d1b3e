"""Revisions of agents as clients see them."""

import json
from typing import Any

from pydantic import Field

from gateway.api.cursors import page_fields
from gateway.api.schemas import desk_examples, examples
from gateway.api.schemas.common import Cursor, HasMore, Shape, Time, Uuid, example, time_of
from gateway.domain.clock import rfc3339
from gateway.domain.revision import Revision, RevisionStatus
from gateway.service.browse import Page


class RevisionShape(Shape):
    """What an agent was made of at a time."""

    model_config = example(desk_examples.REVISION)

    agent_id: Uuid
    revision_id: str = Field(description="The hash of its settings; conversations are pinned to it.")
    status: RevisionStatus
    created_at: Time = Field(description="When it was stored: as a draft, or as it came into force.")
    activated_at: Time | None = Field(description="When it came into force first; null: never.")


class RevisionDetail(RevisionShape):
    """The same with its settings."""

    model_config = example({**desk_examples.REVISION, "settings": {"slug": "support", "kind": "demo"}})

    settings: dict[str, Any] = Field(description="As in `[agents.<slug>]`, defaults included.")


class RevisionList(Shape):
    """Revisions, newest first."""

    model_config = example(examples.page(desk_examples.REVISION))

    items: list[RevisionShape]
    has_more: HasMore
    next_cursor: Cursor


def _fields(revision: Revision, active_revision_id: str) -> dict[str, Any]:
    return {
        "agent_id": revision.agent_id,
        "revision_id": revision.revision_id,
        "status": revision.status(active_revision_id),
        "created_at": rfc3339(revision.created_at),
        "activated_at": time_of(revision.activated_at),
    }


def revision_detail(revision: Revision, active_revision_id: str) -> RevisionDetail:
    """One revision."""
    return RevisionDetail.model_construct(
        **_fields(revision, active_revision_id), settings=json.loads(revision.settings)
    )


def revision_list(page: Page[Revision], active_revision_id: str) -> RevisionList:
    """A page of revisions."""
    return RevisionList.model_construct(
        **page_fields(page, lambda item: RevisionShape.model_construct(**_fields(item, active_revision_id)))
    )
