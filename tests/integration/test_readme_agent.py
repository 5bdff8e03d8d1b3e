"""The agent over HTTP that the README shows, run as written but for its port, answers turns."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.bench.private_server import free_ports
from gateway.domain.agent import Delta
from gateway.domain.clock import Clock
from tests.readme import python_file
from tests.turns import turn_of
from workers.agents.http import HttpAgent, HttpAgents

START_SECONDS = 60.0


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[int]:
    (chosen,) = free_ports(1)
    program = python_file("agent.py")
    assert program.count("9000") == 1
    (tmp_path / "agent.py").write_text(program.replace("9000", str(chosen)), "utf-8")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "agent.py", cwd=tmp_path, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await _listening(chosen)
        yield chosen
    finally:
        process.kill()
        await process.wait()


async def _listening(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            assert time.monotonic() < deadline, "the agent of the README does not listen"
            await asyncio.sleep(0.05)
        else:
            writer.close()
            await writer.wait_closed()
            return


async def test_the_agent_over_http_answers(port: int) -> None:
    async with HttpAgents(None, Clock()) as http:
        agent = HttpAgent(f"http://127.0.0.1:{port}/turn", http)
        answered = [event async for event in agent.answer(turn_of("Hello", "there"))]
    assert answered == [Delta(text="You asked: Hello there")]
