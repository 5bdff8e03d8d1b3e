"""What `gateway doctor` asks RabbitMQ: which exchanges and queues are not declared. It declares nothing."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import aio_pika
from aio_pika.abc import AbstractChannel
from aio_pika.exceptions import AMQPError, ChannelNotFoundEntity

from gateway.bus.topology import EXCHANGES, Topology

Look = Callable[[AbstractChannel], Awaitable[Any]]


class BrokerAway(Exception):
    """RabbitMQ does not answer, or refuses us; the text says which, in a few words."""


async def undeclared(url: str, topology: Topology, timeout: float) -> list[str]:
    """The full names of what is missing. Raises BrokerAway, TimeoutError."""
    # it reports failed connections by itself, as the last resort of logging on stderr
    logging.getLogger("aiormq").addHandler(logging.NullHandler())
    try:
        connection = await aio_pika.connect(url, timeout=timeout)
    except (AMQPError, OSError) as error:
        raise BrokerAway(f"cannot connect: {type(error).__name__}") from error
    async with connection:
        try:
            exchanges = [
                topology.name(short)
                for short in EXCHANGES
                if not await _is_there(connection, _exchange(topology.name(short)))
            ]
            queues = [
                queue.name
                for queue in topology.queues()
                if not await _is_there(connection, _queue(queue.name))
            ]
        except AMQPError as error:
            raise BrokerAway(f"refuses a look: {type(error).__name__}") from error
    return exchanges + queues


def _exchange(name: str) -> Look:
    return lambda channel: channel.get_exchange(name, ensure=True)


def _queue(name: str) -> Look:
    return lambda channel: channel.get_queue(name, ensure=True)


async def _is_there(connection: aio_pika.abc.AbstractConnection, look: Look) -> bool:
    """One passive declaration, on a channel of its own: RabbitMQ closes it where nothing is found."""
    channel = await connection.channel()
    try:
        await look(channel)
    except ChannelNotFoundEntity:
        return False
    await channel.close()
    return True
