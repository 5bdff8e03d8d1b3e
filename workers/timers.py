"""Timers: what is due and nobody rang for, found in the database; any number of workers may look.

Each firing is a conditional update in the transaction of its effect, so it happens once.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from gateway.domain.call_rules import CallRules
from gateway.domain.clock import SECOND
from gateway.domain.conversation import Conversation
from gateway.domain.errors import Unavailable
from gateway.domain.fallback import Fallbacks
from gateway.domain.ports.store import Store
from gateway.log import place_of
from gateway.service.batch import BATCH, Batch
from gateway.service.call_intents import lose_overdue
from gateway.service.call_over import close_ended_calls
from gateway.service.due import AT_ONCE, due_calls, due_lanes, due_turns, forget_bells
from gateway.service.erase import erase_step
from gateway.service.expire import expire_idle, forget, overdue_approvals, overdue_handoffs
from gateway.service.receive import close_unconfirmed
from gateway.service.retire import retire
from gateway.service.silence import break_silences
from gateway.telemetry import TIMERS_FAILED, UNCONFIRMED
from workers.closings import Closer

RING_AGAIN_SECONDS = 15
"""How old a bell must be before it is rung again."""

CALLS_OLD = 5 * SECOND
"""The same of a call that we begin, µs: it is due again and again, and each time somebody looks alone."""

RING_STEPS = 50
"""Units of work that one look spends on bells of a kind, or on what is overdue."""

FAULTS = 20
"""Failures that end a look: it is more than a row or two that is at fault."""

STEPS = 500
"""Units of work that one look spends on what is to be deleted."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Timer:
    """Something to look for, and how often (seconds)."""

    name: str
    every: float
    look: Callable[[], Awaitable[object]]


def timers(
    store: Store,
    partitions: int,
    fallbacks: Callable[[Conversation], Fallbacks],
    closer: Closer,
    calls: Callable[[str], CallRules],
) -> Sequence[Timer]:
    """All timers of the gateway. `calls`: what holds for the calls of a number of ours."""
    old = RING_AGAIN_SECONDS * SECOND
    return (
        Timer("turns", 5, lambda: _all_due(AT_ONCE, lambda: store.write(due_turns, old, partitions))),
        Timer("lanes", 5, lambda: _all_due(AT_ONCE, lambda: store.write(due_lanes, old))),
        Timer("calls", 5, lambda: _all_due(AT_ONCE, lambda: store.write(due_calls, CALLS_OLD))),
        Timer("ended calls", 1, lambda: overdue(lambda b: store.write(close_ended_calls, partitions, b))),
        Timer("approvals", 1, lambda: overdue(lambda b: store.write(overdue_approvals, partitions, b))),
        Timer(
            "handoffs", 1, lambda: overdue(lambda b: store.write(overdue_handoffs, fallbacks, partitions, b))
        ),
        Timer("hosts", 1, lambda: store.write(lose_overdue)),
        Timer("silences", 1, lambda: overdue(lambda b: store.write(break_silences, calls, b))),
        Timer("closings", 1, closer.look),
        Timer("erasures", 1, lambda: erase_all(store, partitions)),
        Timer("retention", 30, lambda: retire_all(store)),
        Timer("idle", 30, lambda: overdue(lambda b: store.write(expire_idle, partitions, b))),
        Timer("receipts", 60, lambda: close_all_unconfirmed(store)),
        Timer("age", 600, lambda: store.write(forget)),
    )


async def ring_for_what_waits(store: Store, partitions: int) -> None:
    """Ring once for each turn and delivery that waits: whoever rang has died, and its bells with it.

    What is not due yet, or too much at once, is found by a timer as soon as it looks.
    """
    old = RING_AGAIN_SECONDS * SECOND
    await store.write(forget_bells)
    await _all_due(AT_ONCE, lambda: store.write(due_turns, old, partitions))
    await _all_due(AT_ONCE, lambda: store.write(due_lanes, old))


async def _all_due(at_once: int, look: Callable[[], Awaitable[int]]) -> None:
    """All that is due, in bounded steps: after an outage, or a pause, it may be much."""
    for _ in range(RING_STEPS):
        if await look() < at_once:
            return


async def overdue(
    look: Callable[[Batch], Awaitable[int]], whole: Batch = BATCH, steps: int = RING_STEPS
) -> int:
    """All whose time has come, also while everything was down; how many. Who looks beside it shares in it.

    A row that cannot be worked off is looked for, left out, and told of at the end: no other waits for it.
    """
    batch, done, faults = whole, 0, list[Exception]()
    for _ in range(steps):
        try:
            taken = await look(batch)
        except Unavailable:
            raise
        except Exception as error:
            faults.append(error)
            batch = Batch(1, batch.past) if batch.limit > 1 else replace(whole, past=batch.past + 1)
        else:
            done += taken
            if taken < batch.limit:
                break
        if len(faults) == FAULTS:
            break
    if faults:
        raise faults[-1]
    return done


async def retire_all(store: Store) -> int:
    """Delete what is kept no longer, in bounded steps; how many. What is left is found the next time."""
    for steps in range(STEPS):
        if not await store.write(retire):
            return steps
    return STEPS


async def erase_all(store: Store, partitions: int) -> int:
    """Go on with the erasures that are due, in bounded steps; how many. The rest is found the next time."""

    async def look(batch: Batch) -> int:
        step = await store.write(erase_step, partitions, batch.past)
        if step is not None and step.finished:
            _log.info(
                "a person was erased", extra={"action": "person.erased", "end_user_id": step.end_user_id}
            )
        return 0 if step is None else 1

    return await overdue(look, Batch(1), STEPS)


async def close_all_unconfirmed(store: Store) -> int:
    """Close what no receipt has told the end of, in bounded steps; how many parts."""
    closed = 0
    for _ in range(STEPS):
        step = await store.write(close_unconfirmed)
        if not step:
            break
        closed += step
    UNCONFIRMED.inc(closed)
    return closed


class Timers:
    """Runs timers until stopped; one that fails looks again later."""

    def __init__(self, wanted: Sequence[Timer]) -> None:
        self._wanted = wanted
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to look."""
        self._tasks = [
            asyncio.create_task(self._run(timer), name=f"timer {timer.name}") for timer in self._wanted
        ]

    async def stop(self) -> None:
        """Stop looking."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task

    async def _run(self, timer: Timer) -> None:
        while True:
            await asyncio.sleep(timer.every * random.uniform(0.8, 1.0))  # noqa: S311 - spreads workers
            try:
                await timer.look()
            except Unavailable as error:
                _log.warning(
                    "a timer could not look",
                    extra={"action": "timer.failed", "timer": timer.name, "reason": error.message},
                )
            except Exception as error:
                # a fault of ours: the next look may go well, and the text of it may quote what a person wrote
                TIMERS_FAILED.labels(timer.name).inc()
                _log.error(
                    "a timer failed",
                    extra={
                        "action": "timer.failed",
                        "timer": timer.name,
                        "error": type(error).__name__,
                        "at": place_of(error),
                    },
                )
