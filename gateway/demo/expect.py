"""What the demonstration must see, or it ends with one line that says what it saw instead."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE_SECONDS = 10.0
"""How long anything may take to happen; on an idle machine it takes milliseconds."""
_LOOK_EVERY = 0.01
_MAX_SHOWN = 300

Seen = TypeVar("Seen")


class Mismatch(Exception):
    """The gateway did something else than it should have; the message is one line."""


def expect(what: str, seen: object, wanted: object) -> None:
    """Raise Mismatch unless what was seen is what was wanted."""
    if seen != wanted:
        raise Mismatch(f"{what}: expected {_shown(wanted)}, saw {_shown(seen)}")


def expect_that(what: str, holds: bool, seen: object) -> None:
    """Raise Mismatch, showing what was seen, unless the condition holds."""
    if not holds:
        raise Mismatch(f"{what}: not so, saw {_shown(seen)}")


async def until(what: str, look: Callable[[], Seen], wanted: Callable[[Seen], bool]) -> Seen:
    """Look until it is as wanted, and return it; Mismatch with the last look when patience runs out."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not wanted(seen := look()):
        if time.monotonic() > deadline:
            raise Mismatch(f"{what}: did not happen in {PATIENCE_SECONDS:g} s, last saw {_shown(seen)}")
        await asyncio.sleep(_LOOK_EVERY)
    return seen


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"
