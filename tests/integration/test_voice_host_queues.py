"""The reference voice host on the queues: what is doubled, lost on the way, or outlived by a kill."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aio_pika
import pytest

from channels.voice.host.host import VoiceHost, open_layer
from channels.voice.host.ledger import Json, Ledger
from channels.voice.host.queues import GatewayQueues
from channels.voice.host.sip.dialog import cancel_of
from channels.voice.host.sip.message import Request
from channels.voice.host.sip.transactions import ServerTransaction, Transactions
from channels.voice.host.site import Site
from gateway.bench.services import PrivateRabbit
from gateway.bus.topology import Topology
from gateway.domain.clock import SECOND, Clock, rfc3339
from gateway.domain.ids import new_id

HOST = "127.0.0.1"
SECONDS = 40
OFFER = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n"


class Core:
    """The gateway's end of the queues."""

    def __init__(self, connection: aio_pika.abc.AbstractConnection, topology: Topology) -> None:
        self._connection = connection
        self._topology = topology

    async def declare(self) -> None:
        """What the gateway declares of it."""
        channel = await self._connection.channel()
        events = await channel.declare_exchange(self._topology.name("voice.events"), "direct", durable=True)
        await channel.declare_exchange(self._topology.name("dead"), "fanout", durable=True)
        (queue,) = (q for q in self._topology.queues() if q.name.endswith("voice.events"))
        declared = await channel.declare_queue(queue.name, durable=True, arguments=dict(queue.arguments))
        await declared.bind(events, "event")

    async def tell(self, kind: str, data: Json, key: str = "h1") -> None:
        """Send something to the host."""
        channel = await self._connection.channel(publisher_confirms=True, on_return_raises=True)
        exchange = await channel.get_exchange(self._topology.name("voice"))
        envelope = {"id": new_id(), "type": kind, "occurred_at": rfc3339(Clock().now()), "data": data}
        await exchange.publish(aio_pika.Message(json.dumps(envelope).encode()), key, mandatory=True)
        await channel.close()

    async def events(self, count: int) -> list[Json]:
        """So many events, in order; taken off the queue."""
        channel = await self._connection.channel()
        queue = await channel.get_queue(self._topology.name("voice.events"))
        taken: list[Json] = []
        async with asyncio.timeout(SECONDS):
            while len(taken) < count:
                message = await queue.get(no_ack=True, fail=False)
                if message is None:
                    await asyncio.sleep(0.02)
                else:
                    taken.append(json.loads(message.body)["data"])
        await channel.close()
        return taken

    async def nothing_waits(self) -> None:
        """No event is left."""
        channel = await self._connection.channel()
        queue = await channel.get_queue(self._topology.name("voice.events"))
        assert await queue.get(no_ack=True, fail=False) is None
        await channel.close()


@asynccontextmanager
async def core_at(url: str, prefix: str) -> AsyncIterator[Core]:
    """The gateway's end, with what it declares."""
    connection = await aio_pika.connect(url)
    async with connection:
        core = Core(connection, Topology(prefix))
        await core.declare()
        yield core


class Caller:
    """Somebody who calls the host, as far as these tests need one."""

    def __init__(self, peer: tuple[str, int]) -> None:
        self._layer = Transactions(self._received)
        self._peer = peer
        self.referred = 0

    async def call(self) -> int:
        """Call; the status of the answer."""
        await self._layer.open(HOST, 0)
        port = self._layer.local[1]
        headers = (
            self._layer.via(),
            ("from", f"<sip:+14155550123@{HOST}>;tag=caller"),
            ("to", f"<sip:+15550100@{HOST}>"),
            ("call-id", new_id()),
            ("cseq", "1 INVITE"),
            ("contact", f"<sip:caller@{HOST}:{port}>"),
            ("content-type", "application/sdp"),
        )
        request = Request(headers, OFFER, "INVITE", f"sip:+15550100@{HOST}")
        response = await self._layer.ask(request, self._peer)
        if response.status == 200:
            ack = cancel_of(request)
            kept = tuple(h for h in ack.headers if h[0] not in ("cseq", "to", "via"))
            more = (self._layer.via(), ("to", response.get("to")), ("cseq", "1 ACK"))
            self._layer.acknowledge(Request((*kept, *more), b"", "ACK", request.uri), self._peer)
        return response.status

    def _received(self, server: ServerTransaction) -> None:
        self.referred += server.request.method == "REFER"
        if server.request.method != "REFER":
            server.reply(200, "OK")

    def close(self) -> None:
        """Be gone."""
        self._layer.close()


class Running:
    """A host with its queues."""

    def __init__(self, directory: Path, url: str, prefix: str) -> None:
        self.ledger = Ledger(directory / "h1.jsonl")
        self.queues = GatewayQueues(url, prefix, "h1", self.ledger, Clock())
        self.host = VoiceHost()
        self.peer = ("", 0)

    async def start(self) -> None:
        """Serve."""
        layer = await open_layer(self.host, HOST, 0)
        self.peer = layer.local
        clock = Clock()
        self.host.start(Site("h1", layer, self.ledger, self.queues, clock, (HOST, 9), self.host.add_leg))
        await self.queues.start(self.host.told)

    async def stop(self) -> None:
        """Leave everything as a kill would."""
        await self.queues.stop()
        self.host.close()
        self.ledger.close()


