"""Texts sent through the SMS webhook under chaos, and the account of what came back.

A sender that gets no 200 repeats the same message until it does, as Twilio's fallback URL or a queue in
front of the gateway would; what has once been answered 200 must be answered exactly once.
"""

import asyncio
import re
import sqlite3
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from urllib.parse import urlencode
from uuid import UUID

import aiohttp

from channels.twilio.signature import sign
from tests.deployments import ACCOUNT, QUOTE_NUMBER, TOKEN, Deployment, TwilioProcess
from tests.services import fetch_value

SENDERS = 8
_PATH = "/webhooks/twilio/sms"
_QUOTED = re.compile(r"<([^<>]*)>")
_REPEAT_SECONDS = 0.1
_PENDING = (
    "SELECT (SELECT COUNT(*) FROM conversations WHERE answered < last_input)"
    " + (SELECT COUNT(*) FROM lanes WHERE settled < queued)"
    " + (SELECT COUNT(*) FROM parts WHERE state IN ('pending', 'sending', 'unknown'))"
)


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """One request of the provider's, ready to be sent to any process."""

    path: str
    body: bytes
    headers: dict[str, str]

    def raw(self, host: str) -> bytes:
        """As it goes over the wire."""
        headers = {"Host": host, "Content-Length": str(len(self.body)), **self.headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"POST {self.path} HTTP/1.1\r\n{lines}\r\n".encode() + self.body


def sms_request(deployment: Deployment, sender: str, text: str, sid: str) -> SignedRequest:
    """A text to the agent that quotes."""
    form = {"MessageSid": sid, "AccountSid": ACCOUNT, "From": sender, "To": QUOTE_NUMBER, "Body": text}
    signature = sign(TOKEN, deployment.urls[0] + _PATH, list(form.items()))
    headers = {
        "X-Twilio-Signature": signature,
        "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
    }
    return SignedRequest(_PATH, urlencode(form).encode(), headers)


@dataclass(slots=True)
class Traffic:
    """Messages from `numbers` people to the agent that quotes, each person's in order."""

    deployment: Deployment
    random: Random
    messages: int
    numbers: int
    repeated: float = 0.0
    """How many of the messages are sent once more after they were taken."""
    statuses: Counter[str] = field(default_factory=Counter)
    """How often each status, or kind of failure, was the webhook's answer."""
    slowest: float = 0.0
    """Seconds of the slowest answer with status 200."""

    @property
    def sent(self) -> dict[str, list[str]]:
        """The texts of each number, in the order they were sent."""
        sent: dict[str, list[str]] = defaultdict(list)
        for number in range(self.messages):
            sent[_number(number % self.numbers)].append(f"t{number}")
        return sent

    async def send(self, *, per_second: float) -> None:
        """Send all, by concurrent senders that each have their own numbers, at most so many a second."""
        numbers = list(self.sent.items())
        self.random.shuffle(numbers)
        pause = SENDERS / per_second
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
            await asyncio.gather(*(self._sender(session, numbers[n::SENDERS], pause) for n in range(SENDERS)))

    async def _sender(
        self, session: aiohttp.ClientSession, numbers: Sequence[tuple[str, list[str]]], pause: float
    ) -> None:
        """Take turns over the numbers."""
        for place in range(max((len(texts) for _, texts in numbers), default=0)):
            for number, texts in numbers:
                if place < len(texts):
                    began = time.monotonic()
                    await self._until_taken(session, number, texts[place])
                    await asyncio.sleep(max(0.0, pause - (time.monotonic() - began)))

    async def _until_taken(self, session: aiohttp.ClientSession, number: str, text: str) -> None:
        sid = f"SM{UUID(int=self.random.getrandbits(128)).hex}"
        request = sms_request(self.deployment, number, text, sid)
        await self._repeat(session, request)
        if self.random.random() < self.repeated:
            await self._repeat(session, request)

    async def _repeat(self, session: aiohttp.ClientSession, request: SignedRequest) -> None:
        for _ in range(1000):
            began = time.monotonic()
            try:
                url = self.deployment.url + request.path
                async with session.post(url, data=request.body, headers=request.headers) as response:
                    await response.read()
                    status = str(response.status)
            except (aiohttp.ClientError, TimeoutError) as error:
                status = type(error).__name__
            self.statuses[status] += 1
            if status == "200":
                self.slowest = max(self.slowest, time.monotonic() - began)
                return
            await asyncio.sleep(_REPEAT_SECONDS)
        raise AssertionError(f"the webhook never took a message: {self.statuses}")


async def stored(deployment: Deployment, sid: str) -> None:
    """Wait until a message has been accepted, without asking whoever accepts it."""
    assert deployment.services is not None
    query = f"SELECT COUNT(*) FROM receipts WHERE provider_message_id = '{sid}'"
    async with asyncio.timeout(60):
        while not await fetch_value(deployment.services.database_url, query):
            pass


async def settled(deployment: Deployment, patience: float) -> None:
    """Wait until the database knows of nothing left to answer or to send.

    Raises AssertionError when what is left has not become less for so many seconds: how long all of it
    takes is the machine's affair.
    """
    least, since = await _pending(deployment), time.monotonic()
    while least:
        await asyncio.sleep(0.5)
        left = await _pending(deployment)
        if left < least:
            least, since = left, time.monotonic()
        assert time.monotonic() - since < patience, f"{left} rows were still pending, for {patience:.0f} s"


async def _pending(deployment: Deployment) -> int:
    if deployment.services is not None:
        found = await fetch_value(deployment.services.database_url, _PENDING)
        assert isinstance(found, int)
        return found
    database = sqlite3.connect(f"file:{deployment.directory}/data/gateway.db?mode=ro", uri=True)
    try:
        return int(database.execute(_PENDING).fetchone()[0])
    finally:
        database.close()


def check(traffic: Traffic, twilio: TwilioProcess) -> None:
    """Every text was quoted in exactly one reply to its number, in the order they were sent."""
    sent = traffic.sent
    quoted: dict[str, list[str]] = defaultdict(list)
    for message in twilio.sent():
        quoted[message["to"]] += _QUOTED.findall(message["body"])
    everything = Counter(text for texts in quoted.values() for text in texts)
    lost = [text for texts in sent.values() for text in texts if not everything[text]]
    doubled = {text: times for text, times in everything.items() if times > 1}
    moved = {number: texts for number, texts in quoted.items() if texts != sent[number]}
    assert not lost, f"{len(lost)} texts were never answered: {lost[:20]}"
    assert not doubled, f"{len(doubled)} texts were answered more than once: {doubled}"
    assert not moved, f"{len(moved)} numbers were answered out of order: {dict(list(moved.items())[:5])}"


def _number(place: int) -> str:
    return f"+1555{2_000_000 + place}"
