"""The scenario `voice`: how long a caller waits for the first word, less the agent, which takes no time.

Callers are on ConversationRelay: each has its WebSocket, signed as Twilio signs it. What is measured is the
time from a prompt to the first word of its reply, with one open call and with many, whose turn it is in turn.
"""

import asyncio
import json
import os
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from statistics import median, quantiles
from typing import Any

import aiohttp

from channels.twilio.signature import sign
from gateway.bench.machine import Machine, this_machine
from gateway.bench.private_server import ServiceFailed, ServiceMissing
from gateway.bench.report import table
from gateway.bench.servers import Servers, servers
from gateway.bench.stage import ACCOUNT, OUR_NUMBER, TOKEN, BenchFailed, Stage, Twilio, name_of, tell
from gateway.bench.subjects import PARTITIONS, distributed, embedded

_RELAY = "/webhooks/twilio/relay"
_WARM_UP = 10
_PATIENCE = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured."""

    calls: int
    """Open at once."""
    prompts_per_second: float
    prompts: int
    """At each side."""


FULL = Size(calls=100, prompts_per_second=20, prompts=200)
QUICK = Size(calls=3, prompts_per_second=20, prompts=6)


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds from a prompt to the first word of its reply."""

    one: list[float] = field(default_factory=list)
    """With one open call."""
    many: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """The median with many calls by that with one."""
        return median(self.many) / median(self.one)


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceFigures:
    """What came of it, by deployment."""

    size: Size
    machine: Machine
    subjects: dict[str, Waits]
    skipped: str | None
    """Why the distributed one was not measured."""


def measure(size: Size) -> VoiceFigures:
    """Run it all. Raises BenchFailed where something does not start or a prompt is not answered."""
    load_before = os.getloadavg()[0]
    found: Servers | None = None
    skipped: str | None = None
    subjects: dict[str, Waits] = {}
    with Stage() as stage:
        tell("embedded: calls over ConversationRelay")
        target = embedded(stage, Twilio(stage, callbacks=False), None)
        subjects["embedded"] = asyncio.run(_waits(target.url, size))
    try:
        tell("starting RabbitMQ and PostgreSQL")
        with servers() as found, Stage() as stage, found.fresh(PARTITIONS) as fresh:
            tell("distributed: calls over ConversationRelay")
            try:
                target = distributed(stage, Twilio(stage, callbacks=False), fresh)
                subjects["distributed"] = asyncio.run(_waits(target.url, size))
            finally:
                stage.end()
            machine = this_machine(found, load_before)
    except (ServiceMissing, ServiceFailed) as missing:
        skipped = str(missing)
        machine = this_machine(None, load_before)
    return VoiceFigures(size=size, machine=machine, subjects=subjects, skipped=skipped)


def as_object(figures: VoiceFigures) -> dict[str, Any]:
    """Everything, for JSON."""
    return {
        "scenario": "voice",
        "machine": asdict(figures.machine),
        "size": asdict(figures.size),
        "subjects": {
            name: {"one_call_seconds": waits.one, "many_calls_seconds": waits.many}
            for name, waits in figures.subjects.items()
        },
        "ratios": {f"{name}_many_to_one": round(waits.ratio, 3) for name, waits in figures.subjects.items()},
        "skipped": figures.skipped,
    }


def as_text(figures: VoiceFigures) -> str:
    """A table, with what it was measured on and how."""
    size = figures.size
    rows = [("", "one call p50", "p95", f"{size.calls} calls p50", "p95", "ratio of the medians")]
    for name, waits in figures.subjects.items():
        rows.append((name, *_milliseconds(waits.one), *_milliseconds(waits.many), f"{waits.ratio:.2f}"))
    lines = [
        figures.machine.line,
        f"from a prompt to the first word; {size.prompts} prompts, {size.prompts_per_second:g} a second",
        "",
        *table(rows),
    ]
    return "\n".join(
        lines if figures.skipped is None else [*lines, "", f"not distributed: {figures.skipped}"]
    )


def _milliseconds(seconds: Sequence[float]) -> tuple[str, str]:
    return f"{median(seconds) * 1000:.1f} ms", f"{quantiles(seconds, n=20)[-1] * 1000:.1f} ms"


async def _waits(url: str, size: Size) -> Waits:
    async with aiohttp.ClientSession() as session:
        waits = Waits()
        for calls, seconds in ((1, waits.one), (size.calls, waits.many)):
            async with AsyncExitStack() as stack:
                open_calls = [await _Call.open(session, stack, url, n) for n in range(calls)]
                seconds += await _prompted(open_calls, size)
        return waits


async def _prompted(calls: Sequence["_Call"], size: Size) -> list[float]:
    """Prompts at their rate, each to the next call; the first few are not counted."""
    asked: list[asyncio.Task[float]] = []
    began = time.monotonic()
    for number in range(size.prompts + _WARM_UP):
        await asyncio.sleep(max(0.0, began + number / size.prompts_per_second - time.monotonic()))
        asked.append(asyncio.create_task(calls[number % len(calls)].ask(name_of(number))))
    return (await asyncio.gather(*asked))[_WARM_UP:]


class _Call:
    """One caller."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._free = asyncio.Lock()

    @classmethod
    async def open(
        cls, session: aiohttp.ClientSession, stack: AsyncExitStack, url: str, number: int
    ) -> "_Call":
        """Dial in: the WebSocket is open, and its call is known after the first answer."""
        signed = sign(TOKEN, f"ws{url.removeprefix('http')}{_RELAY}", ())
        headers = {"X-Twilio-Signature": signed}
        socket = await stack.enter_async_context(session.ws_connect(url + _RELAY, headers=headers))
        sid = os.urandom(16).hex()
        setup = {"type": "setup", "sessionId": f"VX{sid}", "callSid": f"CA{sid}", "accountSid": ACCOUNT}
        await socket.send_json({**setup, "from": f"+1415557{number:04}", "to": OUR_NUMBER})
        return cls(socket)

    async def ask(self, text: str) -> float:
        """Say something; seconds until the first word. A caller waits for the end of the last reply."""
        async with self._free:
            began = time.monotonic()
            await self._socket.send_json({"type": "prompt", "voicePrompt": text, "last": True})
            first: float | None = None
            while True:
                frame = await self._frame()
                if frame.get("token") and first is None:
                    first = time.monotonic() - began
                if frame.get("last") and first is not None:
                    return first

    async def _frame(self) -> dict[str, Any]:
        try:
            message = await self._socket.receive(timeout=_PATIENCE)
        except TimeoutError:
            raise BenchFailed(f"a prompt was not answered within {_PATIENCE:.0f} s") from None
        if message.type is not aiohttp.WSMsgType.TEXT:
            raise BenchFailed("a call was cut off")
        frame: dict[str, Any] = json.loads(message.data)
        return frame
