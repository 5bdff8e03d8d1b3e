"""The relay: publishes outbox rows, confirmed, and deletes them. Any number may run at once.

Rows are claimed by expiry and never by a watermark over ids: a unit that commits late is not missed.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Protocol

from gateway.crash import reach
from gateway.domain.crash_point import CrashPoint
from gateway.domain.envelope import Exchange, Posting
from gateway.domain.errors import Unavailable
from gateway.domain.ports.bus import Outbox, PublishResult
from gateway.log import place_of
from gateway.telemetry import RELAYED
from gateway.tracing import TRACEPARENT

_BATCH = 200
_CLAIM_SECONDS = 30.0
_IDLE_SECONDS = 2.0
"""How long a relay sleeps when nothing rings; a lost ring costs no more."""
_PAUSE_AT_LEAST = 0.05
"""A due row that cannot be claimed is in another relay's hands."""
_PAUSE_SECONDS = 1.0
"""After a failure of the broker or the database."""

_log = logging.getLogger(__name__)


class Publisher(Protocol):
    """What publishes: the RabbitMQ bus."""

    async def publish(self, postings: Sequence[Posting]) -> Sequence[PublishResult]:
        """One result a posting, in order."""
        ...


HostLost = Callable[[str], Awaitable[bool]]
"""Told the body of a message to a voice host that has no queue; whether that settles it."""


class Relay:
    """One loop from the outbox table to the broker."""

    def __init__(self, outbox: Outbox, publisher: Publisher, host_lost: HostLost) -> None:
        self._outbox = outbox
        self._publisher = publisher
        self._host_lost = host_lost
        self._rung = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def wake(self) -> None:
        """Rows were committed."""
        self._rung.set()

    async def start(self) -> None:
        """Begin to publish."""
        self._task = asyncio.create_task(self._run(), name="relay")

    async def stop(self) -> None:
        """Finish the batch in hand, or leave it to the rows' next claim."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            self._rung.clear()
            try:
                if not await self._batch():
                    await self._rest()
            except Unavailable as error:
                _log.warning(
                    "the outbox cannot be read",
                    extra={"action": "relay.unavailable", "reason": error.message},
                )
                await asyncio.sleep(_PAUSE_SECONDS)
            except Exception as error:  # a fault of ours, after which nobody would begin anew
                _log.error(
                    "the relay failed",
                    extra={"action": "relay.broken", "error": type(error).__name__, "at": place_of(error)},
                )
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _rest(self) -> None:
        """Until something rings, or a bell that was set for later is due."""
        try:
            due = await self._outbox.next_due()
        except Unavailable:
            due = None
        pause = _IDLE_SECONDS if due is None else min(max(due, _PAUSE_AT_LEAST), _IDLE_SECONDS)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._rung.wait(), pause)

    async def _batch(self) -> int:
        """Publish what is due; how many rows were looked at."""
        postings = await self._outbox.claim(_BATCH, _CLAIM_SECONDS)
        if not postings:
            return 0
        results = await self._publisher.publish(postings)
        reach(CrashPoint.BELL_PUBLISHED)
        done: list[str] = []
        failed: list[str] = []
        for posting, result in zip(postings, results, strict=True):
            RELAYED.labels(result.value).inc()
            if result is PublishResult.FAILED:
                failed.append(posting.id)
                continue
            if result is PublishResult.RETURNED:
                await self._park(posting)
            done.append(posting.id)
        if done:
            await self._outbox.done(done)
        if failed:
            await self._give_back(failed)
        return len(postings)

    async def _park(self, posting: Posting) -> None:
        """No queue takes it: kept, with where it was to go, unless it tells that a voice host is gone."""
        if posting.exchange == Exchange.VOICE.value and await self._host_lost(posting.body):
            return
        await self._outbox.bury(
            f"{posting.exchange}:{posting.routing_key}",
            "unroutable: no queue is bound",
            posting.body,
            {TRACEPARENT: posting.traceparent},
        )

    async def _give_back(self, ids: Sequence[str]) -> None:
        """The broker is away: the rows stay, due again shortly."""
        _log.warning("the broker takes nothing", extra={"action": "relay.broker_away", "rows": len(ids)})
        await self._outbox.give_back(ids)
        await asyncio.sleep(_PAUSE_SECONDS)
