"""Consuming from RabbitMQ through FastStream: a channel per queue, acknowledged by hand.

By the rules found by trying FastStream 0.7: each queue a channel of its own with its own prefetch; bodies
decoded by us (its decoder would raise before the message could be kept); nothing injected; no log line per
message; no acknowledgement of its own.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import cast

from aio_pika.abc import AbstractIncomingMessage
from aiormq import Channel as UnderlayChannel
from faststream import AckPolicy
from faststream.rabbit import Channel, QueueType, RabbitMessage, RabbitQueue
from faststream.rabbit.schemas.queue import QuorumQueueArgs

from gateway.bus.connection import connect, new_broker
from gateway.bus.topology import QueueDeclaration

logger = logging.getLogger(__name__)

Work = Callable[[AbstractIncomingMessage], Awaitable[None]]
"""Works a message off and settles it."""


class Subscriptions:
    """The queues this process consumes. Reconnects, declares again and consumes again by itself."""

    def __init__(self, url: str) -> None:
        self._broker = new_broker(url)
        self._channels: dict[str, Channel] = {}
        self._queues: list[tuple[RabbitQueue, QueueDeclaration]] = []
        self._working: set[asyncio.Task[None]] = set()
        self._started = False

    def __len__(self) -> int:
        return len(self._channels)

    def add(self, queue: QueueDeclaration, prefetch: int, work: Work) -> None:
        """Consume a queue from the start on."""
        if queue.name in self._channels:
            raise ValueError(f"{queue.name} has two consumers")
        channel = self._channels[queue.name] = Channel(prefetch_count=prefetch)
        declared = RabbitQueue(
            queue.name, QueueType.QUORUM, arguments=cast(QuorumQueueArgs, dict(queue.arguments))
        )
        self._queues.append((declared, queue))
        subscriber = self._broker.subscriber(
            declared,
            channel=channel,
            ack_policy=AckPolicy.MANUAL,
            decoder=_undecoded,
            no_reply=True,
        )

        async def take(message: RabbitMessage) -> None:
            # A connection that breaks cancels this, and must not stop a consumer half-way: it goes on in a
            # task of its own, and the copy that is delivered meanwhile finds the work leased or done.
            task = asyncio.create_task(self._guarded(queue.name, work, message.raw_message))
            self._working.add(task)
            task.add_done_callback(self._working.discard)
            await asyncio.shield(task)

        subscriber(take)

    async def start(self, stopping: asyncio.Event) -> None:
        """Connect, however long that takes, and consume. Raises when the broker refuses that."""
        await connect(self._broker, stopping)
        await self._broker.start()
        for declared, queue in self._queues:
            # Bound here too, so that a queue somebody deletes comes back complete: aio-pika declares, binds
            # and consumes again what it knows of. FastStream itself knows one binding a queue.
            robust = await self._broker.declare_queue(declared)
            for binding in queue.bindings:
                await robust.bind(binding.exchange, binding.routing_key)
        self._started = True

    async def missing(self) -> list[str]:
        """The queues nobody of this process consumes now. Waits while there is no connection."""
        return [
            queue
            for queue, channel in self._channels.items()
            if not (await self._underlay(channel)).consumers
        ]

    async def cancel(self) -> None:
        """Ask for no more messages. Those delivered already are worked off."""
        if not self._started:
            return
        for channel in self._channels.values():
            underlay = await self._underlay(channel)
            for tag in tuple(underlay.consumers):
                await underlay.basic_cancel(tag)

    async def wait(self, timeout: float) -> None:
        """For the work in hand, at most `timeout` seconds."""
        if self._working:
            await asyncio.wait(self._working, timeout=timeout)

    async def abandon(self) -> None:
        """Cancel the work in hand; its messages stay unacknowledged."""
        working = tuple(self._working)
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)

    async def stop(self) -> None:
        """Close the connection: what is unacknowledged goes back to its queue."""
        await self._broker.stop()

    async def _underlay(self, channel: Channel) -> UnderlayChannel:
        """The channel as it is now; aio-pika replaces it with every connection."""
        robust = await self._broker.config.channel_manager.get_channel(channel)
        return cast(UnderlayChannel, await robust.get_underlay_channel())

    async def _guarded(self, queue: str, work: Work, message: AbstractIncomingMessage) -> None:
        try:
            await work(message)
        except Exception as error:
            # Unacknowledged it would wait for the end of the connection; requeued it may be tried again, and
            # the delivery limit keeps that from going on for ever.
            logger.error(
                "a message could not be settled",
                extra={"action": "not_settled", "queue": queue, "error": type(error).__name__},
            )
            await asyncio.sleep(1)
            await message.nack(requeue=True)


async def _undecoded(message: RabbitMessage) -> RabbitMessage:
    return message
