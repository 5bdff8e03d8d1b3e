"""Publishes the outbox rows of this process's own units right after their commit, without a claim.

What it does not get rid of stays in the table, where the relays find it: they look only at what has waited.
"""

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from typing import Protocol

from gateway.crash import reach
from gateway.domain.crash_point import CrashPoint
from gateway.domain.envelope import Posting
from gateway.domain.errors import Unavailable
from gateway.domain.ports.bus import Outbox, PublishResult
from gateway.telemetry import RELAYED
from workers.relay import Publisher

_MAX_HELD = 1000
"""Rows on their way; more are left to the relays."""
_GATHER_SECONDS = 0.05
"""How long what is published waits for more, to be deleted with it; after a crash it is published again."""
_STOP_SECONDS = 2.0
"""How long a stop waits for confirmations."""

_log = logging.getLogger(__name__)


class Broker(Publisher, Protocol):
    """What publishes, and knows whether it can: the RabbitMQ bus."""

    @property
    def connected(self) -> bool:
        """Whether something could be published now."""
        ...


class Forwarder:
    """The `Taker` of a process with a broker."""

    def __init__(self, outbox: Outbox, broker: Broker) -> None:
        self._outbox = outbox
        self._broker = broker
        self._held = 0
        self._published: list[str] = []
        self._stopping = False
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def ready(self) -> bool:
        """Whether there is a broker, and room."""
        return self._broker.connected and self._held < _MAX_HELD and not self._stopping

    @property
    def bells_need_rows(self) -> bool:
        """They do: others than we may wait for what they carry."""
        return True

    def take(self, postings: Sequence[Posting], /) -> None:
        """Publish these."""
        if self._stopping:
            return
        self._held += len(postings)
        self._start(self._forward(postings))

    async def stop(self) -> None:
        """Take no more; what is not published soon is left to the relays."""
        self._stopping = True
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_STOP_SECONDS)
        await self._delete_published()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _forward(self, postings: Sequence[Posting]) -> None:
        try:
            results = await self._broker.publish(postings)
            reach(CrashPoint.BELL_PUBLISHED)
            left: list[str] = []
            for posting, result in zip(postings, results, strict=True):
                RELAYED.labels(result.value).inc()
                if result is PublishResult.PUBLISHED:
                    self._delete_soon(posting.id)
                else:
                    left.append(posting.id)
            if left:
                await self._outbox.give_back(left)
        except Unavailable as error:
            _log.warning(
                "rows wait in the outbox", extra={"action": "forward.unavailable", "reason": error.message}
            )
        finally:
            self._held -= len(postings)

    def _delete_soon(self, row: str) -> None:
        self._published.append(row)
        if len(self._published) == 1:
            self._start(self._delete())

    async def _delete(self) -> None:
        await asyncio.sleep(_GATHER_SECONDS)
        await self._delete_published()

    async def _delete_published(self) -> None:
        rows, self._published = self._published, []
        if not rows:
            return
        try:
            await self._outbox.done(rows)
        except Unavailable as error:
            # they become due, and are published once more
            _log.warning(
                "rows were not deleted", extra={"action": "forward.undeleted", "reason": error.message}
            )
