"""The reference voice host in this process, with SIPp around it and a stand-in for the gateway's queues."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from channels.voice.host.host import VoiceHost, open_layer
from channels.voice.host.ledger import Json, Ledger
from channels.voice.host.site import Site
from gateway.bench.private_server import free_ports
from gateway.domain.clock import SECOND, Clock, rfc3339
from gateway.domain.digits import DEFAULT_DIGITS, DigitCollector
from gateway.domain.ids import new_id
from tests.services import sipp
from tests.services.sipp import Sipp

OURS, THEIRS = "+15550100", "+14155550123"
PATIENT = DEFAULT_DIGITS.model_copy(update={"inter_digit_timeout_ms": 60_000})
"""A datagram that a busy machine loses is sent again after 8 s; its key still belongs to those before it."""
HOST = "127.0.0.1"
TARGET = "sip:desk@example.org"
SLOW_T1 = 2.0
"""Seconds: SIPp gives up at an answer that is repeated because it was slow to acknowledge the first."""


class Gateway:
    """The other end of the host's link: accepts every call, and answers events as a test wants it."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.host = VoiceHost()
        self.events: list[Json] = []
        self.on: Callable[[Json], None] = lambda _event: None
        self.holding = False
        """Whether calls wait for `accept`."""
        self._more = asyncio.Event()

    def report(self, event: Json) -> None:
        """An event of the host."""
        self._ledger.report(new_id(), event)
        self.events.append(event)
        self._more.set()
        loop = asyncio.get_running_loop()
        if event["kind"] == "call.started" and not self.holding:
            loop.call_soon(self.accept, event["call_id"])
        loop.call_soon(self.on, event)

    def accept(self, call_id: str) -> None:
        """Take a call."""
        self.host.told("voice.event", {"kind": "call.accepted", "call_id": call_id})()

    def want(self, call_id: str, kind: str, payload: Json, **changed: Any) -> Json:
        """Tell the host to do something; the intent."""
        now = Clock().now()
        intent = {
            "intent_id": new_id(),
            "call_id": call_id,
            "conversation_id": new_id(),
            "turn_id": None,
            "issued_at": rfc3339(now),
            "not_after": rfc3339(now + 600 * SECOND),
            "kind": kind,
            "payload": payload,
            **changed,
        }
        self.host.told("voice.intent", intent)()
        return intent

    def of(self, kind: str) -> list[Json]:
        """The events of a kind."""
        return [event for event in self.events if event["kind"] == kind]

    async def until(self, kind: str, count: int = 1) -> Json:
        """The last of so many events of a kind, once they are there."""
        async with asyncio.timeout(sipp.SECONDS):
            while len(self.of(kind)) < count:
                self._more.clear()
                await self._more.wait()
        return self.of(kind)[count - 1]

    def numbered_without_gaps(self) -> None:
        """The reports of each call are numbered from 0 on."""
        reports = [event for event in self.events if "seq" in event]
        for _, one in groupby(sorted(reports, key=lambda e: str(e["call_id"])), lambda e: e["call_id"]):
            numbers = [event["seq"] for event in one]
            assert numbers == list(range(len(numbers)))


class Place:
    """A host, and SIPp around it."""

    def __init__(self, directory: Path, gateway: Gateway, address: tuple[str, int], trunk_port: int) -> None:
        self._directory = directory
        self.gateway = gateway
        self.address = address
        self.trunk_port = trunk_port
        self._running: list[Sipp] = []

    async def start(self, name: str, *steps: str, port: int = 0, calls: int = 1) -> Sipp:
        """A caller, or at `port` somebody who is called."""
        free, media = free_ports(2)
        started = Sipp(self._directory, name, steps, port=port or free, media_port=media - media % 2)
        self._running.append(started)
        await started.start(self.address, calls)
        return started

    async def run(self, *steps: str, calls: int = 1) -> None:
        """A caller, to the end."""
        await (await self.start("caller", *steps, calls=calls)).finish()
        await self.gateway.until("call.ended", calls)

    def stop(self) -> None:
        """End whatever still runs."""
        for one in self._running:
            one.stop()


@asynccontextmanager
async def hosting(directory: Path, notify_seconds: float = 60.0) -> AsyncIterator[Place]:
    """A host that serves on loopback."""
    ledger = Ledger(directory / "host.jsonl")
    gateway = Gateway(ledger)
    (trunk_port,) = free_ports(1)
    layer = await open_layer(gateway.host, HOST, 0)
    trunk = (HOST, trunk_port)
    clock = Clock()
    gateway.host.start(
        Site("host-1", layer, ledger, gateway, clock, trunk, gateway.host.add_leg, notify_seconds)
    )
    place = Place(directory, gateway, layer.local, trunk_port)
    try:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("channels.voice.host.call.DigitCollector", partial(DigitCollector, PATIENT))
            patched.setattr("channels.voice.host.sip.transactions.T1", SLOW_T1)
            patched.setattr("channels.voice.host.host.ACCEPT_SECONDS", sipp.SECONDS)
            yield place
    finally:
        place.stop()
        gateway.host.close()
        ledger.close()


def heard(gateway: Gateway) -> list[tuple[str, str]]:
    """The digits of all calls."""
    return [(event["digits"], event["ended_by"]) for event in gateway.of("user.dtmf")]


def when_dialled(gateway: Gateway, *todo: Callable[[str], object]) -> None:
    """Each time the caller has pressed something, do the next."""
    left = list(todo)

    def on(event: Json) -> None:
        if event["kind"] == "user.dtmf" and left:
            left.pop(0)(event["call_id"])

    gateway.on = on
