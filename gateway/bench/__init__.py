"""The benchmarks of `gateway bench`, and the private servers they and the tests run on."""

import sys
from collections.abc import Callable

SCENARIOS = ("pipeline",)


def run(
    scenario: str | None, *, as_json: bool, write: Callable[[str], None] = print, quick: bool = False
) -> int:
    """Run a scenario (None: all of them) and write its figures; the exit status.

    `quick`: so few messages that the figures mean nothing; it shows only that everything runs.
    Progress and failures go to stderr. 2 for an unknown scenario, 1 where something that is measured failed.
    """
    if scenario not in (None, *SCENARIOS):
        print(f"gateway: no scenario is named {scenario}; there is: {', '.join(SCENARIOS)}", file=sys.stderr)
        return 2
    from gateway.bench.pipeline import FULL, QUICK, measure
    from gateway.bench.report import as_text, to_json
    from gateway.bench.stage import BenchFailed

    try:
        figures = measure(QUICK if quick else FULL)
    except BenchFailed as failure:
        print(f"gateway: {failure}", file=sys.stderr)
        return 1
    write(to_json(figures) if as_json else as_text(figures))
    return 0
