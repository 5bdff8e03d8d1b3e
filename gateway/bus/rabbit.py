"""The bus on RabbitMQ: consumers and publisher on a connection each, and how they start, drain and stop."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from functools import partial

from aio_pika.abc import AbstractIncomingMessage

from gateway.bus.connection import CONNECT_SECONDS
from gateway.bus.publisher import Publisher
from gateway.bus.rabbit_hosts import RabbitHosts
from gateway.bus.rabbit_replies import RabbitReplies
from gateway.bus.settlement import CONNECTION_LOST, Settlement, attempt_of
from gateway.bus.subscriptions import Subscriptions
from gateway.bus.topology import DEAD, STEP_SECONDS, Topology
from gateway.bus.verdicts import judge
from gateway.domain.clock import Clock
from gateway.domain.envelope import Posting
from gateway.domain.ports.bus import Consumer, Outbox, PublishResult, RetryStep
from gateway.tracing import TRACEPARENT, continued

logger = logging.getLogger(__name__)

START_SECONDS = 10.0
"""How long `start` waits for a broker that does not answer before it goes on trying in the background."""
CHECK_SECONDS = 2.0
STOP_SECONDS = 2 * CONNECT_SECONDS
"""How long `stop` waits for an attempt to connect that is under way."""
_DEAD_PREFETCH = 10
_AWAY = "RabbitMQ does not answer"


class RabbitBus:
    """The `Bus` over a RabbitMQ ≥ 3.10, and the relay's way to publish. Reconnects by itself."""

    def __init__(
        self,
        url: str,
        prefix: str,
        partitions: int,
        outbox: Outbox,
        clock: Clock,
        *,
        step_seconds: Mapping[RetryStep, float] = STEP_SECONDS,
    ) -> None:
        topology = self._topology = Topology(prefix, partitions, step_seconds)
        self._clock = clock
        self._publisher = Publisher(url, topology)
        self._settlement = Settlement(topology, self._publisher, outbox)
        self._subscriptions = Subscriptions(url)
        self._replies = RabbitReplies(topology)
        self._hosts = RabbitHosts(topology)
        self._starting: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()

    @property
    def replies(self) -> RabbitReplies:
        """The way back to waiting requests."""
        return self._replies

    @property
    def hosts(self) -> RabbitHosts:
        """The way to callers at voice hosts."""
        return self._hosts

    @property
    def connected(self) -> bool:
        """Whether something could be published now."""
        return self._publisher.connected

    async def publish(self, postings: Sequence[Posting]) -> list[PublishResult]:
        """Publish all at once, confirmed; a result for each, in order. The broker's faults raise nothing."""
        return await self._publisher.publish(postings)

    async def start(self, consumers: Sequence[Consumer]) -> None:
        """Declare and consume; at most once. While there is no broker, go on trying in the background.

        A process with consumers also keeps RabbitMQ's own dead letters. Raises when the broker refuses, as it
        does a queue that exists with other properties.
        """
        consumed = [consumer.queue for consumer in consumers]
        declared = {queue.name: queue for queue in self._topology.queues(consumed)}
        for consumer in consumers:
            queue = declared[self._topology.name(consumer.queue)]
            self._subscriptions.add(queue, consumer.prefetch, partial(self._work, consumer))
        if consumers:
            queue = declared[self._topology.name(DEAD)]
            self._subscriptions.add(queue, _DEAD_PREFETCH, self._settlement.settle_dead)
        self._starting = asyncio.create_task(self._start(consumed), name="rabbit-start")
        done, _ = await asyncio.wait([self._starting], timeout=START_SECONDS)
        if done:
            self._starting.result()
        else:
            logger.warning("RabbitMQ does not answer yet", extra={"action": "broker_awaited"})

    async def check(self) -> str | None:
        """Whether both connections are open and every queue has its consumer."""
        if self._starting is None or not self._starting.done() or not self._publisher.connected:
            return _AWAY
        if self._starting.cancelled() or self._starting.exception() is not None:
            return "RabbitMQ refused what was to be declared"
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                missing = await self._subscriptions.missing()
        except (TimeoutError, *CONNECTION_LOST):
            return _AWAY
        return f"not consuming {', '.join(missing)}" if missing else None

    async def drain(self, timeout: float) -> None:
        """Take no more, wait for the work in hand at most `timeout` seconds, cancel the rest of it."""
        give_up = self._clock.monotonic() + timeout
        try:
            async with asyncio.timeout(timeout):
                await self._subscriptions.cancel()
        except (TimeoutError, *CONNECTION_LOST):
            logger.info("draining without a broker", extra={"action": "drain_unconnected"})
        await self._subscriptions.wait(max(0.0, give_up - self._clock.monotonic()))
        await self._subscriptions.abandon()

    async def stop(self) -> None:
        """Close the connections; what is unacknowledged goes back to its queue."""
        self._stopping.set()
        if self._starting is not None:
            await asyncio.wait([self._starting], timeout=STOP_SECONDS)
            self._starting.cancel()
            await asyncio.gather(self._starting, return_exceptions=True)
        await self._subscriptions.abandon()
        try:
            await self._subscriptions.stop()
        finally:
            await self._publisher.stop()

    async def _start(self, consumed: Sequence[str]) -> None:
        connection = await self._publisher.start(consumed, self._stopping)
        await self._replies.open(connection)
        await self._hosts.open(connection)
        if len(self._subscriptions):
            await self._subscriptions.start(self._stopping)

    async def _work(self, consumer: Consumer, message: AbstractIncomingMessage) -> None:
        with continued(message.headers.get(TRACEPARENT)):
            verdict = await judge(consumer, message.body, attempt_of(message))
            await self._settlement.settle(message, consumer.queue, verdict)
