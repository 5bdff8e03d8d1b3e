"""Texts through a whole gateway, beside a bare loop: webhooks taken, and parts sent and told of, a second.

Both take the same signed webhooks, answer each text with one, and are called back with what became of it. The
loop checks signatures and stores nothing; the gateway (one process, SQLite) has everything on disk before it
answers. What a phone sends while its turn runs is answered together, so parts may be fewer than texts.
"""

from dataclasses import dataclass, field
from statistics import median
from typing import Any

from gateway.bench.load import Load, Sent
from gateway.bench.private_server import free_ports
from gateway.bench.report import table
from gateway.bench.stage import HOST, BenchFailed, Stage, Twilio, name_of
from gateway.bench.subjects import embedded

LOOP, GATEWAY = "bare loop", "gateway"
PATIENCE_SECONDS = 60.0
_WARM_UP = 5_000_000
_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class FlowFigures:
    """A second, of each round, by who did it."""

    texts: int
    taken: dict[str, list[float]] = field(default_factory=dict)
    """Webhooks."""
    parts: dict[str, list[float]] = field(default_factory=dict)
    """From the first webhook to the last receipt."""

    def ratios(self) -> dict[str, float]:
        """The gateway to the loop."""
        return {
            name: round(median(rates[GATEWAY]) / median(rates[LOOP]), 3)
            for name, rates in (("webhooks_to_bare_loop", self.taken), ("parts_to_bare_loop", self.parts))
        }


def measure(texts: int, rounds: int) -> FlowFigures:
    """Both by turns, each with a fake Twilio of its own. Raises BenchFailed."""
    figures = FlowFigures(texts)
    for _ in range(rounds):
        for name in (LOOP, GATEWAY):
            with Stage() as stage:
                twilio = Twilio(stage, callbacks=True)
                url = _loop(stage, twilio) if name == LOOP else embedded(stage, twilio, None).url
                _send(stage, twilio, Load(url=url, messages=20, numbers=5, first=_WARM_UP, concurrency=4))
                before = twilio.replies
                load = Load(url=url, messages=texts, numbers=max(texts // 4, 1), concurrency=_AT_ONCE)
                sent, told = _send(stage, twilio, load)
            began = min(sent.began)
            figures.taken.setdefault(name, []).append(texts / (sent.ended - began))
            figures.parts.setdefault(name, []).append((twilio.replies - before) / (told - began))
    return figures


def as_object(figures: FlowFigures) -> dict[str, Any]:
    """For JSON."""
    return {
        "texts": figures.texts,
        "webhooks_per_second": _rounded(figures.taken),
        "parts_with_receipts_per_second": _rounded(figures.parts),
        "ratios": figures.ratios(),
    }


def as_lines(figures: FlowFigures) -> list[str]:
    """A table."""
    rows = [
        (name, *(f"{median(rates[name]):.0f}" for rates in (figures.taken, figures.parts)))
        for name in figures.taken
    ]
    return [
        f"{figures.texts} texts, {_AT_ONCE} at once, each answered and its receipts taken",
        "",
        *table([("", "webhooks/s", "parts/s with receipts"), *rows]),
        "",
        *(f"{name.replace('_', ' ')}: {ratio:.2f}" for name, ratio in figures.ratios().items()),
    ]


def _loop(stage: Stage, twilio: Twilio) -> str:
    (port,) = free_ports(1)
    stage.start("loop", ["-m", "gateway.bench.floor", "loop", str(port), twilio.url]).ready_line()
    return f"http://{HOST}:{port}"


def _send(stage: Stage, twilio: Twilio, load: Load) -> tuple[Sent, float]:
    """What the load says, and when the last receipt was answered. Raises BenchFailed."""
    sent = Sent.model_validate_json(stage.complete(["-m", "gateway.bench.load"], {}, load.model_dump_json()))
    if set(sent.statuses) != {200}:
        raise BenchFailed(f"webhooks were not all answered with 200: {sent.statuses}")
    twilio.arrivals([name_of(load.first + number) for number in range(load.messages)], PATIENCE_SECONDS)
    return sent, twilio.settled(PATIENCE_SECONDS)


def _rounded(rates: dict[str, list[float]]) -> dict[str, list[float]]:
    return {name.replace(" ", "_"): [round(rate, 1) for rate in found] for name, found in rates.items()}
