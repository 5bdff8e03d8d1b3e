"""Publishing to RabbitMQ on a connection of its own (confirmed, mandatory, persistent), and declaring.

The connection is not the consumers': a broker short of memory stops reading from connections that publish,
and must still read the acknowledgements that relieve it.
"""

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence

from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractRobustChannel, AbstractRobustConnection, FieldValue
from aio_pika.exceptions import PublishError
from faststream.rabbit import Channel, ExchangeType, RabbitExchange

from gateway.bus.connection import connect, new_broker
from gateway.bus.topology import EXCHANGES, QueueDeclaration, Topology
from gateway.domain.envelope import Exchange, Posting
from gateway.domain.ports.bus import PublishResult
from gateway.tracing import TRACEPARENT, Kind, continued, span

logger = logging.getLogger(__name__)

PUBLISH_SECONDS = 10.0
"""How long a confirmation may take."""
CONTENT_TYPE = "application/json"


class Publisher:
    """Publishes, and declares exchanges and queues: at the start and again after every reconnection."""

    def __init__(self, url: str, topology: Topology) -> None:
        self._topology = topology
        self._exchanges = {
            short: RabbitExchange(topology.name(short), type=ExchangeType(kind.value), durable=True)
            for short, kind in EXCHANGES.items()
        }
        # an unroutable message would otherwise count as published
        self._broker = new_broker(url, Channel(publisher_confirms=True, on_return_raises=True))
        self._channel: AbstractRobustChannel | None = None
        self._declarations: AbstractRobustChannel | None = None
        self._connection: AbstractRobustConnection | None = None
        self._declared = False
        """Whether the broker has all queues: what is published before them comes back."""

    async def start(self, consumed: Collection[str], stopping: asyncio.Event) -> AbstractRobustConnection:
        """Connect, however long that takes, and declare everything. Raises when the broker refuses that."""
        self._connection = await connect(self._broker, stopping)
        self._channel = await self._broker.config.channel_manager.get_channel()
        for exchange in self._exchanges.values():
            await self._broker.declare_exchange(exchange)
        # FastStream knows one binding a queue and would put its subscribers on the channel that declared
        # theirs; so the queues are declared with aio-pika, on a channel that does nothing else.
        self._declarations = await self._connection.channel()
        for queue in self._topology.queues(consumed):
            await _declare(self._declarations, queue)
        self._connection.close_callbacks.add(self._lost)
        self._connection.reconnect_callbacks.add(self._restored)
        self._declared = True
        return self._connection

    @property
    def connected(self) -> bool:
        """Whether the connection is open, everything declared, and the channel to publish on open again."""
        return (
            self._declared
            and self._connection is not None
            and self._connection.connected.is_set()
            and self._channel is not None
            and not self._channel.is_closed
        )

    async def publish(self, postings: Sequence[Posting]) -> list[PublishResult]:
        """Publish all at once; a result for each, in order. Never raises for the broker's faults."""
        sending = (self._send_posting(posting) for posting in postings)
        return [_result(outcome) for outcome in await asyncio.gather(*sending, return_exceptions=True)]

    async def send(
        self, exchange: str, routing_key: str, body: bytes, message_id: str, headers: Mapping[str, FieldValue]
    ) -> PublishResult:
        """Publish one message."""
        work = self._send(exchange, routing_key, body, message_id, headers)
        (outcome,) = await asyncio.gather(work, return_exceptions=True)
        return _result(outcome)

    async def stop(self) -> None:
        """Close the connection."""
        await self._broker.stop()

    def _lost(self, *_: object) -> None:
        self._declared = False

    def _restored(self, *_: object) -> None:
        self._declared = True

    async def _send_posting(self, posting: Posting) -> None:
        headers = {TRACEPARENT: posting.traceparent}
        with (
            continued(posting.traceparent),
            span("publish", Kind.PRODUCER, exchange=posting.exchange, message_id=posting.id),
        ):
            await self._send(
                posting.exchange, posting.routing_key, posting.body.encode(), posting.id, headers
            )

    async def _send(
        self, exchange: str, routing_key: str, body: bytes, message_id: str, headers: Mapping[str, FieldValue]
    ) -> None:
        if not self.connected:
            raise ConnectionError("RabbitMQ does not answer")
        message = Message(
            body,
            content_type=CONTENT_TYPE,
            delivery_mode=DeliveryMode.PERSISTENT,
            message_id=message_id,
            headers=dict(headers),
        )
        await self._broker.publish(
            message,
            exchange=self._exchanges[exchange],
            routing_key=routing_key,
            # facts are told whether or not anybody listens
            mandatory=exchange != Exchange.EVENTS.value,
            timeout=PUBLISH_SECONDS,
        )


async def _declare(channel: AbstractRobustChannel, queue: QueueDeclaration) -> None:
    declared = await channel.declare_queue(queue.name, durable=True, arguments=dict(queue.arguments))
    for binding in queue.bindings:
        await declared.bind(binding.exchange, binding.routing_key)


def _result(outcome: object) -> PublishResult:
    """What an outcome means. A connection that closes cancels what it carries: a failure like any other."""
    if isinstance(outcome, PublishError):
        return PublishResult.RETURNED
    if isinstance(outcome, BaseException):
        logger.warning(
            "a message was not confirmed",
            extra={"action": "publish_failed", "error": type(outcome).__name__},
        )
        return PublishResult.FAILED
    return PublishResult.PUBLISHED
