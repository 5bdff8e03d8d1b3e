"""What a verdict means on RabbitMQ: acknowledged, copied to a retry queue, or kept as a dead letter."""

import asyncio
import logging
from collections.abc import Mapping
from uuid import uuid4

from aio_pika.abc import AbstractIncomingMessage, FieldValue
from aio_pika.exceptions import AMQPError, ChannelInvalidStateError

from gateway.bus.publisher import Publisher
from gateway.bus.topology import DEAD, RETRY, Topology
from gateway.domain.errors import Unavailable
from gateway.domain.ports.bus import Ack, Outbox, PublishResult, RetryStep, Verdict
from gateway.tracing import TRACEPARENT, continued, traceparent

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 1.0
"""Before a message goes straight back to its queue, because nothing else could be done with it."""
ATTEMPT_HEADER = "x-gateway-attempt"
QUEUE_HEADER = "x-gateway-queue"
REASON_HEADER = "x-gateway-reason"
_OF_THE_BROKER = ("x-death", "x-first-death-", "x-last-death-", "x-delivery-count")
_MAX_HEADERS = 30
_MAX_HEADER = 500

CONNECTION_LOST = (AMQPError, ChannelInvalidStateError, ConnectionError)
"""What calls on a closed channel or connection raise."""


def attempt_of(message: AbstractIncomingMessage) -> int:
    """How often the message has been tried, this time included; a header that makes no sense counts as 1."""
    value = message.headers.get(ATTEMPT_HEADER)
    return value if isinstance(value, int) and value > 0 else 1


class Settlement:
    """Carries out verdicts. A message is acknowledged only after what replaces it is durable."""

    def __init__(self, topology: Topology, publisher: Publisher, outbox: Outbox) -> None:
        self._topology = topology
        self._publisher = publisher
        self._outbox = outbox

    async def settle(self, message: AbstractIncomingMessage, queue: str, verdict: Verdict) -> None:
        """Carry out the verdict on a message from `queue` (a name without prefix).

        Where the connection is lost meanwhile, the message comes again by itself.
        """
        try:
            match verdict.ack:
                case Ack.DONE:
                    await message.ack()
                case Ack.RETRY:
                    again = {ATTEMPT_HEADER: attempt_of(message) + 1}
                    await self._postpone(message, queue, verdict.step, again)
                case Ack.DEAD:
                    await self._bury(message, queue, verdict.reason)
        except CONNECTION_LOST:
            logger.info("a message will come again", extra={"action": "not_acknowledged", "queue": queue})

    async def settle_dead(self, message: AbstractIncomingMessage) -> None:
        """Keep a message of the dead-letter queue; where it died and why is in its headers."""
        with continued(message.headers.get(TRACEPARENT)):
            await self._settle_dead(message)

    async def _settle_dead(self, message: AbstractIncomingMessage) -> None:
        death = _first(message.headers.get("x-death"))
        queue = message.headers.get(QUEUE_HEADER) or death.get("queue") or DEAD
        reason = message.headers.get(REASON_HEADER) or death.get("reason") or "unknown"
        try:
            await self._bury(message, self._topology.short(str(queue)), str(reason), waiting_in=DEAD)
        except CONNECTION_LOST:
            logger.info("a dead letter will come again", extra={"action": "not_acknowledged", "queue": DEAD})

    async def _bury(
        self, message: AbstractIncomingMessage, queue: str, reason: str, waiting_in: str | None = None
    ) -> None:
        """Record it; with the database away it waits in a queue: its own, or `waiting_in`."""
        try:
            await self._outbox.bury(queue, reason, message.body.decode(errors="replace"), _shown(message))
        except Unavailable:
            known: dict[str, FieldValue] = {QUEUE_HEADER: queue, REASON_HEADER: reason[:_MAX_HEADER]}
            await self._postpone(message, waiting_in or queue, RetryStep.S5, known)
            return
        await message.ack()
        logger.warning(
            "a message became a dead letter",
            extra={"action": "dead_letter", "queue": queue, "reason": reason},
        )

    async def _postpone(
        self,
        message: AbstractIncomingMessage,
        queue: str,
        step: RetryStep,
        headers: Mapping[str, FieldValue],
    ) -> None:
        """Put a copy on a retry queue; it comes back to `queue`, in the trace of the present work."""
        result = await self._publisher.send(
            RETRY,
            self._topology.retry_key(step, self._topology.name(queue)),
            message.body,
            message.message_id or str(uuid4()),
            {**_kept(message), TRACEPARENT: traceparent(), **headers},
        )
        if result is PublishResult.PUBLISHED:
            await message.ack()
        else:
            await asyncio.sleep(PAUSE_SECONDS)
            await message.nack(requeue=True)


def _kept(message: AbstractIncomingMessage) -> dict[str, FieldValue]:
    """Headers for a copy: without RabbitMQ's history, in which it might see a cycle and drop the message."""
    return {name: value for name, value in message.headers.items() if not name.startswith(_OF_THE_BROKER)}


def _shown(message: AbstractIncomingMessage) -> dict[str, str]:
    """Headers and properties as they are kept with a dead letter."""
    properties = {
        "message_id": message.message_id,
        "exchange": message.exchange,
        "routing_key": message.routing_key,
    }
    everything = [*properties.items(), *message.headers.items()]
    return {str(name)[:_MAX_HEADER]: str(value)[:_MAX_HEADER] for name, value in everything[:_MAX_HEADERS]}


def _first(deaths: FieldValue) -> Mapping[str, FieldValue]:
    """The latest entry of an `x-death` header; empty where it is none."""
    if isinstance(deaths, list) and deaths and isinstance(deaths[0], dict):
        return deaths[0]
    return {}
