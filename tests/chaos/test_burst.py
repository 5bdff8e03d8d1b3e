"""A burst from few numbers at full speed: texts arrive while turns begin and end, none slips through."""

from pathlib import Path
from random import Random

from tests.chaos.traffic import Traffic, check, settled
from tests.deployments import Deployment, Services, TwilioProcess, World, distributed, embedded


async def burst(deployment: Deployment, random: Random, twilio: TwilioProcess) -> None:
    """Send as fast as the webhook answers; every text is answered once and in order."""
    traffic = Traffic(deployment, random, 600, 24)
    await traffic.send(per_second=10_000)
    print(f"webhook: {dict(traffic.statuses)}, slowest {traffic.slowest:.2f} s")
    await settled(deployment, 60.0)
    check(traffic, twilio)
    assert set(traffic.statuses) == {"200"}


async def test_a_burst_embedded(tmp_path: Path, random: Random, twilio: TwilioProcess) -> None:
    async with embedded(tmp_path / "gateway", World(twilio.url)) as deployment:
        await burst(deployment, random, twilio)


async def test_a_burst_distributed(
    tmp_path: Path, random: Random, twilio: TwilioProcess, services: Services
) -> None:
    async with distributed(tmp_path / "gateway", World(twilio.url), services, workers=2) as deployment:
        await burst(deployment, random, twilio)
