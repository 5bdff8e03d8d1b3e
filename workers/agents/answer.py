"""The body of an HTTP agent's answer, read piece by piece: events one a line, or one JSON object.

Pure; out of bounds and out of form is AgentFailed, without anything of the body in the reason.
"""

from collections.abc import Iterator
from typing import Protocol

from pydantic_core import from_json

from gateway.domain.agent import AgentEvent, AgentFailed
from workers.agents.events import read_event

MAX_LINE = 14_680_064
"""Bytes of one event of a stream: an attachment may be 10 MiB, and base64 makes a third more of it."""

MAX_ANSWER = 16_777_216
"""Bytes of an answer."""

OBJECT_TYPE = "application/json"
STREAM_TYPE = "application/x-ndjson"

_OBJECT_ORDER = (
    "delta",
    "message",
    "attachment",
    "tool_call",
    "tool_result",
    "evidence",
    "usage",
    "dtmf_input",
    "revoke_consent",
    "approval_required",
    "handoff",
    "call_transfer",
    "end",
    "error",
)


class Answer(Protocol):
    """An answer as it arrives."""

    def feed(self, piece: bytes) -> Iterator[AgentEvent]:
        """The events that this piece completes."""
        ...

    def end(self) -> Iterator[AgentEvent]:
        """What is left when the body has ended."""
        ...


def answer_of(content_type: str) -> Answer:
    """The reader for a media type (without parameters)."""
    if content_type == STREAM_TYPE:
        return StreamAnswer()
    if content_type == OBJECT_TYPE:
        return ObjectAnswer()
    raise AgentFailed(f"the agent answered neither {OBJECT_TYPE} nor {STREAM_TYPE}")


class _Size:
    """How much has come."""

    def __init__(self) -> None:
        self._total = 0

    def add(self, piece: bytes) -> None:
        self._total += len(piece)
        if self._total > MAX_ANSWER:
            raise AgentFailed(f"an answer of more than {MAX_ANSWER} bytes")


class StreamAnswer:
    """Events, one a line; blank lines are skipped, the last line may lack its end."""

    def __init__(self) -> None:
        self._size = _Size()
        self._line = bytearray()

    def feed(self, piece: bytes) -> Iterator[AgentEvent]:
        """The events of the lines that this piece completes."""
        self._size.add(piece)
        first, *others = piece.split(b"\n")
        self._extend(first)
        for other in others:
            yield from self.end()
            self._extend(other)

    def end(self) -> Iterator[AgentEvent]:
        """The event of the line read so far."""
        line = bytes(self._line)
        self._line.clear()
        if line.strip():
            yield _stream_event(_parsed(line))

    def _extend(self, piece: bytes) -> None:
        self._line += piece
        if len(self._line) > MAX_LINE:
            raise AgentFailed(f"an event of more than {MAX_LINE} bytes")


class ObjectAnswer:
    """One object: its `text`, and other events by their names."""

    def __init__(self) -> None:
        self._size = _Size()
        self._pieces: list[bytes] = []

    def feed(self, piece: bytes) -> Iterator[AgentEvent]:
        """Nothing yet: an object is read whole."""
        self._size.add(piece)
        self._pieces.append(piece)
        return iter(())

    def end(self) -> Iterator[AgentEvent]:
        """All its events."""
        return _object_events(_parsed(b"".join(self._pieces)))


def _parsed(text: bytes) -> dict[str, object]:
    try:
        value = from_json(text, allow_inf_nan=False)
    except ValueError:
        raise AgentFailed("the agent's answer is not JSON") from None
    if not isinstance(value, dict):
        raise AgentFailed("the agent's answer is JSON, but not an object")
    return value


def _stream_event(fields: dict[str, object]) -> AgentEvent:
    """An event of a stream; its name is under `type`, or under `event`."""
    return read_event(fields if "type" in fields else {**fields, "type": fields.get("event")})


def _object_events(fields: dict[str, object]) -> Iterator[AgentEvent]:
    """The text first, then each event, what decides the turn last.

    A value is an event's fields or a list of such; null counts as left out.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    if "text" in given:
        yield read_event({"type": "delta", "text": given.pop("text")})
    if given.keys() - set(_OBJECT_ORDER):
        raise AgentFailed(f"an answer with a key that is none of text, {', '.join(_OBJECT_ORDER)}")
    for name in _OBJECT_ORDER:
        value = given.get(name, [])
        for item in value if isinstance(value, list) else [value]:
            if not isinstance(item, dict):
                raise AgentFailed(f"an event that is not valid: {name} (not an object)")
            yield read_event({**item, "type": name})
