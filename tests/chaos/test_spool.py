"""PostgreSQL away while messages come, and the process that spools them killed: nothing lost or doubled."""

import asyncio
import smtplib
from email.message import EmailMessage
from pathlib import Path
from random import Random
from typing import Any

import aiohttp

from gateway.bench.services import PrivatePostgres
from gateway.store.spool import spooled
from tests.chaos.traffic import Traffic, check, settled
from tests.deployments import HOST, MAILBOX, Deployment, Services, TwilioProcess, World, distributed
from tests.processes import Process
from tests.services import fetch_value

MESSAGES, NUMBERS = 240, 30
SETTLE_SECONDS = 180.0
"""A slow machine takes so long; what is waited for ends the wait."""
WAITING = "waiting for the database"
MAILS = "SELECT COUNT(*) FROM conversations WHERE channel = 'email'"
MAIL_TEXTS = (
    "SELECT COUNT(*) FROM messages WHERE role = 'user'"
    " AND conversation_id IN (SELECT id FROM conversations WHERE channel = 'email')"
)


async def outage(deployment: Deployment, postgres: PrivatePostgres, folder: Path) -> dict[str, Any]:
    """Stop the database under load, kill a process that spools, and bring both back; /readyz meanwhile."""
    serving = deployment.processes["serve-1"]
    await asyncio.sleep(1.0)
    await asyncio.to_thread(postgres.kill)
    async with asyncio.timeout(SETTLE_SECONDS):
        while await asyncio.to_thread(spooled, folder) <= 5:  # noqa: ASYNC110 - only the folder tells
            await asyncio.sleep(0.1)
    await asyncio.to_thread(send_mail, deployment)
    readiness = await ready(deployment)
    await serving.kill()
    await asyncio.to_thread(postgres.start)
    await serving.start()
    return readiness


async def ready(deployment: Deployment) -> dict[str, Any]:
    """What /readyz says, which must be 200."""
    async with aiohttp.ClientSession() as http, http.get(f"{deployment.urls[0]}/readyz") as response:
        body: dict[str, Any] = await response.json()
        assert response.status == 200, body
        return body


def send_mail(deployment: Deployment, text: str = "Hello?") -> None:
    """Somebody writes, and hears 250."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "ada@customer.example", MAILBOX, "While you were away"
    mail.set_content(text)
    with smtplib.SMTP(HOST, deployment.smtp_port, timeout=60) as connection:
        assert connection.send_message(mail) == {}


async def drained(folder: Path) -> None:
    """Wait until nothing is spooled. Raises AssertionError."""
    deadline = asyncio.get_running_loop().time() + SETTLE_SECONDS
    while left := await asyncio.to_thread(spooled, folder):
        assert asyncio.get_running_loop().time() < deadline, f"{left} entries were still spooled"
        await asyncio.sleep(0.2)


async def test_webhooks_and_mail_are_taken_while_the_database_is_away(
    tmp_path: Path,
    random: Random,
    twilio: TwilioProcess,
    rabbit_url: str,
    amqp_prefix: str,
    private_postgres: PrivatePostgres,
) -> None:
    services = Services(rabbit_url, amqp_prefix, private_postgres.url)
    folder = tmp_path / "spool"
    async with distributed(
        tmp_path / "gateway", World(twilio.url), services, workers=1, GATEWAY_SPOOL_DIR=str(folder)
    ) as deployment:
        deployment.urls = deployment.urls[:1]  # order is kept by a process, not over several
        traffic = Traffic(deployment, random, MESSAGES, NUMBERS)
        _, readiness = await asyncio.gather(
            traffic.send(per_second=40), outage(deployment, private_postgres, folder)
        )
        print(f"webhook: {dict(traffic.statuses)}, slowest {traffic.slowest:.2f} s")
        assert readiness["status"] == "degraded"
        assert readiness["checks"]["spool"] != "0 waiting"
        assert "503" not in traffic.statuses
        await drained(folder)
        await settled(deployment, SETTLE_SECONDS)
        check(traffic, twilio)
        assert await fetch_value(services.database_url, MAILS) == 1
        assert (await ready(deployment))["status"] == "ready"
        assert await deployment.processes["serve-1"].terminate() == 0


async def launched_and_waiting(process: Process) -> None:
    """Start it, and wait until it says what it waits for. Raises AssertionError where it ends instead."""
    before = process.log_text().count(WAITING)
    process.launch()
    async with asyncio.timeout(SETTLE_SECONDS):
        while process.log_text().count(WAITING) == before:
            assert process.running, process.tail()
            await asyncio.sleep(0.1)


async def test_processes_that_end_and_start_in_an_outage_lose_nothing_and_become_whole(
    tmp_path: Path,
    random: Random,
    twilio: TwilioProcess,
    rabbit_url: str,
    amqp_prefix: str,
    private_postgres: PrivatePostgres,
) -> None:
    services = Services(rabbit_url, amqp_prefix, private_postgres.url)
    folder = tmp_path / "spool"
    async with distributed(
        tmp_path / "gateway", World(twilio.url), services, workers=1, GATEWAY_SPOOL_DIR=str(folder)
    ) as deployment:
        deployment.urls = deployment.urls[:1]
        serving, receiving, worker = (
            deployment.processes[f"{name}-1"] for name in ("serve", "smtp", "worker")
        )
        await asyncio.to_thread(private_postgres.kill)
        await asyncio.to_thread(send_mail, deployment)
        await asyncio.gather(serving.kill(), worker.kill())
        assert await receiving.terminate() == 0
        assert await asyncio.to_thread(spooled, folder) == 1

        await launched_and_waiting(worker)
        assert await worker.terminate() == 0  # it is told to end while it waits
        await asyncio.gather(serving.start(), receiving.start())
        assert (await ready(deployment))["status"] == "degraded"
        traffic = Traffic(deployment, random, 20, 5)
        await traffic.send(per_second=40)
        assert set(traffic.statuses) == {"200"}
        await asyncio.to_thread(send_mail, deployment, "Still there?")
        assert await asyncio.to_thread(spooled, folder) == 22

        await launched_and_waiting(worker)  # as late as can be: a worker gives up after a minute
        await asyncio.to_thread(private_postgres.start)
        await worker.wait_ready()
        await drained(folder)
        await settled(deployment, SETTLE_SECONDS)
        check(traffic, twilio)
        assert await fetch_value(services.database_url, MAIL_TEXTS) == 2
        assert (await ready(deployment))["status"] == "ready"
