"""What the chaos tests share: a seed that can be given again, the fake Twilio in a process of its own."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random, SystemRandom

import pytest

from tests.deployments import Services, TwilioProcess, pytest_runtest_makereport
from tests.processes import Leash

__all__ = ["pytest_runtest_makereport"]

SEED = "CHAOS_SEED"


@pytest.fixture
def random() -> Random:
    """Decides what is killed and when; CHAOS_SEED repeats a run's decisions (not the machine's)."""
    seed = int(os.environ.get(SEED) or SystemRandom().randrange(1_000_000))
    print(f"{SEED}={seed}")
    return Random(seed)


@pytest.fixture
async def twilio(tmp_path: Path) -> AsyncIterator[TwilioProcess]:
    """A provider that outlives whatever is killed, with its account of what was sent."""
    leash = Leash()
    fake = TwilioProcess(tmp_path, leash)
    try:
        await fake.process.start()
        yield fake
    finally:
        fake.process.stop()
        leash.close()


@pytest.fixture
def services(rabbit_url: str, amqp_prefix: str, postgres_url: str) -> Services:
    """The shared broker and a database of this test's own."""
    return Services(rabbit_url, amqp_prefix, postgres_url)
