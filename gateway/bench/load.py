"""The load generator, a process of its own: signed SMS webhooks, by bounded concurrency or at a steady
rate.

`python -m gateway.bench.load` reads a `Load` as JSON from stdin and prints a `Sent`. All requests are
made and signed before the first one leaves, and sent as bytes over connections that are kept: it shares
the machine with what it measures, and must cost little.
"""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import count
from urllib.parse import urlencode, urlsplit

import uvloop
from pydantic import BaseModel

from channels.twilio.signature import sign
from gateway.bench.stage import ACCOUNT, OUR_NUMBER, TOKEN, name_of

PATH = "/webhooks/twilio/sms"
_CONNECTIONS_AT_A_RATE = 64


class Load(BaseModel):
    """What is sent: `messages` from `numbers` phones in turn, named from `first` on."""

    url: str
    messages: int
    numbers: int
    first: int = 0
    concurrency: int | None = None
    """Requests at once, each connection sending its next one when the last is answered."""
    rate: float | None = None
    """Or: requests a second, whether or not those before are answered."""


class Sent(BaseModel):
    """When each request began (monotonic seconds), in order, and how many answers had which status."""

    began: list[float]
    statuses: dict[int, int]
    ended: float
    """When the last one was answered."""


class _Connection:
    """One kept connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, request: bytes) -> int:
        """The status of the answer."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = next(
            line[15:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
        )
        await self._reader.readexactly(int(length))
        return int(head[9:12])


def request_of(url: str, number: int, sender: str) -> bytes:
    """A webhook request as Twilio makes it, with the parameters it sends for a US number."""
    sid = f"SM{number:032x}"
    form = [
        ("ToCountry", "US"),
        ("ToState", "NY"),
        ("SmsMessageSid", sid),
        ("NumMedia", "0"),
        ("ToCity", "NEW YORK"),
        ("FromZip", "94111"),
        ("SmsSid", sid),
        ("FromState", "CA"),
        ("SmsStatus", "received"),
        ("FromCity", "SAN FRANCISCO"),
        ("Body", name_of(number)),
        ("FromCountry", "US"),
        ("To", OUR_NUMBER),
        ("ToZip", "10001"),
        ("NumSegments", "1"),
        ("MessageSid", sid),
        ("AccountSid", ACCOUNT),
        ("From", sender),
        ("ApiVersion", "2010-04-01"),
    ]
    body = urlencode(form).encode()
    signature = sign(TOKEN, url + PATH, form)
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\nX-Twilio-Signature: {signature}\r\n"
        "User-Agent: TwilioProxy/1.1\r\nAccept: */*\r\n"
        "Content-Type: application/x-www-form-urlencoded; charset=UTF-8\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def send(load: Load) -> Sent:
    """Send it all and wait for the answers."""
    requests = [
        request_of(load.url, load.first + n, f"+1212{2_000_000 + n % load.numbers}")
        for n in range(load.messages)
    ]
    began = [0.0] * load.messages
    statuses: Counter[int] = Counter()
    parts = urlsplit(load.url)
    connections = [
        _Connection(*await asyncio.open_connection(parts.hostname, parts.port))
        for _ in range(load.concurrency or _CONNECTIONS_AT_A_RATE)
    ]
    idle: asyncio.LifoQueue[_Connection] = asyncio.LifoQueue()

    async def one(connection: _Connection, number: int) -> None:
        began[number] = time.monotonic()
        statuses[await connection.send(requests[number])] += 1

    async def in_turn(connection: _Connection, numbers: Iterator[int]) -> None:
        while (number := next(numbers)) < load.messages:
            await one(connection, number)

    async def whichever(number: int) -> None:
        connection = await idle.get()
        await one(connection, number)
        idle.put_nowait(connection)

    if load.rate is None:
        numbers = count()
        await asyncio.gather(*(in_turn(connection, numbers) for connection in connections))
        return Sent(began=began, statuses=dict(statuses), ended=time.monotonic())
    for connection in connections:
        idle.put_nowait(connection)
    start = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        for number in range(load.messages):
            await asyncio.sleep(start + number / load.rate - time.monotonic())
            tasks.create_task(whichever(number))
    return Sent(began=began, statuses=dict(statuses), ended=time.monotonic())


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(runner.run(send(Load.model_validate_json(sys.stdin.read()))).model_dump_json())
