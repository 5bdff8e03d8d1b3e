"""Tracing: which trace the present work belongs to, and spans about it where somebody records them.

The place in a trace travels as `traceparent`: in the requests that come in, in the outbox, on the queues.
It does so always. Spans exist only between `record` and `stop_recording`; without a recorder they cost
nothing. They hold ids, lengths and closed vocabularies, never addresses or texts, and of an exception its
kind: its text may quote what a person wrote.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar, Token
from enum import StrEnum
from types import TracebackType
from typing import Protocol

from gateway.tracing.w3c import TRACEPARENT, new_traceparent, parse_traceparent

__all__ = [
    "TRACEPARENT",
    "Kind",
    "Recorder",
    "Span",
    "Value",
    "continued",
    "is_recording",
    "new_traceparent",
    "note",
    "parse_traceparent",
    "record",
    "span",
    "stop_recording",
    "traceparent",
]

Value = str | int | bool | None
"""What an attribute may hold; None leaves it out."""


class Kind(StrEnum):
    """What a span is to its neighbours."""

    INTERNAL = "internal"
    SERVER = "server"
    CLIENT = "client"
    PRODUCER = "producer"
    CONSUMER = "consumer"


class Span(Protocol):
    """A piece of work that has begun."""

    @property
    def traceparent(self) -> str:
        """The place of what this work causes."""
        ...

    def note(self, attributes: Mapping[str, Value]) -> None:
        """Add to what is known of it."""
        ...

    def end(self, error: str | None) -> None:
        """It is over; `error` is the kind of what it raised."""
        ...


class Recorder(Protocol):
    """Where spans go."""

    def begin(self, name: str, kind: Kind, parent: str | None, attributes: Mapping[str, Value]) -> Span:
        """Begin a span now; without a parent, a trace."""
        ...


_place: ContextVar[str | None] = ContextVar("traceparent", default=None)
_span: ContextVar[Span | None] = ContextVar("span", default=None)
_recorder: Recorder | None = None
_UNRECORDED: AbstractContextManager[None] = nullcontext()


def record(recorder: Recorder) -> None:
    """From now on the spans of this process go to `recorder`."""
    global _recorder
    _recorder = recorder


def stop_recording() -> None:
    """Begin no more spans. Those that run end where they began."""
    global _recorder
    _recorder = None


def is_recording() -> bool:
    """Whether spans are recorded."""
    return _recorder is not None


def traceparent() -> str:
    """The place of the present work, for what it causes; a new trace where it belongs to none."""
    return _place.get() or new_traceparent()


def continued(header: object) -> AbstractContextManager[None]:
    """Work in the trace that `header` names; in one of its own where the header is missing or not valid."""
    place = parse_traceparent(header)
    if place is None and _recorder is None:
        place = new_traceparent()  # recorded, the first span begins the trace
    return _Continued(place)


def span(name: str, kind: Kind = Kind.INTERNAL, /, **attributes: Value) -> AbstractContextManager[None]:
    """Work that is recorded, by ids and lengths only; what it causes has it as its parent."""
    recorder = _recorder
    return _UNRECORDED if recorder is None else _Running(recorder, name, kind, attributes)


def note(**attributes: Value) -> None:
    """Add to what is known of the innermost span."""
    if _recorder is not None and (running := _span.get()) is not None:
        running.note(attributes)


class _Continued:
    __slots__ = ("_before", "_place")

    def __init__(self, place: str | None) -> None:
        self._place = place

    def __enter__(self) -> None:
        self._before: Token[str | None] = _place.set(self._place)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _place.reset(self._before)


class _Running:
    __slots__ = ("_attributes", "_kind", "_name", "_outer", "_place", "_recorder", "_span")

    def __init__(self, recorder: Recorder, name: str, kind: Kind, attributes: Mapping[str, Value]) -> None:
        self._recorder = recorder
        self._name = name
        self._kind = kind
        self._attributes = attributes

    def __enter__(self) -> None:
        self._span = self._recorder.begin(self._name, self._kind, _place.get(), self._attributes)
        self._place: Token[str | None] = _place.set(self._span.traceparent)
        self._outer: Token[Span | None] = _span.set(self._span)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _span.reset(self._outer)
        _place.reset(self._place)
        self._span.end(None if kind is None else kind.__name__)
