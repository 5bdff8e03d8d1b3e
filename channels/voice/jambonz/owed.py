"""What is known of calls that are over: stored at once, or as soon as the database is there again.

jambonz tells of an end once, on the connection of the call, and closes it. So what the database does not take
then is tried again here, however long that connection is gone. It is in memory: what has to survive this
process, too, needs the spool, into which ends go first where there is one.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from gateway.domain.errors import GatewayError, Unavailable

log = logging.getLogger(__name__)

AT_ONCE_SECONDS = 5.0
"""How long the connection of a call waits for its end to be stored."""
AGAIN_SECONDS = 1.0
"""Between two tries."""
TRIES = 86_400
"""A day of them; what is not stored by then is noted, and expires with its conversation."""
MAX_CALLS = 10_000
"""Ends that wait at once: more than a process has calls."""
Store = Callable[[], Awaitable[object]]
"""Stores one thing that is known; raises GatewayError."""


class Owed:
    """The ends that this process has yet to store."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Task[None]] = set()

    async def settle(self, call_sid: str, known: Sequence[Store]) -> None:
        """Store what happened last in a call, in order, and that it is over; what is left follows."""
        if len(self._waiting) >= MAX_CALLS:
            _lost(call_sid, "too_many")
            return
        task = asyncio.create_task(self._settle(call_sid, known))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)
        await asyncio.wait({task}, timeout=AT_ONCE_SECONDS)

    async def _settle(self, call_sid: str, known: Sequence[Store]) -> None:
        for store in known:
            for n in range(TRIES):
                if await _stored(call_sid, store):
                    break
                if not n:
                    extra = {"action": "voice.end_waits", "call_sid": call_sid}
                    log.warning("voice end waits", extra=extra)
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                _lost(call_sid, "unavailable")


async def _stored(call_sid: str, store: Store) -> bool:
    """Whether it is, or never will be."""
    try:
        await store()
    except Unavailable:
        return False
    except GatewayError as error:
        _lost(call_sid, error.code.value)
    except Exception as error:  # a fault of ours in one thing does not lose those after it
        _lost(call_sid, type(error).__name__)
    return True


def _lost(call_sid: str, code: str) -> None:
    log.error("voice end lost", extra={"action": "voice.end_lost", "call_sid": call_sid, "code": code})
