"""The processes of one measurement, on loopback, in a folder of their own; none outlives it."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.request import urlopen

from gateway.bench.private_server import Leash, log_tail, spawn

HOST = "127.0.0.1"
ACCOUNT = "AC" + "0" * 32
TOKEN = "token-of-the-benchmark"  # noqa: S105 - of a fake Twilio on loopback
OUR_NUMBER = "+15550100"
READY_SECONDS = 60.0
_ROOT = Path(__file__).parent.parent.parent
_NAME = re.compile(r"m[0-9]{7}")


class BenchFailed(RuntimeError):
    """Something that is measured did not start, or lost messages; the text says what."""


def tell(text: str) -> None:
    """Say on stderr what is being done: it takes minutes."""
    print(text, file=sys.stderr, flush=True)


def name_of(number: int) -> str:
    """The text of a message, by which its reply is known."""
    return f"m{number:07d}"


@dataclass(frozen=True, slots=True)
class Child:
    """A process of the stage."""

    name: str
    process: "subprocess.Popen[bytes]"
    directory: Path

    def ready_line(self) -> str:
        """Wait for the line that begins with `ready`. Raises BenchFailed."""
        deadline = time.monotonic() + READY_SECONDS
        while True:
            lines = (self.directory / "output.log").read_text(errors="replace").splitlines(keepends=True)
            line = next((one for one in lines if one.startswith("ready") and one.endswith("\n")), None)
            if line is not None:
                return line.strip()
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise BenchFailed(f"{self.name} did not get ready: {log_tail(self.directory)}")
            time.sleep(0.02)

    def cpu_seconds(self) -> float:
        """What it has used of the processors so far; 0 where the system does not tell (no /proc)."""
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        except FileNotFoundError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Stage:
    """A temporary folder and the processes that live in it; both end with the block."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="gateway-bench-"))
        self._leash = Leash(self.directory, signal.SIGKILL)
        self._children: list[Child] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.end()
        self._leash.release()

    def end(self) -> None:
        """Kill every process; blocks."""
        for child in self._children:
            child.process.kill()
            child.process.wait(10)
        self._children = []

    def start(
        self, name: str, arguments: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> Child:
        """Start `python ARGUMENTS`; does not wait for it."""
        folder = self.directory / name
        folder.mkdir()
        process = spawn([sys.executable, *arguments], folder, _environment(environment or {}))
        self._children.append(Child(name, process, folder))
        self._leash.hold(child.process.pid for child in self._children)
        return self._children[-1]

    def complete(self, arguments: Sequence[str], environment: Mapping[str, str], given: str = "") -> str:
        """Run `python ARGUMENTS` to its end; what it prints. Raises BenchFailed."""
        done = subprocess.run(  # noqa: S603 - commands of ours
            [sys.executable, *arguments],
            input=given,
            env={"PATH": os.environ.get("PATH", os.defpath), **_environment(environment)},
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        if done.returncode != 0:
            raise BenchFailed(f"{' '.join(arguments[:4])} failed: {done.stderr[-2000:].strip()}")
        return done.stdout


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    return {"PYTHONPATH": str(_ROOT), "PYTHONUNBUFFERED": "1", "LC_ALL": "C.UTF-8", **more}


class Twilio:
    """The fake Twilio as a process of its own, and the replies that have arrived there."""

    def __init__(self, stage: Stage, *, callbacks: bool) -> None:
        ledger = stage.directory / "ledger.jsonl"
        child = stage.start(
            "twilio",
            [
                *("-m", "channels.twilio.fake", "--account-sid", ACCOUNT, "--auth-token", TOKEN),
                *("--ledger", str(ledger), "--callbacks" if callbacks else "--no-callbacks"),
            ],
        )
        self.url = child.ready_line().split()[1]
        """What `TWILIO_API_URL` must be."""
        self._ledger = ledger
        self._read_bytes = 0
        self._arrivals: dict[str, float] = {}
        self.replies = 0
        """Messages sent to phones, however many they answer."""

    def arrivals(self, names: Sequence[str], timeout: float) -> dict[str, float]:
        """Wait until each of these messages is answered: when its (first) reply arrived, monotonic seconds.

        Raises BenchFailed when nothing new arrives for `timeout` seconds.
        """
        patience = time.monotonic() + timeout
        while missing := sum(name not in self._arrivals for name in names):
            if self._read():
                patience = time.monotonic() + timeout
            elif time.monotonic() > patience:
                raise BenchFailed(f"{missing} of {len(names)} messages were not answered")
            time.sleep(0.1)
        return {name: self._arrivals[name] for name in names}

    def settled(self, timeout: float) -> float:
        """Wait until every receipt has been answered: when that was seen, monotonic. Raises BenchFailed."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            with urlopen(f"{self.url}/_fake/callbacks", timeout=10) as answer:  # noqa: S310 - on loopback
                counts = json.load(answer)
            if counts["failed"]:
                raise BenchFailed(f"{counts['failed']} receipts were not taken")
            if not counts["under_way"]:
                return time.monotonic()
            time.sleep(0.02)
        raise BenchFailed(f"receipts were still under way after {timeout:.0f} s")

    def _read(self) -> int:
        """Take in what the ledger has more since the last time; how many lines."""
        if not self._ledger.exists():
            return 0
        with self._ledger.open("rb") as ledger:
            ledger.seek(self._read_bytes)
            whole, _, _ = ledger.read().rpartition(b"\n")
        lines = whole.splitlines()
        self._read_bytes += len(whole) + 1 if whole else 0
        for line in lines:
            message = json.loads(line)
            self.replies += 1
            for name in _NAME.findall(message["body"]):
                self._arrivals.setdefault(name, message["created_monotonic"])
        return len(lines)
