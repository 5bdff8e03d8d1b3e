"""kill -9 of workers, of `serve`, of the one embedded process: nothing lost, doubled or out of order."""

import asyncio
import signal
from contextlib import suppress
from pathlib import Path
from random import Random

import aiohttp
import pytest

from tests.chaos.traffic import Traffic, check, settled, sms_request, stored
from tests.deployments import Services, TwilioProcess, World, distributed, embedded
from tests.processes import NotReady, Process

SHORT = pytest.param(150, 30, 9.0, id="short")
LONG = pytest.param(2000, 200, 120.0, marks=[pytest.mark.slow, pytest.mark.timeout(600)], id="long")
SETTLE_SECONDS = 90.0
"""An attempt of unknown outcome is looked up 20 s after its claim; a dead worker's lease lasts 10 s."""


async def kill_now_and_then(
    process: Process, random: Random, seconds: float, lives: tuple[float, float] = (0.3, 2.0)
) -> int:
    """Kill a process some seconds after it is ready, start it again, and so on, twice at least; how often."""
    ends = asyncio.get_running_loop().time() + seconds
    kills = 0
    while kills < 2 or asyncio.get_running_loop().time() < ends:
        await asyncio.sleep(random.uniform(*lives))
        await process.kill()
        kills += 1
        await supervised(process)
    return kills


async def supervised(process: Process) -> None:
    """Start it, and again where the database was cut off while it did, as whoever runs it would.

    On a busy machine a start takes longer than the database stays connected, several times in a row.
    """
    for _ in range(50):
        with suppress(NotReady):
            return await process.start()
        assert not process.running, process.tail()
        last = process.log_text().splitlines()[-1]
        assert last.startswith("gateway: the database does not answer"), process.tail()
    raise AssertionError(f"{process.name} never started")


async def under_fire(
    traffic: Traffic, targets: list[Process], random: Random, *, seconds: float, per_second: float
) -> None:
    """Send everything while the targets are killed."""
    killing = asyncio.gather(*(kill_now_and_then(target, random, seconds) for target in targets))
    await asyncio.gather(traffic.send(per_second=per_second), killing)
    print(f"kills: {killing.result()}, webhook: {dict(traffic.statuses)}, slowest {traffic.slowest:.2f} s")


@pytest.mark.parametrize(("messages", "numbers", "seconds"), [SHORT, LONG])
async def test_killed_workers_lose_and_double_nothing(
    tmp_path: Path,
    random: Random,
    twilio: TwilioProcess,
    services: Services,
    messages: int,
    numbers: int,
    seconds: float,
) -> None:
    async with distributed(tmp_path / "gateway", World(twilio.url), services) as deployment:
        traffic = Traffic(deployment, random, messages, numbers)
        workers = deployment.named("worker")
        await under_fire(traffic, workers, random, seconds=seconds, per_second=messages / seconds)
        await settled(deployment, SETTLE_SECONDS)
        check(traffic, twilio)
        assert set(traffic.statuses) == {"200"}


@pytest.mark.parametrize(("messages", "numbers", "seconds"), [SHORT, LONG])
async def test_the_one_process_killed_loses_and_doubles_nothing(
    tmp_path: Path, random: Random, twilio: TwilioProcess, messages: int, numbers: int, seconds: float
) -> None:
    async with embedded(tmp_path / "gateway", World(twilio.url)) as deployment:
        traffic = Traffic(deployment, random, messages, numbers)
        only = deployment.named("dev")
        await under_fire(traffic, only, random, seconds=seconds, per_second=messages / seconds)
        await settled(deployment, SETTLE_SECONDS)
        check(traffic, twilio)


async def freeze_now_and_then(process: Process, random: Random, seconds: float) -> None:
    """Stop a process for up to 14 s, longer than its leases last, and let it go on, over and over."""
    ends = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < ends:
        await asyncio.sleep(random.uniform(0.3, 2.0))
        process.send(signal.SIGSTOP)
        await asyncio.sleep(random.choice((1, 4, 7, 12, 14)))
        process.send(signal.SIGCONT)


@pytest.mark.slow
async def test_frozen_workers_come_back_to_leases_that_are_another_s(
    tmp_path: Path, random: Random, twilio: TwilioProcess, services: Services
) -> None:
    async with distributed(tmp_path / "gateway", World(twilio.url), services) as deployment:
        traffic = Traffic(deployment, random, 2000, 200)
        freezing = (freeze_now_and_then(worker, random, 40.0) for worker in deployment.named("worker"))
        await asyncio.gather(traffic.send(per_second=50), *freezing)
        print(f"webhook: {dict(traffic.statuses)}, slowest {traffic.slowest:.2f} s")
        await settled(deployment, SETTLE_SECONDS)
        check(traffic, twilio)


async def test_killed_serve_processes_accept_a_repeated_message_once(
    tmp_path: Path, random: Random, twilio: TwilioProcess, services: Services
) -> None:
    async with distributed(tmp_path / "gateway", World(twilio.url), services, workers=1) as deployment:
        traffic = Traffic(deployment, random, 200, 30)
        await under_fire(traffic, deployment.named("serve"), random, seconds=3.0, per_second=70)
        await settled(deployment, SETTLE_SECONDS)
        check(traffic, twilio)
        assert sum(traffic.statuses.values()) > 200, "no message had to be repeated"


async def test_serve_killed_between_accept_and_answer(
    tmp_path: Path, twilio: TwilioProcess, services: Services
) -> None:
    """The provider never sees the 200 of what is already stored; its repeat, elsewhere, is a duplicate."""
    async with distributed(tmp_path / "gateway", World(twilio.url), services, workers=1) as deployment:
        request = sms_request(deployment, "+15552999999", "once", "SM" + "9" * 32)
        first, second = deployment.urls
        host, port = first.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(request.raw(host))
        await stored(deployment, "SM" + "9" * 32)
        await deployment.processes["serve-1"].kill()
        writer.close()
        async with (
            aiohttp.ClientSession() as session,
            session.post(second + request.path, data=request.body, headers=request.headers) as answer,
        ):
            assert answer.status == 200
        await settled(deployment, SETTLE_SECONDS)
        assert [message["body"] for message in twilio.sent()] == ["<once>"]
