"""The host's side of the queues (contract/queues.md): registers, takes intents, publishes events confirmed.

What happens on calls does not wait for the broker: events go into the ledger, and leave in order when it
answers.
"""

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Protocol

import aio_pika
from aio_pika.abc import AbstractIncomingMessage, AbstractRobustChannel, AbstractRobustConnection
from aio_pika.exceptions import CONNECTION_EXCEPTIONS, AMQPError
from pydantic import ValidationError

from channels.voice.host.ledger import Json, Ledger
from gateway.domain.clock import Clock, rfc3339
from gateway.domain.envelope import Envelope
from gateway.domain.ids import new_id

RETRY_SECONDS = 0.5
PUBLISH_SECONDS = 10.0
PREFETCH = 50
log = logging.getLogger(__name__)

Told = Callable[[str, Json], Callable[[], None]]
"""Takes the type (`voice.intent`, `voice.event`) and the data of one message, and keeps it; what is returned
acts on it.

Raises ValueError, in one sentence, for what is not valid.
"""


class Link(Protocol):
    """How the host's calls speak to the gateway."""

    def report(self, event: Json) -> None:
        """Publish an event of a call, in order, once it is on the disk."""
        ...


class GatewayQueues:
    """The `Link` over RabbitMQ."""

    def __init__(self, url: str, prefix: str, host_id: str, ledger: Ledger, clock: Clock) -> None:
        self._url = url
        self._prefix = prefix
        self._host_id = host_id
        self._ledger = ledger
        self._clock = clock
        self._unsent = asyncio.Event()
        self._connection: AbstractRobustConnection | None = None
        self._channel: AbstractRobustChannel | None = None
        self._publishing: asyncio.Task[None] | None = None

    async def start(self, told: Told) -> None:
        """Register, and begin to take intents and to publish what a predecessor left."""
        self._connection = await aio_pika.connect_robust(self._url, reconnect_interval=1)
        self._channel = await self._connection.channel(publisher_confirms=True, on_return_raises=True)
        await self._channel.set_qos(prefetch_count=PREFETCH)
        exchange = await self._channel.declare_exchange(f"{self._prefix}voice", "direct", durable=True)
        name = f"{self._prefix}voice.{self._host_id}"
        dead = {"x-dead-letter-exchange": f"{self._prefix}dead"}
        work = await self._channel.declare_queue(
            name, durable=True, arguments={"x-queue-type": "quorum", "x-delivery-limit": 20, **dead}
        )
        speech = await self._channel.declare_queue(
            f"{name}.say", durable=False, auto_delete=True, arguments=dead
        )
        await work.bind(exchange, self._host_id)
        await speech.bind(exchange, f"{self._host_id}.say")

        async def take(message: AbstractIncomingMessage) -> None:
            await self._take(message, told)

        await work.consume(take)
        await speech.consume(take)
        self._publishing = asyncio.create_task(self._publish(), name="voice-host-reports")
        self._unsent.set()

    async def stop(self) -> None:
        """Take no more; what is unsent stays in the ledger."""
        if self._publishing is not None:
            self._publishing.cancel()
            await asyncio.gather(self._publishing, return_exceptions=True)
        if self._connection is not None:
            await self._connection.close()

    def report(self, event: Json) -> None:
        """Publish an event, in order."""
        self._ledger.report(new_id(), event)
        self._unsent.set()

    async def _take(self, message: AbstractIncomingMessage, told: Told) -> None:
        """Kept, then acknowledged, then acted on: a call of minutes must not be delivered a second time."""
        try:
            envelope = Envelope.model_validate_json(message.body)
            act = told(envelope.type, envelope.data)
        except (ValidationError, ValueError) as problem:
            reason = "not a valid message" if isinstance(problem, ValidationError) else str(problem)
            log.warning("a message is refused", extra={"action": "host.refused", "reason": reason})
            await message.reject(requeue=False)
            return
        await self._ledger.durable()
        try:
            await message.ack()
        except AMQPError:
            log.info("a message will come again", extra={"action": "host.not_acknowledged"})
        act()

    async def _publish(self) -> None:
        while True:
            await self._unsent.wait()
            self._unsent.clear()
            await self._ledger.durable()
            for report_id, event in self._ledger.unsent.items():
                await self._deliver(report_id, event)
                self._ledger.sent(report_id)

    async def _deliver(self, report_id: str, event: Json) -> None:
        """Until the broker has confirmed it: what comes after it waits."""
        while True:
            if await self._sent(report_id, event):
                return
            await asyncio.sleep(RETRY_SECONDS)

    async def _sent(self, report_id: str, event: Json) -> bool:
        """Whether the broker has confirmed it; not while the gateway has not declared its queue yet."""
        envelope = {
            "v": 1,
            "id": report_id,
            "type": "voice.event",
            "occurred_at": event.get("at") or rfc3339(self._clock.now()),
            "organization_id": None,
            "conversation_id": None,
            "data": event,
        }
        message = aio_pika.Message(
            json.dumps(envelope).encode(),
            content_type="application/json",
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            message_id=report_id,
        )
        assert self._channel is not None
        try:
            exchange = await self._channel.get_exchange(f"{self._prefix}voice.events", ensure=False)
            await exchange.publish(message, "event", mandatory=True, timeout=PUBLISH_SECONDS)
        except (AMQPError, TimeoutError, *CONNECTION_EXCEPTIONS) as problem:
            reason = type(problem).__name__
            log.info("a report waits", extra={"action": "host.unsent", "reason": reason})
            return False
        return True
