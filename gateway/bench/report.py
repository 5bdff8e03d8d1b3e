"""The figures of the pipeline benchmark, as a table for people and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from gateway.bench.pipeline import Figures, Measured, middle, quantile
from gateway.bench.subjects import SUBJECTS

_COLUMNS = ("", "messages/s", "turns/s", "spread", "with callbacks", "CPU/message", "added p50", "added p99")


def as_object(figures: Figures) -> dict[str, Any]:
    """Everything, with the figures of each round, for JSON."""
    subjects = {_key(name): _subject(measured) for name, measured in figures.subjects.items()}
    if figures.skipped is not None:
        skipped = {"skipped": figures.skipped}
        missing = [_key(s.name) for s in SUBJECTS if s.distributed] + ["broker"]
        subjects |= dict.fromkeys(missing, skipped)
    else:
        subjects["broker"] = {"messages_per_second": _round(figures.broker)}
    return {
        "scenario": "pipeline",
        "machine": asdict(figures.machine),
        "size": asdict(figures.size),
        "subjects": subjects,
        "ratios": ratios(figures),
    }


def ratios(figures: Figures) -> dict[str, float]:
    """The gateway against its floors (turns a second) and against the broker alone (messages a second)."""
    turns = {name: middle(m.plain).turns_per_second for name, m in figures.subjects.items()}
    found = {"embedded_to_floor": turns["embedded"] / turns["embedded floor"]}
    if figures.skipped is None:
        found["distributed_to_floor"] = turns["distributed"] / turns["distributed floor"]
        found["distributed_to_broker"] = turns["distributed"] / median(figures.broker)
    return {name: round(value, 3) for name, value in found.items()}


def as_text(figures: Figures) -> str:
    """A table, with what it was measured on and how."""
    size, machine = figures.size, figures.machine
    rows = [_COLUMNS, *(_row(name, measured) for name, measured in figures.subjects.items())]
    if figures.skipped is None:
        rate = median(figures.broker)
        rows.append(("raw broker", f"{rate:.0f}", "", _spread(figures.broker), "", "", "", ""))
    lines = [
        machine.line,
        f"{size.messages} SMS from {size.numbers} phones, {size.concurrency} at once; "
        f"latency at {size.rate:.0f}/s; medians of {size.rounds} rounds; "
        "load, Twilio, broker and database on the same machine",
        "",
        *table(rows),
    ]
    if figures.skipped is not None:
        names = [s.name for s in SUBJECTS if s.distributed] + ["raw broker"]
        width = max(len(row[0]) for row in rows)
        lines += [f"{name:{width}}  skipped: {figures.skipped}" for name in names]
    lines += ["", *(f"{name.replace('_', ' ')}: {value:.2f}" for name, value in ratios(figures).items())]
    return "\n".join(lines)


def _row(name: str, measured: Measured) -> tuple[str, ...]:
    plain = middle(measured.plain)
    callbacks = (
        f"{middle(measured.with_callbacks).turns_per_second:.0f}/s" if measured.with_callbacks else "-"
    )
    return (
        name,
        f"{plain.messages_per_second:.0f}",
        f"{plain.turns_per_second:.0f}",
        _spread([run.turns_per_second for run in measured.plain]),
        callbacks,
        f"{plain.cpu_ms:.2f} ms" if plain.cpu_ms else "-",
        f"{quantile(measured.latencies, 0.5) * 1000:.1f} ms",
        f"{quantile(measured.latencies, 0.99) * 1000:.1f} ms",
    )


def _subject(measured: Measured) -> dict[str, Any]:
    fields = ("messages_per_second", "turns_per_second", "cpu_ms")
    found: dict[str, Any] = {name: _round([getattr(run, name) for run in measured.plain]) for name in fields}
    if measured.with_callbacks:
        found["with_callbacks"] = {
            name: _round([getattr(run, name) for run in measured.with_callbacks]) for name in fields
        }
    found["added_latency_ms"] = {
        "p50": round(quantile(measured.latencies, 0.5) * 1000, 2),
        "p99": round(quantile(measured.latencies, 0.99) * 1000, 2),
    }
    return found


def _round(values: Sequence[float]) -> dict[str, Any]:
    return {"median": round(median(values), 2), "rounds": [round(value, 2) for value in values]}


def _spread(values: Sequence[float]) -> str:
    return f"{min(values):.0f}-{max(values):.0f}"


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as lines; the first column to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(map(_cell, row, widths, range(len(widths)))).rstrip() for row in rows]


def _cell(text: str, width: int, column: int) -> str:
    return text.ljust(width) if column == 0 else text.rjust(width)


def _key(name: str) -> str:
    return name.replace(" ", "_")
