"""What a text costs: counted in segments, and cut into parts, beside a bare count; and the whole way.

The bare count is what an adapter without this would do: is every character in GSM-7, and a division. It is
wrong where a pair or a grapheme does not fit (three segments for 153 euro signs, not two), and cuts nothing.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from channels.sms.chunks import split
from channels.sms.plain import sms_text
from channels.sms.segments import GSM_BASIC, GSM_EXTENSION
from channels.sms.segments import measure as segments_of
from gateway.bench import sms_flow
from gateway.bench.machine import Machine, this_machine
from gateway.bench.report import table
from gateway.bench.sms_flow import FlowFigures

BARE, SEGMENTS, PARTS = "bare count", "segments", "parts of long replies"

_GSM = frozenset(GSM_BASIC + GSM_EXTENSION)
_SHORT = (
    "Your order has left and arrives tomorrow between 9 and 12.",
    "Grüße aus Köln! Die Rechnung über 45,90 € liegt bei.",
    "Спасибо, мы получили ваше сообщение и ответим сегодня.",
    "See you at 5 😀, https://example.com/meet?id=4711",
)
_LONG = "## Your plan\n\n" + "It covers **three** phones, and you pay 29.90 EUR each month. " * 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured."""

    texts: int
    """In each round; a hundredth of them long replies that are cut."""
    rounds: int
    flow: int
    """Texts in each round through a whole gateway (`sms_flow`)."""
    flow_rounds: int


FULL = Size(texts=40_000, rounds=5, flow=3000, flow_rounds=3)
QUICK = Size(texts=100, rounds=1, flow=20, flow_rounds=1)


@dataclass(frozen=True, slots=True)
class SmsFigures:
    """Texts a second of one core, of each round, by what was done."""

    size: Size
    machine: Machine
    flow: FlowFigures
    rates: dict[str, list[float]] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """How fast texts are counted, as a part of the bare count."""
        return median(self.rates[SEGMENTS]) / median(self.rates[BARE])


def measure(size: Size) -> SmsFigures:
    """Do each with the same texts, by turns. Raises BenchFailed."""
    short = [_SHORT[number % len(_SHORT)] for number in range(size.texts)]
    long = [_LONG] * (size.texts // 100)
    machine = this_machine(None, os.getloadavg()[0])
    figures = SmsFigures(size, machine, sms_flow.measure(size.flow, size.flow_rounds))
    for _ in range(size.rounds):
        for name, texts, work in ((BARE, short, _bare), (SEGMENTS, short, segments_of), (PARTS, long, _cut)):
            figures.rates.setdefault(name, []).append(_rate(texts, work))
    return figures


def as_object(figures: SmsFigures) -> dict[str, Any]:
    """Everything, for JSON."""
    return {
        "scenario": "sms",
        "machine": asdict(figures.machine),
        "size": asdict(figures.size),
        "subjects": {
            name.replace(" ", "_"): {"texts_per_second": [round(rate, 1) for rate in rates]}
            for name, rates in figures.rates.items()
        },
        "flow": sms_flow.as_object(figures.flow),
        "ratios": {"segments_to_bare_count": round(figures.ratio, 3), **figures.flow.ratios()},
    }


def as_text(figures: SmsFigures) -> str:
    """A table, with what it was measured on and how."""
    rows = [
        (name, f"{median(rates):.0f}", f"{min(rates):.0f} to {max(rates):.0f}")
        for name, rates in figures.rates.items()
    ]
    return "\n".join(
        [
            figures.machine.line,
            f"{figures.size.texts} short texts, one core; medians of {figures.size.rounds} rounds",
            "",
            *table([("", "texts/s", "spread"), *rows]),
            "",
            f"segments to bare count: {figures.ratio:.2f}",
            "",
            *sms_flow.as_lines(figures.flow),
        ]
    )


def _rate(texts: Sequence[str], work: Callable[[str], object]) -> float:
    began = time.perf_counter()
    for text in texts:
        work(text)
    return len(texts) / (time.perf_counter() - began)


def _bare(text: str) -> int:
    in_gsm = all(char in _GSM for char in text)
    single, joined = (160, 153) if in_gsm else (70, 67)
    return 1 if len(text) <= single else -(-len(text) // joined)


def _cut(text: str) -> object:
    return split(sms_text(text))
