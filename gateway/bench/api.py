"""The scenario `api`: what a client waits for, beside little and beside much.

Each request is made at both by turns, so that what else the machine does meanwhile falls on both alike; a
ratio is that of the medians.

- *A long conversation*: one of few messages and one of many, at one gateway. `poll` reads the last three
  messages, `read` the conversation with its last 20, `turn` takes a turn; an agent is given 50 messages at
  most.
- *A large table*: two gateways, one with few conversations and one with many; pages of 50 are full at both.
  `list one status` are those that wait for a person, as many at both.
"""

import asyncio
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPException
from statistics import median
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

from gateway.bench.crowd import Place, add_conversations, add_messages
from gateway.bench.machine import Machine, this_machine
from gateway.bench.servers import Servers, servers_if_any
from gateway.bench.stage import BenchFailed, Stage, Twilio, tell
from gateway.bench.subjects import AGENT, KEY, ORGANISATION, PARTITIONS, Target, distributed, embedded
from gateway.domain.ids import named_id
from gateway.settings import organization_id_of

FEW = 100
"""Conversations in the small table."""
SHORT = 10
"""Messages of a short conversation."""
_WAITING = 50
_CONVERSATIONS = "/v1/v2/conversations"
_WARM_UP = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSize:
    """How much is measured."""

    samples: int
    """Of each request, at each side."""
    conversations: int
    messages: int


FULL = ApiSize(samples=200, conversations=1_000_000, messages=10_000)
QUICK = ApiSize(samples=2, conversations=2_000, messages=300)


@dataclass(slots=True)
class Compared:
    """What a request took beside little and beside much, in seconds."""

    little: list[float] = field(default_factory=list)
    much: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """The median beside much by that beside little."""
        return median(self.much) / median(self.little)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiFigures:
    """What came of it."""

    size: ApiSize
    machine: Machine
    subjects: dict[str, dict[str, Compared]]
    """By deployment and request."""
    skipped: str | None
    """Why the distributed one was not measured."""


class Client:
    """One kept connection to a gateway, with a key of its administrator."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._connection = HTTPConnection(urlsplit(target.url).netloc, timeout=60)
        person = self.call("POST", "/v1/identity/resolve", {"channel": "api", "identifier": uuid4().hex})
        self._end_user_id: str = person["end_user_id"]

    def close(self) -> None:
        """Let the connection go."""
        self._connection.close()

    def call(self, method: str, path: str, body: object = None) -> Any:
        """The answer's body. Raises BenchFailed where there is none, and for any status that is not 2xx."""
        headers = {"x-api-key": KEY, "content-type": "application/json"}
        try:
            self._connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = self._connection.getresponse()
            answer = json.loads(response.read())
        except (HTTPException, OSError) as error:
            raise BenchFailed(f"{method} {path} was not answered: {error}") from error
        if response.status // 100 != 2:
            raise BenchFailed(f"{method} {path} was answered with {response.status}: {answer}")
        return answer

    def create(self) -> str:
        """A new conversation."""
        answer = self.call("POST", _CONVERSATIONS, {"end_user_id": self._end_user_id, "channel": "api"})
        return str(answer["id"])

    def listed(self, **query: str) -> None:
        """A page of 50, which must be full."""
        page = self.call("GET", f"{_CONVERSATIONS}?{urlencode({**query, 'limit': '50'})}")
        if len(page["items"]) != 50:
            raise BenchFailed(f"a page of {query} has {len(page['items'])} rows")

    def poll(self, conversation_id: str, since: int) -> None:
        """The last three messages."""
        page = self.call("GET", f"{_CONVERSATIONS}/{conversation_id}/messages?since_seq={since}")
        if len(page["messages"]) != 3:
            raise BenchFailed(f"a poll after {since} has {len(page['messages'])} messages")

    def read(self, conversation_id: str) -> None:
        """The conversation with what was said last."""
        self.call("GET", f"{_CONVERSATIONS}/{conversation_id}")

    def turn(self, conversation_id: str) -> None:
        """One turn."""
        self.call("POST", f"{_CONVERSATIONS}/{conversation_id}/turns", {"user_message": "m0000001"})


