"""Runs `gateway` as a process of its own, in a folder of its own."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

START_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class Ended:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Folder:
    """Where commands run, and the environment they have besides PATH and HOME."""

    path: Path
    environment: dict[str, str] = field(default_factory=dict)

    async def gateway(self, *arguments: str) -> Ended:
        """Run a command to its end."""
        process = await self.start(*arguments)
        out, err = await asyncio.wait_for(process.communicate(), START_SECONDS)
        assert process.returncode is not None
        return Ended(process.returncode, out.decode(), err.decode())

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        """Start a command."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway", *arguments),
            cwd=self.path,
            env={**kept, **self.environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    @asynccontextmanager
    async def running(self, *arguments: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
        """A process that is ready, and its ready line; what still runs at the end is killed."""
        process = await self.start(*arguments)
        assert process.stdout is not None
        try:
            line = (await asyncio.wait_for(process.stdout.readline(), START_SECONDS)).decode()
            if not line.startswith("ready"):
                _, err = await process.communicate()
                raise AssertionError(f"it did not get ready: {line}{err.decode()}")
            yield process, line.strip()
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()
