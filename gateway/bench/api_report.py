"""The figures of the benchmark of the API, as a table for people and as an object for JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from gateway.bench.api import FEW, MARKS, SHORT, ApiFigures, Compared
from gateway.bench.pipeline import quantile
from gateway.bench.report import table

_COLUMNS = ("", "beside little", "p99", "beside much", "p99", "ratio", "at most")


def as_object(figures: ApiFigures) -> dict[str, Any]:
    """Everything but the single samples."""
    subjects: dict[str, Any] = {
        name: {request: _object(compared) for request, compared in requests.items()}
        for name, requests in figures.subjects.items()
    }
    if figures.skipped is not None:
        subjects["distributed"] = {"skipped": figures.skipped}
    return {
        "scenario": "api",
        "machine": asdict(figures.machine),
        "size": asdict(figures.size),
        "subjects": subjects,
        "ratios": {
            f"{name}_{request.replace(' ', '_')}": round(compared.ratio, 3)
            for name, requests in figures.subjects.items()
            for request, compared in requests.items()
        },
    }


def as_text(figures: ApiFigures) -> str:
    """A table for each deployment, with what it was measured on and how."""
    size = figures.size
    lines = [
        figures.machine.line,
        f"poll, read, turn: a conversation of {SHORT} messages, and one of {size.messages}; "
        f"list, create: a table of {FEW} conversations, and one of {size.conversations}; "
        f"medians of {size.samples} requests at each, by turns",
    ]
    for name, requests in figures.subjects.items():
        rows = [(name, *_COLUMNS[1:]), *(_row(n, requests[n], at_most) for n, at_most in MARKS)]
        lines += ["", *table(rows)]
    if figures.skipped is not None:
        lines += ["", f"distributed  skipped: {figures.skipped}"]
    return "\n".join(lines)


def _row(name: str, compared: Compared, at_most: float) -> Sequence[str]:
    return (
        name,
        *(f"{ms(compared.little, share)} ms" for share in (0.5, 0.99)),
        *(f"{ms(compared.much, share)} ms" for share in (0.5, 0.99)),
        f"{compared.ratio:.2f}",
        f"{at_most:.1f}",
    )


def ms(values: Sequence[float], share: float) -> str:
    """A quantile in milliseconds."""
    return f"{(median(values) if share == 0.5 else quantile(values, share)) * 1000:.1f}"


def _object(compared: Compared) -> dict[str, Any]:
    return {
        **{
            side: {"p50_ms": float(ms(values, 0.5)), "p99_ms": float(ms(values, 0.99))}
            for side, values in (("little", compared.little), ("much", compared.much))
        },
        "ratio": round(compared.ratio, 3),
    }
