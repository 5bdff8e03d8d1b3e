"""Reply frames over RabbitMQ: a transient queue for this process, frames sent to those of others.

With aio-pika alone: FastStream would confirm every frame, and would declare the same exclusive name again on
a new connection, which the broker refuses for as long as it takes the old one to be alive. So each connection
has a queue with a name of its own.
"""

import logging
from uuid import uuid4

from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractIncomingMessage, AbstractRobustChannel, AbstractRobustConnection
from pydantic import TypeAdapter, ValidationError

from gateway.bus.publisher import CONTENT_TYPE
from gateway.bus.streams import FrameStream, FrameStreams
from gateway.bus.topology import Topology
from gateway.domain.ports.replies import ReplyFrame

logger = logging.getLogger(__name__)

SEND_SECONDS = 1.0
_FRAME = TypeAdapter(ReplyFrame)


class RabbitReplies:
    """The `Replies` of a process connected to RabbitMQ."""

    def __init__(self, topology: Topology) -> None:
        self._prefix = topology.name("reply.")
        self._streams = FrameStreams()
        self._channel: AbstractRobustChannel | None = None
        self._address: str | None = None

    @property
    def address(self) -> str | None:
        """The reply queue of the present connection."""
        return self._address

    def listen(self, message_id: str) -> FrameStream:
        """Frames for one input."""
        return self._streams.listen(message_id)

    async def open(self, connection: AbstractRobustConnection) -> None:
        """Have a reply queue from now on, over every reconnection."""
        self._channel = await connection.channel(publisher_confirms=False)
        self._channel.close_callbacks.add(self._lost)
        self._channel.reopen_callbacks.add(self._renew)
        await self._declare(self._channel)

    async def send(self, address: str, frame: ReplyFrame) -> None:
        """Send a frame, unless there is no connection or `address` is no reply queue."""
        # An address comes with an input, perhaps from another program: it must not reach other queues.
        if self._channel is None or self._address is None or not address.startswith(self._prefix):
            return
        message = Message(
            _FRAME.dump_json(frame), content_type=CONTENT_TYPE, delivery_mode=DeliveryMode.NOT_PERSISTENT
        )
        try:
            await self._channel.default_exchange.publish(
                message, routing_key=address, mandatory=False, timeout=SEND_SECONDS
            )
        except Exception as error:
            logger.info(
                "a reply frame was not sent",
                extra={"action": "reply_frame_lost", "error": type(error).__name__},
            )

    async def _declare(self, channel: AbstractRobustChannel) -> None:
        queue = await channel.declare_queue(
            f"{self._prefix}{uuid4()}", exclusive=True, auto_delete=True, robust=False
        )
        await queue.consume(self._take, no_ack=True, robust=False)
        self._address = queue.name

    def _lost(self, _channel: object, _reason: BaseException | None) -> None:
        self._address = None

    async def _renew(self, _channel: object) -> None:
        try:
            if self._channel is not None:
                await self._declare(self._channel)
        except Exception as error:
            logger.warning(
                "no reply queue: listeners read the turn rows",
                extra={"action": "reply_queue_missing", "error": type(error).__name__},
            )
        self._streams.wake_all()

    async def _take(self, message: AbstractIncomingMessage) -> None:
        try:
            self._streams.deliver(_FRAME.validate_json(message.body))
        except ValidationError:
            logger.warning("a reply frame is not valid", extra={"action": "reply_frame_invalid"})
