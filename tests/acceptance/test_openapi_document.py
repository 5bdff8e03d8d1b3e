"""What the OpenAPI document promises holds for requests nobody thought of: all checks of schemathesis.

It is a process of its own over a gateway of its own. Left out is what never ends by itself, the events
stream of an open conversation; what pauses all the rest; and one of the two prefixes in the short run, as
both have the same routes.
"""

import asyncio
import os
import sys
from pathlib import Path

import aiohttp
import pytest

from tests.deployments import ADMIN, World, embedded
from tests.processes import ROOT

CONFIG = """
[generation]
allow-x00 = false  # U+0000 is refused in every text, free JSON included, which no schema can say

[phases.stateful.inference]
algorithms = ["dependency-analysis"]  # looking for links in texts that are echoed fails on "//[x]" (4.32)

[checks.positive_data_acceptance]
# a state, an address, an agent may forbid what is well formed; the hooks look at which 422 it is
expected-statuses = ["2xx", 400, 401, 403, 404, 409, 422]

[checks.negative_data_rejection]
# what is wrong and of more than 1 MiB is refused for its size, before it is read
expected-statuses = [400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 428, 429, "5xx"]

[checks.use_after_free]
enabled = false  # of a pause that there is none stays readable, of a person a tombstone; our own tests look
"""
HOOKS = "tests.acceptance.schemathesis_hooks"


async def written(url: str) -> None:
    """Have the document made, which is when it is first asked for: schemathesis waits for 10 s at most."""
    async with aiohttp.ClientSession(headers={"x-api-key": ADMIN}) as session, session.get(url) as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    ("examples", "left_out"),
    [
        pytest.param(50, r"/events$|/pause$|^/v1/conversations", marks=pytest.mark.timeout(900), id="short"),
        pytest.param(
            1000, r"/events$|/pause$", marks=[pytest.mark.slow, pytest.mark.timeout(7200)], id="long"
        ),
    ],
)
async def test_schemathesis_finds_nothing(tmp_path: Path, examples: int, left_out: str) -> None:
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    async with embedded(tmp_path / "gateway", World("http://127.0.0.1:9")) as deployment:
        await written(f"{deployment.url}/openapi.json")
        run = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(tmp_path / "schemathesis.toml")),
            *("run", f"{deployment.url}/openapi.json", "-H", f"x-api-key:{ADMIN}", "--checks", "all"),
            *("-n", str(examples), "--exclude-path-regex", left_out, "--no-color", "--continue-on-failure"),
            *("--phases", "examples,coverage,fuzzing,stateful", "--seed", "1", "--workers", "1"),
            cwd=tmp_path,
            env={
                "PATH": os.environ.get("PATH", os.defpath),
                "HOME": str(tmp_path),
                "PYTHONPATH": str(ROOT),
                "SCHEMATHESIS_HOOKS": HOOKS,
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            output, _ = await run.communicate()
        finally:
            if run.returncode is None:
                run.kill()
        told = output.decode()
        found = "\n".join(line[:400] for line in told[max(told.find("= FAILURES"), 0) :].splitlines() if line)
        assert run.returncode == 0, found[:12_000]
