"""What is remembered of a person, as clients see it."""

from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from gateway.api.cursors import page_fields
from gateway.api.schemas import examples, export_examples
from gateway.api.schemas.common import Cursor, HasMore, Request, Shape, Time, Uuid, example
from gateway.domain.clock import rfc3339
from gateway.domain.message import Channel
from gateway.domain.steps import MAX_FACT, MAX_FACTS
from gateway.service.browse import Page
from gateway.service.closings import MAX_SUMMARY
from gateway.service.remember import Memory

FactText = Annotated[str, Field(min_length=1, max_length=MAX_FACT)]


class MemoryBody(Request):
    """What agents are told instead; what is left out stays."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"text": "Asked about order #12345.", "facts": ["Reads French."]},
            "anyOf": [{"required": ["text"]}, {"required": ["facts"]}],
        }
    )

    text: Annotated[str, Field(min_length=1, max_length=MAX_SUMMARY)] | None = None
    facts: Annotated[list[FactText], Field(max_length=MAX_FACTS)] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.text is None and self.facts is None:
            raise ValueError("must have a text, or facts")
        return self


class MemoryShape(Shape):
    """What agents are told of an earlier conversation."""

    model_config = example(export_examples.MEMORY)

    conversation_id: Uuid = Field(description="The conversation it comes from; names the memory.")
    channel: Channel
    text: str = Field(description="A summary; empty where there are facts only.")
    facts: list[str] = Field(description="About the person; told before any summary.")
    created_at: Time


class MemoryList(Shape):
    """Memories, newest first."""

    model_config = example(examples.page(export_examples.MEMORY))

    items: list[MemoryShape]
    has_more: HasMore
    next_cursor: Cursor


def memory_shape(memory: Memory) -> MemoryShape:
    """A memory."""
    return MemoryShape.model_construct(
        conversation_id=memory.conversation_id,
        channel=memory.channel,
        text=memory.text,
        facts=list(memory.facts),
        created_at=rfc3339(memory.created_at),
    )


def memory_list(page: Page[Memory]) -> MemoryList:
    """A page of memories."""
    return MemoryList.model_construct(**page_fields(page, memory_shape))
