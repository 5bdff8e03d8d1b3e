"""What travels on the queues: the envelope, and where it is put (contract/queues.md)."""

from dataclasses import field
from enum import StrEnum
from typing import Annotated, Any, Literal
from zlib import crc32

from pydantic import BaseModel, ConfigDict, Field

from gateway.domain.record import record

VERSION = 1


class Exchange(StrEnum):
    """Exchanges, without the prefix."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"
    EVENTS = "events"
    VOICE = "voice"
    VOICE_EVENTS = "voice.events"


Id = Annotated[str, Field(pattern="^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
"""36 lower-case characters; what is none would be asked for in the database, again and again."""


class Envelope(BaseModel):
    """The outer form of every message. Unknown keys are ignored; an unknown `v` is not ours to read."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    v: Literal[1] = 1
    id: Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00-\x20\x7f]+$")]
    type: str
    occurred_at: str
    organization_id: Id | None = None
    conversation_id: Id | None = None
    data: dict[str, Any]


BELLS = frozenset({"message.inbound", "turn.due", "message.outbound", "delivery.due"})
"""Types that may get lost: the rows of conversations and lanes tell the same, and timers look there."""


@record(frozen=True, slots=True)
class Posting:
    """An outbox row: an envelope and where it goes."""

    id: str
    exchange: str
    routing_key: str
    text: str | None
    """JSON; None for a bell that has no row."""
    traceparent: str
    """Where in a trace it belongs (W3C Trace Context); becomes the header of that name."""
    attempt: int = 1
    """How often it has been claimed for publishing."""
    envelope: Envelope | None = field(default=None, compare=False)
    """What the text says, where this process wrote it itself and need not read it again."""

    @property
    def body(self) -> str:
        """JSON."""
        if self.text is not None:
            return self.text
        if self.envelope is None:
            raise AssertionError("a posting has a text or an envelope")
        return self.envelope.model_dump_json()

    @property
    def has_row(self) -> bool:
        """Whether it stands in the table."""
        return self.text is not None


def partition(conversation_id: str, partitions: int) -> int:
    """The turn queue of a conversation: crc32 of the id's 36 lower-case characters, modulo."""
    return crc32(conversation_id.encode()) % partitions
