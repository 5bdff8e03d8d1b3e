"""Processes that tests start, kill and start again; none of them outlives the test run.

Each writes to a log of its own in the test's directory, which a failing test shows.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
READY_SECONDS = 180.0
_POLL_SECONDS = 0.02
_TAIL_BYTES = 6_000

# Reads lines of process ids; the last line is what still runs. The end of the pipe: the test run is gone.
_LEASH = 'pids=; while read -r line; do pids=$line; done; for pid in $pids; do kill -9 "$pid"; done'


class NotReady(AssertionError):
    """A process ended while it started, or did not get ready in time; the text ends with its log."""


class Leash:
    """Kills what is still running once the test run is gone, even by SIGKILL."""

    def __init__(self) -> None:
        self._running: set[int] = set()
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", _LEASH],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
        )

    def hold(self, pid: int) -> None:
        """This process runs."""
        self._running.add(pid)
        self._tell()

    def let_go(self, pid: int) -> None:
        """This process has ended, and its id may soon be another's."""
        self._running.discard(pid)
        self._tell()

    def close(self) -> None:
        """Nothing runs any more."""
        assert self._shell.stdin is not None
        self._shell.stdin.close()
        self._shell.wait(60)

    def _tell(self) -> None:
        assert self._shell.stdin is not None
        self._shell.stdin.write(" ".join(map(str, sorted(self._running))) + "\n")
        self._shell.stdin.flush()


class Process:
    """One command, started as often as wanted. It prints a line that begins with `ready` once it serves."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        directory: Path,
        leash: Leash,
    ) -> None:
        """`command`: what follows `python`. `environment` is all it has, but for PATH and HOME."""
        self.name = name
        self.ready_line = ""
        """What it printed when it was ready last."""
        self._command = [sys.executable, *command]
        self.environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(directory),
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            **environment,
        }
        self._directory = directory
        self._leash = leash
        self._process: subprocess.Popen[bytes] | None = None
        self._output = directory / f"{name}.out"
        self._log = directory / f"{name}.log"
        self._output_from = 0

    @property
    def pid(self) -> int:
        """Of the process that runs now."""
        assert self._process is not None, f"{self.name} does not run"
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has been started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def launch(self) -> None:
        """Start it, without waiting."""
        assert not self.running, f"{self.name} runs already"
        self._output_from = self._output.stat().st_size if self._output.exists() else 0
        with self._output.open("ab") as output, self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._directory,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=log,
            )
        self._leash.hold(self._process.pid)

    async def wait_ready(self, timeout: float = READY_SECONDS) -> None:
        """Wait for the ready line. Raises NotReady."""
        deadline = time.monotonic() + timeout
        while not (line := self._ready_line()):
            if not self.running:
                raise NotReady(f"{self.name} ended while it started:\n{self.tail()}")
            if time.monotonic() > deadline:
                raise NotReady(f"{self.name} was not ready in {timeout:.0f} s:\n{self.tail()}")
            await asyncio.sleep(_POLL_SECONDS)
        self.ready_line = line

    async def start(self) -> None:
        """Start it and wait until it is ready."""
        self.launch()
        await self.wait_ready()

    async def kill(self) -> None:
        """SIGKILL, whatever it does."""
        await self._end(signal.SIGKILL, 60.0)

    async def terminate(self, timeout: float = 120.0) -> int:
        """SIGTERM; its exit status. Killed, and AssertionError, when it has not ended in time."""
        try:
            return await self._end(signal.SIGTERM, timeout)
        except TimeoutError:
            await self.kill()
            raise AssertionError(f"{self.name} did not drain in {timeout:.0f} s:\n{self.tail()}") from None

    def send(self, number: signal.Signals) -> None:
        """Send a signal, without waiting."""
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self) -> None:
        """Kill it if it runs; blocks."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait(60)
        self._leash.let_go(self._process.pid)
        self._process = None

    def tail(self) -> str:
        """The end of what it wrote."""
        texts = [path.read_bytes()[-_TAIL_BYTES:] for path in (self._output, self._log) if path.exists()]
        return b"".join(texts).decode(errors="replace")

    def log_text(self) -> str:
        """Everything it logged, over all its starts."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    async def ended(self, timeout: float) -> int:
        """Wait until it has ended by itself; its exit status. Raises TimeoutError."""
        process = self._process
        assert process is not None, f"{self.name} does not run"
        deadline = time.monotonic() + timeout
        while (status := process.poll()) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(self.name)
            await asyncio.sleep(_POLL_SECONDS)
        self._leash.let_go(process.pid)
        self._process = None
        return status

    async def _end(self, how: signal.Signals, timeout: float) -> int:
        self.send(how)
        return await self.ended(timeout)

    def _ready_line(self) -> str:
        if not self._output.exists():
            return ""
        with self._output.open("rb") as output:
            output.seek(self._output_from)
            text = output.read().decode(errors="replace")
        lines = text.splitlines(keepends=True)
        return next((line.strip() for line in lines if line.startswith("ready") and line.endswith("\n")), "")
