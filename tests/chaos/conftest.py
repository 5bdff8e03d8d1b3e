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
FAULTS = "delay_seconds=0.2,delay_probability=0.5,no_callbacks=0.5"
"""The provider takes its time, so that kills fall between a request and its answer; and it does not always
say later what became of a message, so that it has to be asked."""


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
    fake = TwilioProcess(tmp_path, leash, faults=FAULTS)
    try:
        await fake.process.start()
        yield fake
    finally:
        fake.process.stop()
        leash.close()


@pytest.fixture
def services(rabbit_url: str, amqp_prefix: str, schema_url: str) -> Services:
    """The shared broker and a database of this test's own."""
    return Services(rabbit_url, amqp_prefix, schema_url)
