"""The bus of a single process: dispatches the outbox table to consumers, durable across kill -9.

A row stays in the table until its consumer is done with it. What is due at once is handed over in memory
after the commit; the rest (delayed, of a predecessor, of a command line tool) is claimed from the table.
Claims, and being handed over, keep a row from being read again meanwhile; one that outlives that is known by
its id, so being claimed anew only prolongs it. Bells are handed over without a row and get one only when they
have to wait: after a crash the start rings for whatever waits in conversations and lanes.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from gateway.bus.streams import LocalReplies, NoHosts
from gateway.bus.topology import STEP_SECONDS, WEBHOOKS, Binding, Topology
from gateway.bus.verdicts import judge
from gateway.domain.clock import Clock
from gateway.domain.envelope import Exchange, Posting
from gateway.domain.errors import Unavailable
from gateway.domain.ports.bus import Ack, Consumer, Outbox, RetryStep, Verdict
from gateway.log import place_of
from gateway.tracing import TRACEPARENT, continued

logger = logging.getLogger(__name__)

CLAIM_SECONDS = 60.0
CLAIM_ROWS = 500
MAX_HELD = 10_000
"""Rows in memory, at work or waiting for a busy consumer; more stay in the table."""
POLL_SECONDS = 5.0
"""A command line tool may add rows without waking us."""
GATHER_SECONDS = 0.05
"""How long what is finished waits for more, to be deleted with it; after a crash it is dispatched again."""
PAUSE_SECONDS = 1.0
"""After the database was away."""


@dataclass(slots=True)
class _Lane:
    """One queue: its consumer, what is at work and what waits for its turn."""

    consumer: Consumer
    waiting: deque[Posting] = field(default_factory=deque)
    running: int = 0


class EmbeddedBus:
    """The `Bus` over the outbox alone. Connect the store's OUTBOX wake-ups to `wake`.

    Rows claimed by a predecessor must have been made due again before `start`, and all that waits rung for.
    """

    def __init__(
        self,
        outbox: Outbox,
        clock: Clock,
        partitions: int,
        *,
        step_seconds: Mapping[RetryStep, float] = STEP_SECONDS,
    ) -> None:
        self._outbox = outbox
        self._clock = clock
        self._step_seconds = step_seconds
        self._routes = Topology(partitions=partitions).routes()
        self._replies = LocalReplies()
        self._hosts = NoHosts()
        self._lanes: dict[str, _Lane] = {}
        self._held: dict[str, Posting] = {}
        self._finished: list[str] = []
        self._awake = asyncio.Event()
        self._deletable = asyncio.Event()
        self._deleting = asyncio.Lock()
        self._draining = False
        self._dispatcher: asyncio.Task[None] | None = None
        self._deleter: asyncio.Task[None] | None = None
        self._working: set[asyncio.Task[None]] = set()

    @property
    def replies(self) -> LocalReplies:
        """Listeners are in this process."""
        return self._replies

    @property
    def hosts(self) -> NoHosts:
        """There are none without a broker."""
        return self._hosts

    def wake(self) -> None:
        """There may be new rows."""
        self._awake.set()

    @property
    def ready(self) -> bool:
        """Whether it works, and has room."""
        return self._dispatcher is not None and not self._draining and len(self._held) < MAX_HELD

    @property
    def bells_need_rows(self) -> bool:
        """They do not: nobody but this process listens, and its successor rings for all that waits."""
        return False

    def take(self, postings: Sequence[Posting], /) -> None:
        """Dispatch rows that were handed over after their commit."""
        for posting in postings:
            self._hold(posting)

    async def start(self, consumers: Sequence[Consumer]) -> None:
        """Begin to dispatch; at most once."""
        self._lanes = {consumer.queue: _Lane(consumer) for consumer in consumers}
        self._dispatcher = asyncio.create_task(self._dispatch(), name="outbox-dispatcher")
        self._deleter = asyncio.create_task(self._delete_finished(), name="outbox-deleter")

    async def check(self) -> str | None:
        """Whether the dispatcher runs; the database is checked elsewhere."""
        if self._dispatcher is None or self._dispatcher.done():
            return "the outbox is not dispatched"
        return None

    async def drain(self, timeout: float) -> None:
        """Start no more, wait for what is at work at most `timeout` seconds, make the rest due again."""
        give_up = self._clock.monotonic() + timeout
        self._draining = True
        self.wake()
        if self._dispatcher is not None:
            await asyncio.wait([self._dispatcher], timeout=timeout)
        if self._working:
            await asyncio.wait(self._working, timeout=max(0.0, give_up - self._clock.monotonic()))
        await _cancel(self._working)
        with suppress(Unavailable):
            await self._delete()
            await asyncio.gather(*(self._outbox.postpone(row, 0) for row in tuple(self._held.values())))

    async def stop(self) -> None:
        """End all tasks; rows at work become due again when their claims run out."""
        self._draining = True
        await _cancel({task for task in (self._dispatcher, self._deleter) if task} | self._working)
        self._dispatcher = self._deleter = None

    async def _dispatch(self) -> None:
        while not self._draining:
            self._awake.clear()
            try:
                full = len(self._held) >= MAX_HELD
                if full or await self._claim() < CLAIM_ROWS:
                    await self._rest(full=full)
            except Unavailable as error:
                logger.warning(
                    "the outbox cannot be read", extra={"action": "outbox_away", "reason": error.message}
                )
                await asyncio.sleep(PAUSE_SECONDS)
            except Exception as error:  # a fault of ours, after which nobody would begin anew
                _broken("the outbox could not be dispatched", error)
                await asyncio.sleep(PAUSE_SECONDS)

    async def _claim(self) -> int:
        postings = await self._outbox.claim(CLAIM_ROWS, CLAIM_SECONDS)
        for posting in postings:
            self._hold(posting)
        return len(postings)

    def _hold(self, posting: Posting) -> None:
        if posting.id not in self._held:
            self._held[posting.id] = posting
            self._admit(posting)

    async def _rest(self, *, full: bool) -> None:
        """Until there is something to claim, or room for it."""
        due = None if full else await self._outbox.next_due()
        pause = POLL_SECONDS if due is None else min(max(due, 0.0), POLL_SECONDS)
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._awake.wait()

    def _admit(self, posting: Posting) -> None:
        queue = (
            WEBHOOKS
            if posting.exchange == Exchange.EVENTS.value
            else self._routes.get(Binding(posting.exchange, posting.routing_key))
        )
        lane = None if queue is None else self._lanes.get(queue)
        if lane is not None:
            lane.waiting.append(posting)
            self._begin(lane)
        elif queue == WEBHOOKS:
            self._finish(posting)  # a fact that nobody subscribed to
        else:
            self._run(self._unroutable(posting))

    def _begin(self, lane: _Lane) -> None:
        """Start what waits, as far as the consumer's prefetch allows."""
        while lane.waiting and lane.running < lane.consumer.prefetch and not self._draining:
            lane.running += 1
            self._run(self._work(lane, lane.waiting.popleft()))

    def _run(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._working.add(task)
        task.add_done_callback(self._working.discard)

    async def _work(self, lane: _Lane, posting: Posting) -> None:
        try:
            with continued(posting.traceparent):
                message = posting.body.encode() if posting.envelope is None else posting.envelope
                verdict = await judge(lane.consumer, message, posting.attempt)
            if verdict.ack is Ack.DONE:
                self._finish(posting)
            else:
                await self._settle(posting, lane.consumer.queue, verdict)
        finally:
            lane.running -= 1
            self._begin(lane)

    async def _unroutable(self, posting: Posting) -> None:
        place = f"{posting.exchange}/{posting.routing_key}"
        await self._settle(posting, place, Verdict(Ack.DEAD, reason="no queue takes it"))

    async def _settle(self, posting: Posting, queue: str, verdict: Verdict) -> None:
        try:
            if verdict.ack is Ack.RETRY:
                await self._outbox.postpone(posting, self._step_seconds[verdict.step])
                self._release([posting.id])
                self.wake()  # it is due earlier than when the dispatcher last looked
            else:
                headers = {
                    "exchange": posting.exchange,
                    "routing_key": posting.routing_key,
                    TRACEPARENT: posting.traceparent,
                }
                await self._outbox.bury(queue, verdict.reason, posting.body, headers)
                self._finish(posting)
                logger.warning(
                    "a message became a dead letter",
                    extra={"action": "dead_letter", "queue": queue, "reason": verdict.reason},
                )
        except Unavailable as error:
            # Its claim runs out, and it is dispatched again; a timer rings anew for a bell without a row.
            self._release([posting.id])
            logger.warning(
                "a verdict could not be stored",
                extra={"action": "verdict_lost", "queue": queue, "reason": error.message},
            )
        except Exception as error:  # the same; held for good it would wait for the next start
            self._release([posting.id])
            _broken("a verdict could not be stored", error)

    def _finish(self, posting: Posting) -> None:
        if not posting.has_row:
            self._release([posting.id])
            return
        self._finished.append(posting.id)
        self._deletable.set()

    def _release(self, rows: Sequence[str]) -> None:
        was_full = len(self._held) >= MAX_HELD
        for row in rows:
            self._held.pop(row, None)
        if was_full:
            self.wake()

    async def _delete_finished(self) -> None:
        while True:
            await self._deletable.wait()
            await asyncio.sleep(GATHER_SECONDS)
            try:
                await self._delete()
            except Unavailable:
                await asyncio.sleep(PAUSE_SECONDS)
            except Exception as error:  # the same
                _broken("what is finished could not be deleted", error)
                await asyncio.sleep(PAUSE_SECONDS)

    async def _delete(self) -> None:
        """Delete all that is finished in one unit; what finishes meanwhile is the next one's."""
        async with self._deleting:
            self._deletable.clear()
            rows, self._finished = self._finished, []
            if not rows:
                return
            try:
                await self._outbox.done(rows)
            except Exception:
                self._finished.extend(rows)
                self._deletable.set()
                raise
            self._release(rows)


def _broken(what: str, error: Exception) -> None:
    logger.error(
        what, extra={"action": "outbox_broken", "error": type(error).__name__, "at": place_of(error)}
    )


async def _cancel(tasks: set[asyncio.Task[None]]) -> None:
    for task in tuple(tasks):
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
