"""`gateway demo`, as `make demo` runs it: every scene is played, and what is wrong makes it fail."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.demo import demonstrate, sms
from tests.processes import ROOT

LIMIT_SECONDS = 180.0


def test_the_command_plays_every_scene_and_ends_with_0(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "gateway", "demo"],
        cwd=tmp_path,
        env={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout
    for heading in ("SMS", "E-mail", "Phone call", "API", "Handoff"):
        assert f"\n{heading}  " in ended.stdout
    assert "\x1b" not in ended.stdout
    assert list(tmp_path.iterdir()) == [], "the demonstration keeps nothing"


async def test_an_answer_that_is_not_the_expected_one_is_one_line_and_1(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sms, "HELLO", "Can I talk to a human?")  # handed over, not quoted
    lines: list[str] = []
    assert await demonstrate(lines.append) == 1
    assert lines[-1].startswith("demo failed: reply to the first text: expected 'You said: Can I talk")
    assert "\n" not in lines[-1]
