"""The benchmark's table and JSON, made from figures."""

import json

from gateway.bench import api_report
from gateway.bench.api import MARKS, ApiFigures, Compared
from gateway.bench.api import QUICK as API_QUICK
from gateway.bench.machine import Machine
from gateway.bench.pipeline import QUICK, Figures, Measured, Throughput, quantile
from gateway.bench.report import as_object, as_text

MACHINE = Machine(cores=2, system="Linux", python="3.11", rabbitmq=None, postgresql=None, load_before=0.1)


def _measured(turns: float) -> Measured:
    run = Throughput(messages_per_second=turns, turns_per_second=turns, cpu_ms=1.25)
    return Measured(plain=[run], with_callbacks=[], latencies=[n / 1000 for n in range(1, 101)])


def _embedded_only() -> Figures:
    subjects = {"embedded": _measured(600), "embedded floor": _measured(1000)}
    return Figures(size=QUICK, machine=MACHINE, subjects=subjects, broker=[], skipped="no rabbitmq-server")


def test_what_is_missing_is_named_in_its_rows() -> None:
    lines = as_text(_embedded_only()).splitlines()
    for name in ("distributed", "distributed floor", "raw broker"):
        assert any(line.split("  ")[0] == name and "skipped: no rabbitmq-server" in line for line in lines)


def test_json_says_what_was_skipped() -> None:
    figures = json.loads(json.dumps(as_object(_embedded_only())))
    for name in ("distributed", "distributed_floor", "broker"):
        assert figures["subjects"][name] == {"skipped": "no rabbitmq-server"}
    assert figures["ratios"] == {"embedded_to_floor": 0.6}


def test_the_table_shows_rate_latency_and_ratio() -> None:
    text = as_text(_embedded_only())
    (row,) = (line for line in text.splitlines() if line.startswith("embedded  "))
    assert row.split()[1:4] == ["600", "600", "600-600"]
    assert "1.25 ms" in row
    assert "51.0 ms" in row
    assert "100.0 ms" in row
    assert "embedded to floor: 0.60" in text


def test_a_quantile_is_one_of_the_values() -> None:
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert quantile([3.0, 1.0, 2.0], 0.99) == 3.0
    assert quantile([1.0], 0.5) == 1.0


def test_what_is_compared_is_told_with_its_ratio() -> None:
    compared = {name: Compared([0.002] * 9 + [0.1], [0.003] * 10) for name, _ in MARKS}
    figures = ApiFigures(
        size=API_QUICK, machine=MACHINE, subjects={"embedded": compared}, skipped="no rabbitmq-server"
    )
    (row,) = (line.split() for line in api_report.as_text(figures).splitlines() if line.startswith("turn "))
    assert row == ["turn", "2.0", "ms", "100.0", "ms", "3.0", "ms", "3.0", "ms", "1.50", "1.5"]
    told = api_report.as_object(figures)
    assert told["ratios"]["embedded_list_one_status"] == 1.5
    assert told["subjects"]["distributed"] == {"skipped": "no rabbitmq-server"}
