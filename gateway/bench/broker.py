"""The raw broker's figure: messages a second through one quorum queue with aio-pika, and nothing else.

`python -m gateway.bench.broker URL COUNT` publishes COUNT messages of 1 KB, persistent, mandatory and
confirmed, 100 outstanding, and consumes them at the same time with prefetch 100, each acknowledged; one
process, two connections. It prints messages a second, from the first publication to the last
acknowledgement. Our distributed road needs two such hops a turn.
"""

import asyncio
import sys
import time
from itertools import count
from uuid import uuid4

import aio_pika
import uvloop

BODY = b"x" * 1024
OUTSTANDING = 100


async def messages_per_second(url: str, messages: int) -> float:
    """Measure it."""
    out, back = await aio_pika.connect(url), await aio_pika.connect(url)
    async with out, back:
        publishing, consuming = await out.channel(), await back.channel()
        await consuming.set_qos(prefetch_count=OUTSTANDING)
        queue = await consuming.declare_queue(
            f"bench.{uuid4()}", durable=True, arguments={"x-queue-type": "quorum"}
        )
        numbers = count()
        arrived = asyncio.Semaphore(0)

        async def publish() -> None:
            while next(numbers) < messages:
                message = aio_pika.Message(BODY, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
                await publishing.default_exchange.publish(message, queue.name)

        async def take(message: aio_pika.abc.AbstractIncomingMessage) -> None:
            await message.ack()
            arrived.release()

        try:
            await queue.consume(take)
            began = time.monotonic()
            await asyncio.gather(*(publish() for _ in range(OUTSTANDING)))
            for _ in range(messages):
                await arrived.acquire()
            return messages / (time.monotonic() - began)
        finally:
            await queue.delete(if_unused=False, if_empty=False)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(runner.run(messages_per_second(sys.argv[1], int(sys.argv[2]))))
