"""What is remembered of a person, as clients see it."""

from pydantic import ConfigDict, Field

from gateway.api.cursors import page_fields
from gateway.api.schemas import examples
from gateway.api.schemas.common import Cursor, HasMore, Request, Shape, Time, Uuid, example
from gateway.domain.clock import rfc3339
from gateway.domain.message import Channel
from gateway.service.browse import Page
from gateway.service.closings import MAX_SUMMARY
from gateway.service.remember import Memory


class MemoryBody(Request):
    """What agents are told instead."""

    model_config = ConfigDict(json_schema_extra={"example": {"text": "Prefers to be written to in French."}})

    text: str = Field(min_length=1, max_length=MAX_SUMMARY)


class MemoryShape(Shape):
    """What agents are told of an earlier conversation."""

    model_config = example(examples.MEMORY)

    conversation_id: Uuid = Field(description="The conversation it comes from; names the memory.")
    channel: Channel
    text: str
    created_at: Time


class MemoryList(Shape):
    """Memories, newest first."""

    model_config = example(examples.page(examples.MEMORY))

    items: list[MemoryShape]
    has_more: HasMore
    next_cursor: Cursor


def memory_shape(memory: Memory) -> MemoryShape:
    """A memory."""
    return MemoryShape.model_construct(
        conversation_id=memory.conversation_id,
        channel=memory.channel,
        text=memory.text,
        created_at=rfc3339(memory.created_at),
    )


def memory_list(page: Page[Memory]) -> MemoryList:
    """A page of memories."""
    return MemoryList.model_construct(**page_fields(page, memory_shape))
