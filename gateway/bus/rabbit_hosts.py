"""Words for voice hosts over RabbitMQ while they are made: unconfirmed and transient, as listeners' frames.

What a host misses here it is told again with the last piece, which goes the sure way (contract/queues.md).
"""

import logging

from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractExchange, AbstractRobustConnection

from gateway.bus.publisher import CONTENT_TYPE
from gateway.bus.rabbit_replies import SEND_SECONDS
from gateway.bus.topology import Topology
from gateway.domain.envelope import Envelope, Exchange
from gateway.tracing import TRACEPARENT, traceparent

logger = logging.getLogger(__name__)


class RabbitHosts:
    """The `Hosts` of a process connected to RabbitMQ."""

    def __init__(self, topology: Topology) -> None:
        self._name = topology.name(Exchange.VOICE.value)
        self._exchange: AbstractExchange | None = None

    async def open(self, connection: AbstractRobustConnection) -> None:
        """Have a channel from now on, over every reconnection."""
        channel = await connection.channel(publisher_confirms=False)
        self._exchange = await channel.get_exchange(self._name, ensure=False)

    async def say(self, host_id: str, told: Envelope) -> None:
        """Hand a host a piece of what it is to say, unless there is no connection."""
        if self._exchange is None:
            return
        message = Message(
            told.model_dump_json().encode(),
            content_type=CONTENT_TYPE,
            delivery_mode=DeliveryMode.NOT_PERSISTENT,
            message_id=told.id,
            headers={TRACEPARENT: traceparent()},
        )
        try:
            await self._exchange.publish(message, f"{host_id}.say", mandatory=False, timeout=SEND_SECONDS)
        except Exception as error:
            logger.info(
                "a piece for a voice host was not sent",
                extra={"action": "host_piece_lost", "error": type(error).__name__},
            )