async def up(core: Core, running: Running) -> tuple[Caller, str]:
    """A call that is up, and its id."""
    caller = Caller(running.peer)
    calling = asyncio.create_task(caller.call())
    (started,) = await core.events(1)
    assert started["kind"] == "call.started"
    ids = {"conversation_id": new_id(), "end_user_id": new_id()}
    await core.tell("voice.event", {"kind": "call.accepted", "call_id": started["call_id"], **ids})
    assert await calling == 200
    return caller, started["call_id"]


def intent(call_id: str, kind: str, payload: Json, **changed: Any) -> Json:
    """An intent."""
    now = Clock().now()
    told = {"intent_id": new_id(), "call_id": call_id, "conversation_id": new_id(), "turn_id": None}
    times = {"issued_at": rfc3339(now), "not_after": rfc3339(now + 30 * SECOND)}
    return {**told, **times, "kind": kind, "payload": payload, **changed}


def say(call_id: str, text: str) -> Json:
    """Something to say."""
    payload = {"utterance_id": new_id(), "n": 0, "text": text, "final": True, "interruptible": True}
    return intent(call_id, "say", payload)


TRANSFER = {"destination": "sip:desk@example.org", "mode": "cold"}


@pytest.fixture
async def core(rabbit_url: str, amqp_prefix: str) -> AsyncIterator[Core]:
    """The gateway's end of the shared broker."""
    async with core_at(rabbit_url, amqp_prefix) as opened:
        yield opened


@pytest.fixture
async def running(core: Core, rabbit_url: str, amqp_prefix: str, tmp_path: Path) -> AsyncIterator[Running]:
    """A host on the shared broker."""
    started = Running(tmp_path, rabbit_url, amqp_prefix)
    await started.start()
    yield started
    await started.stop()


async def test_a_doubled_intent_is_done_once_and_answered_twice(core: Core, running: Running) -> None:
    caller, call_id = await up(core, running)
    wanted = intent(call_id, "transfer", TRANSFER)
    for _ in range(2):
        await core.tell("voice.intent", wanted)
    (progress,) = await core.events(1)
    assert (progress["kind"], progress["state"]) == ("intent.progress", "refer")
    other = intent(call_id, "transfer", TRANSFER)
    for _ in range(2):
        await core.tell("voice.intent", other)
    busy = await core.events(2)
    assert busy[0] == busy[1]
    assert (busy[0]["intent_id"], busy[0]["state"]) == (other["intent_id"], "rejected_busy")
    assert caller.referred == 1
    caller.close()


async def test_what_came_too_late_or_is_not_wanted_any_more(core: Core, running: Running) -> None:
    caller, call_id = await up(core, running)
    late = intent(call_id, "transfer", TRANSFER, not_after="2026-01-01T00:00:00Z")
    unwanted = intent(call_id, "transfer", TRANSFER)
    await core.tell("voice.intent", late)
    await core.tell("voice.intent", intent(call_id, "cancel", {"intent_id": unwanted["intent_id"]}))
    await core.tell("voice.intent", unwanted)
    told = await core.events(3)
    assert [(event["state"], event["seq"]) for event in told] == [
        ("expired", 0),
        ("done", 1),
        ("canceled", 2),
    ]
    assert caller.referred == 0
    caller.close()


async def test_what_is_not_valid_blocks_nothing(core: Core, running: Running) -> None:
    caller, call_id = await up(core, running)
    await core.tell("voice.intent", {"kind": "dance"})
    await core.tell("voice.dance", {})
    await core.tell("voice.intent", say(call_id, "hello"), "h1.say")
    ((spoken),) = await core.events(1)
    assert spoken["state"] == "spoken"
    caller.close()


async def test_a_successor_ends_what_a_killed_host_had(
    core: Core, running: Running, rabbit_url: str, amqp_prefix: str, tmp_path: Path
) -> None:
    caller, call_id = await up(core, running)
    wanted = intent(call_id, "transfer", TRANSFER)
    await core.tell("voice.intent", wanted)
    await core.events(1)
    await running.stop()
    successor = Running(tmp_path, rabbit_url, amqp_prefix)
    await successor.start()
    lost, ended = await core.events(2)
    assert (lost["intent_id"], lost["state"], lost["seq"]) == (wanted["intent_id"], "host_lost", 1)
    assert (ended["kind"], ended["reason"]) == ("call.ended", "host_lost")
    await core.tell("voice.intent", wanted)
    assert await core.events(1) == [lost]
    await core.nothing_waits()
    assert caller.referred == 1
    await successor.stop()
    caller.close()


async def test_reports_have_no_gaps_over_a_restart_of_the_broker(
    private_rabbit: PrivateRabbit, amqp_prefix: str, tmp_path: Path
) -> None:
    running = Running(tmp_path, private_rabbit.url, amqp_prefix)
    async with core_at(private_rabbit.url, amqp_prefix) as core:
        await running.start()
        caller, call_id = await up(core, running)
        await core.tell("voice.intent", say(call_id, "before"))
        before = await core.events(1)
    restarting = asyncio.create_task(asyncio.to_thread(private_rabbit.restart))
    meanwhile = 0
    while not restarting.done():
        running.host.told("voice.intent", say(call_id, "while it is away"))()
        meanwhile += 1
        await asyncio.sleep(0.2)
    await restarting
    async with core_at(private_rabbit.url, amqp_prefix) as core:
        last = say(call_id, "after")
        await core.tell("voice.intent", last)
        reports = before
        while reports[-1]["intent_id"] != last["intent_id"]:
            reports += await core.events(1)
    # one whose confirmation was lost comes twice, under the same id
    assert list(dict.fromkeys(event["seq"] for event in reports)) == list(range(meanwhile + 2))
    await running.stop()
    caller.close()
