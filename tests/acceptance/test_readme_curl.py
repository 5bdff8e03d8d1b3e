"""The curl commands of the README, run by a shell as they stand, against `gateway dev`."""

import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.bench.private_server import free_ports
from tests.processes import Leash, Process
from tests.readme import README, blocks

MARK = "run by tests/acceptance/test_readme_curl.py"


@pytest.fixture
def leash() -> Iterator[Leash]:
    held = Leash()
    yield held
    held.close()


@pytest.fixture
async def gateway(tmp_path: Path, leash: Leash) -> AsyncIterator[tuple[Process, int]]:
    port, smtp_port = free_ports(2)
    keys = re.search(r"GATEWAY_API_KEYS=(\S+) make run", README.read_text("utf-8"))
    assert keys is not None
    command = ("-m", "gateway", "dev", "--port", str(port), "--smtp-port", str(smtp_port))
    process = Process("dev", command, {"GATEWAY_API_KEYS": keys[1]}, tmp_path, leash)
    await process.start()
    yield process, port
    process.stop()


def test_the_walk_through_works_as_written(gateway: tuple[Process, int], tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    process, port = gateway
    (walk,) = [block.text for block in blocks("sh") if block.tried_by == MARK]
    assert walk.count("8080") == 1
    ended = subprocess.run(
        ["/bin/sh", "-eu", "-c", walk.replace("8080", str(port))],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout + process.tail()
    for seen in (
        '"text":"You said: Hello!"',
        "event: delta\n",
        "event: complete\n",
        '"next_seq":3',
        '"status":"closed"',
        '"has_more":false',
    ):
        assert seen in ended.stdout, seen
    assert ended.stdout.index("event: delta") < ended.stdout.index("event: complete")