def measure(size: ApiSize) -> ApiFigures:
    """Run it all. Raises BenchFailed when something does not start or is not answered as it should be."""
    load_before = os.getloadavg()[0]
    with ExitStack() as stack:
        found, skipped = servers_if_any(stack)
        subjects = {"embedded": _subject("embedded", None, size)}
        if found is not None:
            subjects["distributed"] = _subject("distributed", found, size)
        machine = this_machine(found, load_before)
    return ApiFigures(size=size, machine=machine, subjects=subjects, skipped=skipped)


def _subject(name: str, found: Servers | None, size: ApiSize) -> dict[str, Compared]:
    with ExitStack() as stack:
        tell(f"{name}: a table of {FEW} conversations, and one of {size.conversations}")
        targets = [stack.enter_context(_running(found, count)) for count in (FEW, size.conversations)]
        # not before: a gateway closes a connection that nothing is asked on while the other one is filled
        few, many = [stack.enter_context(closing(Client(target))) for target in targets]
        tell(f"{name}: a large table")
        tables = _large_table(few, many, size)
        tell(f"{name}: a long conversation")
        return {**_long_conversation(few, size), **tables}


@contextmanager
def _running(found: Servers | None, conversations: int) -> Iterator[Target]:
    """A gateway over a database with so many conversations."""

    def fill(url: str) -> None:
        organization_id = organization_id_of(ORGANISATION)
        place = Place(organization_id, named_id(organization_id, AGENT))
        newest = time.time_ns() // 1000
        asyncio.run(add_conversations(url, place, conversations, waiting=_WAITING, newest=newest))

    with Stage() as stage:
        twilio = Twilio(stage, callbacks=False)
        if found is None:
            yield embedded(stage, twilio, None, fill)
            return
        with found.fresh(PARTITIONS) as fresh:
            try:
                yield distributed(stage, twilio, fresh, fill)
            finally:
                stage.end()


def _large_table(few: Client, many: Client, size: ApiSize) -> dict[str, Compared]:
    an_hour_ago = (datetime.now(UTC) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    requests: dict[str, Callable[[Client], object]] = {
        "list": lambda client: client.listed(),
        "list one status": lambda client: client.listed(status="waiting_for_human"),
        "list since": lambda client: client.listed(started_after=an_hour_ago),
        "create": lambda client: client.create(),
    }
    return {
        name: _compared(size, lambda _, r=request: r(few), lambda _, r=request: r(many))  # type: ignore[misc]
        for name, request in requests.items()
    }


def _long_conversation(client: Client, size: ApiSize) -> dict[str, Compared]:
    url, now = client.target.database_url, time.time_ns() // 1000
    # a short conversation takes one turn only: it would not stay short
    short = [client.create() for _ in range(size.samples + _WARM_UP)]
    long = client.create()
    asyncio.run(add_messages(url, short, SHORT, first=0, at=now))
    asyncio.run(add_messages(url, [long], size.messages, first=0, at=now))
    return {
        "poll": _compared(
            size, lambda n: client.poll(short[n], SHORT - 4), lambda _: client.poll(long, size.messages - 4)
        ),
        "read": _compared(size, lambda n: client.read(short[n]), lambda _: client.read(long)),
        "turn": _compared(size, lambda n: client.turn(short[n]), lambda _: client.turn(long)),
    }


def _compared(size: ApiSize, little: Callable[[int], object], much: Callable[[int], object]) -> Compared:
    """Each as often, by turns; the first few are not counted."""
    compared = Compared()
    for number in range(size.samples + _WARM_UP):
        sides = [(little, compared.little), (much, compared.much)]
        for request, seconds in sides if number % 2 else reversed(sides):
            began = time.monotonic()
            request(number)
            if number >= _WARM_UP:
                seconds.append(time.monotonic() - began)
    return compared


MARKS: Sequence[tuple[str, float]] = (
    ("poll", 1.5),
    ("read", 1.5),
    ("turn", 1.5),
    ("list", 2.0),
    ("list one status", 2.0),
    ("list since", 2.0),
    ("create", 2.0),
)
"""The requests in the order they are told, and the ratio that none should exceed."""
