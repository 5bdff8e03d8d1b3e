"""The first connection to RabbitMQ, tried until it succeeds or we stop; later ones are aio-pika's."""

import asyncio
import logging
from contextlib import suppress

from aio_pika import RobustConnection
from aio_pika.exceptions import CONNECTION_EXCEPTIONS
from faststream.rabbit import Channel, RabbitBroker
from yarl import URL

from gateway.domain.errors import Unavailable

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 5.0
"""How long one attempt may take."""
RECONNECT_SECONDS = 1.0
HEARTBEAT_SECONDS = 15


def new_broker(url: str, default_channel: Channel | None = None) -> RabbitBroker:
    """A FastStream broker that injects and logs nothing, and notices a dead line within half a minute."""
    parsed = URL(url)
    address = parsed if "heartbeat" in parsed.query else parsed.update_query(heartbeat=HEARTBEAT_SECONDS)
    return RabbitBroker(
        str(address),
        default_channel=default_channel,
        timeout=CONNECT_SECONDS,
        reconnect_interval=RECONNECT_SECONDS,
        fail_fast=True,
        graceful_timeout=None,  # the bus drains, and cancels its consumers first
        logger=None,
        apply_types=False,
    )


async def connect(broker: RabbitBroker, stopping: asyncio.Event) -> RobustConnection:
    """Connect, trying until it succeeds; Unavailable once `stopping` is set. Do not cancel it: set the event.

    aio-pika could try for ever by itself, but then nothing would end it: its task swallows cancellation.
    """
    told = False
    while not stopping.is_set():
        try:
            return await broker.connect()
        except CONNECTION_EXCEPTIONS as error:
            if not told:
                logger.warning(
                    "RabbitMQ does not answer",
                    extra={"action": "broker_away", "error": type(error).__name__},
                )
            told = True
        with suppress(TimeoutError):
            async with asyncio.timeout(RECONNECT_SECONDS):
                await stopping.wait()
    raise Unavailable("stopped before RabbitMQ answered")
