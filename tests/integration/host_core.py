"""The gateway's end of the queues of a voice host, a host on them, and somebody who calls it."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aio_pika

from channels.voice.host.host import VoiceHost, open_layer
from channels.voice.host.ledger import Json, Ledger
from channels.voice.host.queues import GatewayQueues
from channels.voice.host.sip.dialog import Dialog
from channels.voice.host.sip.message import Request, sip_uri
from channels.voice.host.sip.transactions import ServerTransaction, Transactions
from channels.voice.host.site import Site
from gateway.bus.topology import Topology
from gateway.domain.clock import SECOND, Clock, rfc3339
from gateway.domain.ids import new_id

HOST = "127.0.0.1"
SECONDS = 60
OFFER = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n"


class Core:
    """The gateway's end of the queues."""

    def __init__(self, connection: aio_pika.abc.AbstractConnection, topology: Topology) -> None:
        self._connection = connection
        self._topology = topology
        self._dead: aio_pika.abc.AbstractQueue

    async def declare(self) -> None:
        """What the gateway declares of it."""
        channel = await self._connection.channel()
        events = await channel.declare_exchange(self._topology.name("voice.events"), "direct", durable=True)
        dead = await channel.declare_exchange(self._topology.name("dead"), "fanout", durable=True)
        self._dead = await channel.declare_queue(exclusive=True)
        await self._dead.bind(dead)
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
        """So many events, in order; taken off a queue that a broker which has just begun may not have yet."""
        taken: list[Json] = []
        async with asyncio.timeout(SECONDS):
            while len(taken) < count:
                with suppress(TimeoutError, aio_pika.exceptions.AMQPError):
                    await self._take(taken, count)
        return taken

    async def dead_letters(self, count: int) -> list[tuple[Any, Any]]:
        """So many dead letters: the queue and the reason of each."""
        letters: list[tuple[Any, Any]] = []
        async with asyncio.timeout(SECONDS):
            while len(letters) < count:
                letter = await self._dead.get(no_ack=True, fail=False)
                if letter is None:
                    await asyncio.sleep(0.02)
                else:
                    letters.append((letter.headers["x-gateway-queue"], letter.headers["x-gateway-reason"]))
        return letters

    async def news(self, count: int, known: Sequence[Json]) -> list[Json]:
        """So many events that are none of these: what a killed host had not seen confirmed comes twice."""
        taken: list[Json] = []
        while len(taken) < count:
            taken += [event for event in await self.events(1) if event not in known]
        return taken

    async def _take(self, taken: list[Json], count: int) -> None:
        async with self._connection.channel() as channel:
            queue = await channel.get_queue(self._topology.name("voice.events"))
            while len(taken) < count:
                message = await queue.get(no_ack=True, fail=False)
                if message is None:
                    await asyncio.sleep(0.02)
                else:
                    taken.append(json.loads(message.body)["data"])

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
        self._dialog: Dialog | None = None
        self.referred = 0
        self.hung_up = asyncio.Event()

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
            self._dialog = Dialog.calling(request, response, self._peer)
            ack = self._dialog.request(self._layer, "ACK", sequence=1)
            self._layer.acknowledge(ack, self._peer)
        return response.status

    async def press(self, keys: str) -> None:
        """Press keys, one after the other (RFC 6086)."""
        for key in keys:
            kind = (("content-type", "application/dtmf-relay"),)
            assert await self._send("INFO", kind, f"Signal={key}".encode()) == 200

    async def hang_up(self) -> None:
        """Be gone."""
        assert await self._send("BYE") == 200

    async def _send(self, method: str, more: tuple[tuple[str, str], ...] = (), body: bytes = b"") -> int:
        assert self._dialog is not None
        request = self._dialog.request(self._layer, method, more, body)
        return (await self._layer.ask(request, self._peer)).status

    def _received(self, server: ServerTransaction) -> None:
        method = server.request.method
        self.referred += method == "REFER"
        if method != "REFER":
            server.reply(200, "OK")
        if method == "BYE":
            self.hung_up.set()

    def close(self) -> None:
        """Say nothing more."""
        self._layer.close()


class Phones:
    """Whoever is called by way of the host's trunk: it rings, and nobody answers."""

    def __init__(self) -> None:
        self._layer = Transactions(self._received)
        self.called: list[str] = []
        """The numbers, each as often as it was called."""
        self.cancelled = 0

    async def open(self) -> tuple[str, int]:
        """Be reachable; where."""
        await self._layer.open(HOST, 0)
        return self._layer.local

    def close(self) -> None:
        """Be gone."""
        self._layer.close()

    def _received(self, server: ServerTransaction) -> None:
        request = server.request
        match request.method:
            case "INVITE":
                self.called.append(sip_uri(request.uri).user)
                server.reply(180, "Ringing", "phone")
            case "CANCEL":
                self.cancelled += 1
                server.reply(200, "OK")
                invite = self._layer.find_invite(request)
                if invite is not None:
                    invite.reply(487, "Request Terminated", "phone")
            case _:
                server.reply(481, "Call/Transaction Does Not Exist")


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


async def up(core: Core, peer: tuple[str, int]) -> tuple[Caller, str]:
    """A call that is up at the host there, and its id; called again where the host has not waited."""
    while True:
        caller = Caller(peer)
        calling = asyncio.create_task(caller.call())
        (started,) = await core.events(1)
        assert started["kind"] == "call.started"
        ids = {"conversation_id": new_id(), "end_user_id": new_id()}
        await core.tell("voice.event", {"kind": "call.accepted", "call_id": started["call_id"], **ids})
        status = await calling
        if status == 200:
            return caller, started["call_id"]
        assert status == 503
        assert [event["kind"] for event in await core.events(1)] == ["call.ended"]
        caller.close()


def intent(call_id: str, kind: str, payload: Json, **changed: Any) -> Json:
    """An intent."""
    now = Clock().now()
    told = {"intent_id": new_id(), "call_id": call_id, "conversation_id": new_id(), "turn_id": None}
    times = {"issued_at": rfc3339(now), "not_after": rfc3339(now + 3600 * SECOND)}
    return {**told, **times, "kind": kind, "payload": payload, **changed}


def say(call_id: str, text: str) -> Json:
    """Something to say."""
    payload = {"utterance_id": new_id(), "n": 0, "text": text, "final": True, "interruptible": True}
    return intent(call_id, "say", payload)


TRANSFER = {"destination": "sip:desk@example.org", "mode": "cold"}
