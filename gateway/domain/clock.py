"""Time, injected: microseconds since the epoch for what is stored, a monotonic clock for waiting."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

SECOND = 1_000_000
"""Microseconds."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Where the time comes from; tests hand in their own."""

    now: Callable[[], int] = lambda: time.time_ns() // 1000
    """Microseconds since the epoch, UTC."""
    monotonic: Callable[[], float] = time.monotonic
    """Seconds."""


def rfc3339(microseconds: int) -> str:
    """A stored time as RFC 3339 text in UTC with `Z`."""
    seconds, fraction = divmod(microseconds, SECOND)
    return f"{_second(seconds)}.{fraction:06d}Z"


@lru_cache(maxsize=256)
def _second(seconds: int) -> str:
    """The text of a whole second: most of what is written is of now."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19]


def from_rfc3339(text: str) -> int:
    """Microseconds of an RFC 3339 text; ValueError if it is not one or has no offset."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time needs an offset, such as Z")
    return int(moment.timestamp()) * SECOND + moment.microsecond
