"""The scenario `pipeline`: SMS through the whole road, webhook to reply at Twilio, and how long that takes.

Each round runs every subject (see `subjects`) once, one after the other, each with an empty database and
a fake Twilio of its own; figures are medians over the rounds, latencies are those of all rounds
together.

- *Throughput*: messages of many phones in turn, posted with bounded concurrency; from the beginning of
  the first POST to the arrival of the last reply at Twilio. A quarter of them begin a conversation. What
  a phone sends meanwhile joins one turn, so turns a second (replies) may be fewer than messages a
  second.
- *With status callbacks*: the same, while Twilio also calls back with what became of each reply, as it
  does in production: several requests a reply. Without them otherwise, since the floors have nothing of
  the kind.
- *Added latency*: messages at a steady rate, open loop; arrival of the reply at Twilio minus the
  beginning of the webhook's POST.
- *CPU*: what the subject's own processes used during the throughput run, a message.
"""

import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median

from gateway.bench.load import Load, Sent
from gateway.bench.machine import Machine, this_machine
from gateway.bench.servers import Servers, servers_if_any
from gateway.bench.stage import BenchFailed, Stage, Twilio, name_of, tell
from gateway.bench.subjects import SUBJECTS, Subject, Target

PATIENCE_SECONDS = 60.0
_WARM_UP = 5_000_000
_AT_A_RATE = 2_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured."""

    rounds: int
    messages: int
    numbers: int
    warm_up: int
    rate: float
    """Messages a second, for latency."""
    rate_messages: int
    broker_messages: int
    concurrency: int = 32


FULL = Size(
    rounds=3, messages=3000, numbers=750, warm_up=100, rate=50, rate_messages=750, broker_messages=8000
)
QUICK = Size(rounds=1, messages=40, numbers=10, warm_up=4, rate=50, rate_messages=25, broker_messages=100)


@dataclass(frozen=True, slots=True)
class Throughput:
    """One run."""

    messages_per_second: float
    turns_per_second: float
    cpu_ms: float


@dataclass(slots=True)
class Measured:
    """All runs of one subject."""

    plain: list[Throughput] = field(default_factory=list)
    with_callbacks: list[Throughput] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    """Seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What came of it."""

    size: Size
    machine: Machine
    subjects: dict[str, Measured]
    broker: list[float]
    """Messages a second, of each round."""
    skipped: str | None
    """Why what is distributed was not measured."""


def measure(size: Size) -> Figures:
    """Run it all. Raises BenchFailed when something does not start, or loses a message."""
    load_before = os.getloadavg()[0]
    with ExitStack() as stack:
        found, skipped = servers_if_any(stack)
        subjects = [subject for subject in SUBJECTS if found is not None or not subject.distributed]
        measured = {subject.name: Measured() for subject in subjects}
        broker: list[float] = []
        for number in range(1, size.rounds + 1):
            for subject in subjects:
                tell(f"round {number} of {size.rounds}: {subject.name}")
                _round(subject, found, size, measured[subject.name])
            if found is not None:
                tell(f"round {number} of {size.rounds}: raw broker")
                broker.append(_broker(found, size))
        machine = this_machine(found, load_before)
    return Figures(size=size, machine=machine, subjects=measured, broker=broker, skipped=skipped)


def _round(subject: Subject, found: Servers | None, size: Size, into: Measured) -> None:
    with subject.running(found, callbacks=False) as (stage, twilio, target):
        into.plain.append(_throughput(stage, twilio, target, size))
        into.latencies += _latencies(stage, twilio, target, size)
    if subject.is_floor:
        return
    with subject.running(found, callbacks=True) as (stage, twilio, target):
        into.with_callbacks.append(_throughput(stage, twilio, target, size))


def _throughput(stage: Stage, twilio: Twilio, target: Target, size: Size) -> Throughput:
    _send(
        stage,
        twilio,
        Load(url=target.url, messages=size.warm_up, numbers=size.numbers, first=_WARM_UP, concurrency=4),
    )
    replies, cpu = twilio.replies, target.cpu_seconds()
    began, arrived = _send(
        stage,
        twilio,
        Load(url=target.url, messages=size.messages, numbers=size.numbers, concurrency=size.concurrency),
    )
    seconds = max(arrived) - min(began)
    return Throughput(
        messages_per_second=size.messages / seconds,
        turns_per_second=(twilio.replies - replies) / seconds,
        cpu_ms=(target.cpu_seconds() - cpu) * 1000 / size.messages,
    )


def _latencies(stage: Stage, twilio: Twilio, target: Target, size: Size) -> list[float]:
    time.sleep(0.5)
    began, arrived = _send(
        stage,
        twilio,
        Load(
            url=target.url,
            messages=size.rate_messages,
            numbers=size.numbers,
            first=_AT_A_RATE,
            rate=size.rate,
        ),
    )
    return [there - here for here, there in zip(began, arrived, strict=True)]


def _send(stage: Stage, twilio: Twilio, load: Load) -> tuple[Sequence[float], Sequence[float]]:
    """When each message was posted, and when its reply arrived, in order. Raises BenchFailed."""
    output = stage.complete(["-m", "gateway.bench.load"], {}, load.model_dump_json())
    sent = Sent.model_validate_json(output)
    if set(sent.statuses) != {200}:
        raise BenchFailed(f"webhooks were not all answered with 200: {sent.statuses}")
    names = [name_of(load.first + number) for number in range(load.messages)]
    arrivals = twilio.arrivals(names, PATIENCE_SECONDS)
    return sent.began, [arrivals[name] for name in names]


def _broker(found: Servers, size: Size) -> float:
    with Stage() as stage:
        command = ["-m", "gateway.bench.broker", found.amqp_url, str(size.broker_messages)]
        return float(stage.complete(command, {}))


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which this share of them lies."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def middle(runs: Sequence[Throughput]) -> Throughput:
    """The medians of several runs."""
    return Throughput(
        median(run.messages_per_second for run in runs),
        median(run.turns_per_second for run in runs),
        median(run.cpu_ms for run in runs),
    )
