"""The host's side of the queues (contract/queues.md): registers, takes intents, publishes events confirmed.

What happens on calls does not wait for the broker: events go into the ledger, and leave in order when it
answers.
"""

import asyncio
import json
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage, FieldValue
from aio_pika.exceptions import CONNECTION_EXCEPTIONS, AMQPError, ChannelInvalidStateError
from pydantic import ValidationError

from channels.voice.host.ledger import Json, Ledger
from gateway.domain.clock import Clock, rfc3339
from gateway.domain.envelope import Envelope
from gateway.domain.ids import new_id

RETRY_SECONDS = 0.5
PUBLISH_SECONDS = 10.0
CONNECT_SECONDS = 15.0
"""To connect, and to have everything declared: a broker that has just begun may not answer a consumer yet."""
PREFETCH = 50
_LOST = (AMQPError, ChannelInvalidStateError, TimeoutError, *CONNECTION_EXCEPTIONS)
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
        self._taking = asyncio.Lock()
        self._connection: AbstractConnection | None = None
        self._channel: AbstractChannel | None = None
        self._working: asyncio.Task[None] | None = None

    async def start(self, told: Told) -> None:
        """Register, and begin to take intents publish what a predecessor left. Raises without a broker."""
        await self._connect(told)
        self._working = asyncio.create_task(self._work(told), name="voice-host-queues")

    async def stop(self) -> None:
        """Take no more; what is unsent stays in the ledger."""
        if self._working is not None:
            self._working.cancel()
            await asyncio.gather(self._working, return_exceptions=True)
        if self._connection is not None:
            await self._connection.close()

    async def _connect(self, told: Told) -> None:
        """Each connection has a channel of its own, and everything is declared on it anew."""
        self._connection = await aio_pika.connect(self._url, timeout=PUBLISH_SECONDS)
        self._connection.close_callbacks.add(lambda *_: self._unsent.set())
        self._channel = await self._connection.channel(publisher_confirms=True, on_return_raises=True)
        await self._channel.set_qos(prefetch_count=PREFETCH)
        exchange = await self._channel.declare_exchange(f"{self._prefix}voice", "direct", durable=True)
        await self._channel.declare_exchange(f"{self._prefix}dead", "fanout", durable=True)
        name = f"{self._prefix}voice.{self._host_id}"
        dead: dict[str, FieldValue] = {"x-dead-letter-exchange": f"{self._prefix}dead"}
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
        self._unsent.set()

    async def _work(self, told: Told) -> None:
        """Publish; where the connection is lost, begin again with a new one."""
        while True:
            try:
                if self._channel is None or self._channel.is_closed:
                    async with asyncio.timeout(CONNECT_SECONDS):
                        await self._connect(told)
                await self._publish()
            except _LOST as problem:
                reason = type(problem).__name__
                log.warning("the broker is away", extra={"action": "host.broker_away", "reason": reason})
            await asyncio.sleep(RETRY_SECONDS)
            if self._connection is not None:
                with suppress(*_LOST):
                    await self._connection.close()
            self._channel = None

    def report(self, event: Json) -> None:
        """Publish an event, in order."""
        self._ledger.report(new_id(), event)
        self._unsent.set()

    async def _take(self, message: AbstractIncomingMessage, told: Told) -> None:
        """Kept, then acknowledged, then acted on: a call of minutes must not be delivered a second time.

        One after the other, so that a cancellation is known to what comes after it.
        """
        async with self._taking:
            try:
                envelope = Envelope.model_validate_json(message.body)
                act = told(envelope.type, envelope.data)
            except ValueError as problem:
                reason = "not a valid envelope" if isinstance(problem, ValidationError) else str(problem)
                log.warning("a message is refused", extra={"action": "host.refused", "reason": reason})
                with suppress(*_LOST):
                    await self._bury(message, reason)
                return
            await self._ledger.durable()
            try:
                await message.ack()
            except _LOST:
                log.info("a message will come again", extra={"action": "host.not_acknowledged"})
            act()

    async def _bury(self, message: AbstractIncomingMessage, reason: str) -> None:
        """To the dead letters, with its reason, which the broker's own dead-lettering cannot tell."""
        assert self._channel is not None
        letter = aio_pika.Message(
            message.body,
            headers={
                "x-gateway-queue": f"{self._prefix}voice.{message.routing_key}",
                "x-gateway-reason": reason,
            },
            content_type="application/json",
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            message_id=message.message_id,
        )
        exchange = await self._channel.get_exchange(f"{self._prefix}dead", ensure=False)
        await exchange.publish(letter, "", mandatory=False, timeout=PUBLISH_SECONDS)
        await message.ack()

    async def _publish(self) -> None:
        """What is unsent, in order, until the connection is lost: then it raises one of `_LOST`."""
        while True:
            await self._unsent.wait()
            self._unsent.clear()
            await self._ledger.durable()
            for report_id, event in self._ledger.unsent.items():
                await self._send(report_id, event)
                self._ledger.sent(report_id)
            if self._channel is None or self._channel.is_closed:
                raise ConnectionError("the connection is closed")

    async def _send(self, report_id: str, event: Json) -> None:
        """Confirmed, or it raises: also while the gateway has not declared its queue yet."""
        envelope = {
            "v": 1,
            "id": report_id,
            "type": "voice.event",
            "occurred_at": event.get("at") or rfc3339(self._clock.now()),
            "organization_id": None,
            "conversation_id": None,
            "data": {"host_id": self._host_id, **event},
        }
        message = aio_pika.Message(
            json.dumps(envelope).encode(),
            content_type="application/json",
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            message_id=report_id,
        )
        assert self._channel is not None
        exchange = await self._channel.get_exchange(f"{self._prefix}voice.events", ensure=False)
        await exchange.publish(message, "event", mandatory=True, timeout=PUBLISH_SECONDS)
