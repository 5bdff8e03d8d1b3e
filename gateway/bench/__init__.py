"""The benchmarks of `gateway bench`, and the private servers they and the tests run on."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

SCENARIOS = ("pipeline", "api", "mail", "sms", "knowledge", "voice")


def run(
    scenario: str | None,
    *,
    as_json: bool,
    write: Callable[[str], None] = print,
    quick: bool = False,
    conversations: int | None = None,
) -> int:
    """Run a scenario (None: all of them) and write its figures; the exit status.

    `quick`: so little that the figures mean nothing; it shows only that everything runs. `conversations`:
    in the large table of `api`, else as many as are meant. JSON is one object: a scenario's, or all by name.
    Progress and failures go to stderr. 2 for an unknown scenario, 1 where something that is measured failed.
    """
    if scenario not in (None, *SCENARIOS):
        print(f"gateway: no scenario is named {scenario}; there are: {', '.join(SCENARIOS)}", file=sys.stderr)
        return 2
    from gateway.bench.stage import BenchFailed

    wanted = SCENARIOS if scenario is None else (scenario,)
    try:
        told = {name: _measured(name, quick=quick, conversations=conversations) for name in wanted}
    except BenchFailed as failure:
        print(f"gateway: {failure}", file=sys.stderr)
        return 1
    if as_json:
        objects = {name: figures for name, (_, figures) in told.items()}
        write(json.dumps(objects if scenario is None else objects[scenario], indent=2))
    else:
        write("\n\n".join(text for text, _ in told.values()))
    return 0


def _measured(name: str, *, quick: bool, conversations: int | None) -> tuple[str, dict[str, Any]]:
    """A scenario's figures, as text and as an object. Raises BenchFailed."""
    if name == "api":
        from gateway.bench import api, api_report

        size = api.QUICK if quick else api.FULL
        if conversations is not None:
            size = replace(size, conversations=conversations)
        compared = api.measure(size)
        return api_report.as_text(compared), api_report.as_object(compared)
    if name == "mail":
        from gateway.bench import mail

        read = mail.measure(mail.QUICK if quick else mail.FULL)
        return mail.as_text(read), mail.as_object(read)
    if name == "voice":
        from gateway.bench import voice

        called = voice.measure(voice.QUICK if quick else voice.FULL)
        return voice.as_text(called), voice.as_object(called)
    if name == "sms":
        from gateway.bench import sms

        counted = sms.measure(sms.QUICK if quick else sms.FULL)
        return sms.as_text(counted), sms.as_object(counted)
    if name == "knowledge":
        from gateway.bench import knowledge

        asked = knowledge.measure(knowledge.QUICK if quick else knowledge.FULL)
        return knowledge.as_text(asked), knowledge.as_object(asked)
    from gateway.bench import pipeline, report

    figures = pipeline.measure(pipeline.QUICK if quick else pipeline.FULL)
    return report.as_text(figures), report.as_object(figures)
