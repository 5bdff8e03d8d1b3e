"""RabbitMQ or PostgreSQL killed and started again under load: processes go on, nothing is lost."""

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from random import Random

import aiohttp

from gateway.bench.services import PrivatePostgres, PrivateRabbit
from tests.chaos.traffic import Traffic, check, settled
from tests.deployments import Deployment, Services, TwilioProcess, World, distributed

MESSAGES, NUMBERS = 200, 40
SETTLE_SECONDS = 60.0
_AWAY_SECONDS = 2.0


async def killed_for_a_while(server: PrivateRabbit | PrivatePostgres) -> None:
    """Kill a server that has run for a while, and start it again."""
    await asyncio.sleep(2.5)
    await asyncio.to_thread(server.kill)
    await asyncio.sleep(_AWAY_SECONDS)
    await asyncio.to_thread(server.start)


async def under_load(traffic: Traffic, disturbance: Awaitable[None], *, per_second: float) -> None:
    """Send everything while something happens."""
    await asyncio.gather(traffic.send(per_second=per_second), disturbance)


async def ready(deployment: Deployment) -> None:
    """Wait until every process that takes webhooks has a broker and a database."""
    async with aiohttp.ClientSession() as http, asyncio.timeout(SETTLE_SECONDS):

        async def is_ready(url: str) -> bool:
            async with http.get(f"{url}/readyz") as answer:
                return answer.status == 200

        for url in deployment.urls:
            while not await is_ready(url):  # noqa: ASYNC110 - only it tells
                await asyncio.sleep(0.1)


async def test_webhooks_are_taken_while_the_broker_is_away(
    tmp_path: Path,
    random: Random,
    twilio: TwilioProcess,
    private_rabbit: PrivateRabbit,
    amqp_prefix: str,
    schema_url: str,
) -> None:
    services = Services(private_rabbit.url, amqp_prefix, schema_url)
    async with distributed(tmp_path / "gateway", World(twilio.url), services, workers=2) as deployment:
        pids = {name: process.pid for name, process in deployment.processes.items()}
        await asyncio.to_thread(private_rabbit.restart)  # what they have declared outlives a kill from now on
        await ready(deployment)
        traffic = Traffic(deployment, random, MESSAGES, NUMBERS)
        await under_load(traffic, killed_for_a_while(private_rabbit), per_second=25)
        print(f"webhook: {dict(traffic.statuses)}, slowest {traffic.slowest:.2f} s")
        assert set(traffic.statuses) == {"200"}
        await settled(deployment, SETTLE_SECONDS)
        check(traffic, twilio)
        assert {n: p.pid for n, p in deployment.processes.items() if p.running} == pids


async def test_webhooks_are_refused_and_repeated_while_the_database_is_away(
    tmp_path: Path,
    random: Random,
    twilio: TwilioProcess,
    rabbit_url: str,
    amqp_prefix: str,
    private_postgres: PrivatePostgres,
) -> None:
    services = Services(rabbit_url, amqp_prefix, private_postgres.url)
    async with distributed(tmp_path / "gateway", World(twilio.url), services, workers=2) as deployment:
        pids = {name: process.pid for name, process in deployment.processes.items()}
        traffic = Traffic(deployment, random, MESSAGES, NUMBERS)
        await under_load(traffic, killed_for_a_while(private_postgres), per_second=40)
        print(f"webhook: {dict(traffic.statuses)}, slowest {traffic.slowest:.2f} s")
        assert traffic.statuses["503"] > 0
        assert set(traffic.statuses) == {"200", "503"}
        await settled(deployment, SETTLE_SECONDS)
        check(traffic, twilio)
        assert {n: p.pid for n, p in deployment.processes.items() if p.running} == pids


async def test_processes_that_start_while_the_broker_is_away_catch_up(
    tmp_path: Path,
    random: Random,
    twilio: TwilioProcess,
    private_rabbit: PrivateRabbit,
    amqp_prefix: str,
    schema_url: str,
) -> None:
    services = Services(private_rabbit.url, amqp_prefix, schema_url)
    await asyncio.to_thread(private_rabbit.kill)
    async with distributed(tmp_path / "gateway", World(twilio.url), services, workers=1) as deployment:
        traffic = Traffic(deployment, random, 40, 10)
        await traffic.send(per_second=100)
        assert set(traffic.statuses) == {"200"}
        await asyncio.to_thread(private_rabbit.start)
        await settled(deployment, SETTLE_SECONDS)
        check(traffic, twilio)
