"""Shapes that several answers share: times, errors, evidence, pages."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from gateway.api.schemas import examples
from gateway.domain.clock import rfc3339

Time = Annotated[
    str,
    Field(
        json_schema_extra={"format": "date-time"},
        examples=["2024-05-14T12:00:00.000000Z"],
        description="RFC 3339, UTC.",
    ),
]
Uuid = Annotated[
    str, Field(json_schema_extra={"format": "uuid"}, examples=["3c90c3cc-0d44-4b50-8888-8dd25736052a"])
]
Cursor = Annotated[
    str | None,
    Field(description="The position after the last row, also when `has_more` is false; pass it as `cursor`."),
]
HasMore = Annotated[bool, Field(description="Whether more rows follow now.")]


def time_of(microseconds: int | None) -> str | None:
    """A stored time as clients see it."""
    return None if microseconds is None else rfc3339(microseconds)


def example(value: dict[str, Any]) -> ConfigDict:
    """The settings of a shape that shows an example in the OpenAPI document."""
    return ConfigDict(json_schema_extra={"example": value})


class Shape(BaseModel):
    """An answer: every key always, made by us and so not checked again where it is built from rows."""

    model_config = ConfigDict(frozen=True, json_schema_serialization_defaults_required=True)


class Request(BaseModel):
    """A request: unknown fields are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class ErrorBody(Shape):
    """Every answer with a status from 400 on."""

    model_config = example(examples.ERROR)

    error: str = Field(description="A code of a closed set.", examples=["not_found"])
    message: str = Field(description="One sentence a person can act on.")


class EvidenceChunk(Shape):
    """A knowledge chunk that was used for a message."""

    model_config = example(examples.CHUNK)

    chunk_id: str
    kb_id: str
    score: float
    text: str


def chunk_of(item: dict[str, Any]) -> EvidenceChunk:
    """A stored evidence item, as transcript and poll show it."""
    return EvidenceChunk.model_construct(
        chunk_id=item["chunk_id"], kb_id=item["kb_id"], score=item["score"], text=item["text"]
    )
