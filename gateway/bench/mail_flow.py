"""Mail through the gateway: how fast it is taken in, beside a bare aiosmtpd, and how fast it is answered.

Taken in means stored: the raw mail in the attachment store and the message in the database, both on disk,
before the 250. The bare server does nothing with a mail. The mails say that they are a machine's, so that no
turn runs beside. Answered is the whole road: in, a turn, and the reply at a relay. Replies out is the last
piece of it alone (`mail_out`).
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from channels.email.fake import SmtpSink
from gateway.bench import mail_out
from gateway.bench.private_server import free_ports
from gateway.bench.report import table
from gateway.bench.stage import HOST, BenchFailed, Child, Stage

OUR_MAILBOX = "support@example.org"
SESSIONS = 50
"""Clients at once."""
PATIENCE = 60.0
"""Seconds without a reply after which the measurement is given up."""
BARE, GATEWAY = "bare aiosmtpd", "gateway"
NEW, REUSED = "a connection each", "reused connections"
ANSWERED, OUT = "answered", "replies out"

_CONFIG = f"""
[organisation]
name = "Benchmark"
default_agent = "instant"

[[addresses]]
channel = "email"
address = "{OUR_MAILBOX}"

[agents.instant]
kind = "python"
target = "gateway.bench.agent:name_them"
"""


@dataclass(frozen=True, slots=True)
class FlowFigures:
    """Mails a second of each round, by who took them and how they came."""

    mails: int
    rates: dict[str, list[float]] = field(default_factory=dict)

    def ratio(self, how: str) -> float:
        """The gateway to the bare server."""
        return median(self.rates[f"{GATEWAY}, {how}"]) / median(self.rates[f"{BARE}, {how}"])


def measure(mails: Sequence[bytes], rounds: int) -> FlowFigures:
    """Every way by turns. Raises BenchFailed."""
    return asyncio.run(_measure(mails, rounds))


def as_object(figures: FlowFigures) -> dict[str, Any]:
    """For JSON."""
    return {
        "mails": figures.mails,
        "sessions": SESSIONS,
        "mails_per_second": {
            name.replace(", ", "_").replace(" ", "_"): [round(rate, 1) for rate in rates]
            for name, rates in figures.rates.items()
        },
        "ratios": {how.replace(" ", "_"): round(figures.ratio(how), 3) for how in (NEW, REUSED)},
    }


def as_lines(figures: FlowFigures) -> list[str]:
    """A table."""
    rows = [
        (name, f"{median(rates):.0f}", f"{min(rates):.0f} to {max(rates):.0f}", _share(figures, name))
        for name, rates in figures.rates.items()
    ]
    head = f"{figures.mails} mails over SMTP, {SESSIONS} clients at once"
    return [head, "", *table([("", "mails/s", "spread", "to bare"), *rows])]


def _share(figures: FlowFigures, name: str) -> str:
    how = name.partition(", ")[2]
    return f"{figures.ratio(how):.2f}" if name.startswith(GATEWAY) and how in (NEW, REUSED) else ""


async def _measure(mails: Sequence[bytes], rounds: int) -> FlowFigures:
    figures = FlowFigures(len(mails))
    sink = SmtpSink(keeps=False)
    relay = await sink.start()
    try:
        with Stage() as stage:
            bare = stage.start("bare", ["-m", "channels.email.sink"])
            gateway = _gateway(stage, relay)
            ports = {BARE: _port(bare), GATEWAY: _port(gateway)}
            await _sent(ports[GATEWAY], _made(mails[:4], "warm", machine=True), reuse=True)
            for number in range(rounds):
                for how in (NEW, REUSED):
                    for name, port in ports.items():
                        made = _made(mails, f"{number}-{name.split()[0]}-{how.split()[0]}", machine=True)
                        rate = await _rate(port, made, reuse=how == REUSED)
                        figures.rates.setdefault(f"{name}, {how}", []).append(rate)
                asked = _made(mails, f"{number}-asked", machine=False)
                answered = await _answered(ports[GATEWAY], asked, sink)
                figures.rates.setdefault(f"{GATEWAY}, {ANSWERED}", []).append(answered)
                out = await mail_out.rate(ports[BARE], len(mails))
                figures.rates.setdefault(f"{GATEWAY}, {OUT}", []).append(out)
    finally:
        await sink.stop()
    return figures


def _gateway(stage: Stage, relay: str) -> Child:
    (stage.directory / "gateway.toml").write_text(_CONFIG)
    http, smtp = free_ports(2)
    return stage.start(
        "gateway",
        [
            *("-m", "gateway", "dev", "--port", str(http), "--smtp-port", str(smtp)),
            *("--config", str(stage.directory / "gateway.toml"), "--data-dir", str(stage.directory / "data")),
        ],
        {
            "GATEWAY_MAIL_DOMAIN": "example.org",
            "GATEWAY_MAIL_AUTH": "off",  # what the DNS takes is no figure of this machine
            "GATEWAY_SMTP_RELAY_URL": relay,
            "GATEWAY_LOG_FORMAT": "json",
        },
    )


def _port(child: Child) -> int:
    """Where it takes mail, from its ready line."""
    return urlsplit(child.ready_line().split()[-1]).port or 25


def _made(mails: Sequence[bytes], mark: str, *, machine: bool) -> list[tuple[str, bytes]]:
    """(sender, mail): the mails of one round, each of a sender and with an id of its own."""
    head = "Auto-Submitted: auto-generated\r\n" if machine else ""
    return [
        (f"a{number}-{mark}@example.com", f"{head}X-Round: {mark}\r\n".encode() + _renamed(raw, number, mark))
        for number, raw in enumerate(mails)
    ]


def _renamed(raw: bytes, number: int, mark: str) -> bytes:
    """Another id and sender, and no thread."""
    lines = raw.partition(b"\r\n\r\n")
    kept = [
        line
        for line in lines[0].split(b"\r\n")
        if not line.lower().startswith((b"message-id:", b"from:", b"in-reply-to:", b"references:"))
    ]
    own = f"From: a{number}-{mark}@example.com\r\nMessage-ID: <{number}-{mark}@example.com>".encode()
    return b"\r\n".join([own, *kept]) + lines[1] + lines[2]


async def _rate(port: int, mails: list[tuple[str, bytes]], *, reuse: bool) -> float:
    began = time.perf_counter()
    await _sent(port, mails, reuse=reuse)
    return len(mails) / (time.perf_counter() - began)


async def _answered(port: int, mails: list[tuple[str, bytes]], sink: SmtpSink) -> float:
    """From the first mail to the last reply."""
    wanted = sink.count + len(mails)
    began = last = time.perf_counter()
    await _sent(port, mails, reuse=True)
    seen = sink.count
    while sink.count < wanted:
        await asyncio.sleep(0.01)
        if sink.count != seen:
            seen, last = sink.count, time.perf_counter()
        elif time.perf_counter() - last > PATIENCE:
            raise BenchFailed(f"{wanted - sink.count} of {len(mails)} mails were not answered")
    return len(mails) / (time.perf_counter() - began)


async def _sent(port: int, mails: list[tuple[str, bytes]], *, reuse: bool) -> None:
    """Hand over every mail, over some connections or one each."""
    waiting = list(reversed(mails))

    async def client() -> None:
        session: _Session | None = None
        while waiting:
            sender, raw = waiting.pop()
            session = session or await _Session.begun(port)
            await session.mail(sender, raw)
            if not reuse:
                await session.ended()
                session = None
        if session is not None:
            await session.ended()

    await asyncio.gather(*(client() for _ in range(min(SESSIONS, len(mails)))))


class _Session:
    """As much of an SMTP client as costs next to nothing."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def begun(cls, port: int) -> "_Session":
        session = cls(*await asyncio.open_connection(HOST, port))
        await session._reply(b"220")
        await session._say(b"EHLO bench\r\n", b"250")
        return session

    async def mail(self, sender: str, raw: bytes) -> None:
        """Hand one over. Raises BenchFailed where it is not taken."""
        await self._say(f"MAIL FROM:<{sender}>\r\n".encode(), b"250")
        await self._say(f"RCPT TO:<{OUR_MAILBOX}>\r\n".encode(), b"250")
        await self._say(b"DATA\r\n", b"354")
        await self._say(raw.replace(b"\r\n.", b"\r\n..") + b"\r\n.\r\n", b"250")

    async def ended(self) -> None:
        """Take leave."""
        await self._say(b"QUIT\r\n", b"221")
        self._writer.close()

    async def _say(self, what: bytes, wanted: bytes) -> None:
        self._writer.write(what)
        await self._reply(wanted)

    async def _reply(self, wanted: bytes) -> None:
        line = await self._reader.readline()
        while line[3:4] == b"-":
            line = await self._reader.readline()
        if not line.startswith(wanted):
            raise BenchFailed(f"a mail was not taken: {line[:100]!r}")
