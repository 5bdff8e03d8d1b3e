"""Texts in and out while everything goes wrong at once: each reply once, in order, each receipt's end right.

The provider takes messages and does not answer, answers 429, repeats and reorders its callbacks, and does not
deliver some; senders repeat their webhooks; workers are killed, and so are connections to the database.
"""

import asyncio
import json
import time
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import asyncpg
import pytest

from tests.chaos.test_kill_workers import kill_now_and_then
from tests.chaos.traffic import Traffic, check, settled
from tests.deployments import Deployment, Services, TwilioProcess, World, distributed
from tests.processes import Leash
from tests.services import execute

FAULTS = (
    "drop_after_accept=0.2,rate_429=0.05,reorder_callbacks=0.3,duplicate_callbacks=0.1,undelivered=0.1,"
    "delay_seconds=0.1,delay_probability=0.3"
)
REPEATED = 0.05
SETTLE_SECONDS = 240.0
SHORT = pytest.param(200, 40, 6.0, (0.3, 2.0), id="short")
LONG = pytest.param(
    10_000, 1_000, 240.0, (2.0, 8.0), marks=[pytest.mark.slow, pytest.mark.timeout(3600)], id="long"
)
"""Texts, their senders, seconds, and how long a worker lives.

With two workers that live for a second each over minutes, now and then a text is killed six times in a row:
it has then held up its lane for the three minutes that a lane waits, and the next one rightly overtakes it.
"""
_KILL_CONNECTIONS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_ENDS = {"delivered": "delivered", "undelivered": "failed"}


@pytest.fixture
async def twilio(tmp_path: Path) -> AsyncIterator[TwilioProcess]:
    """A provider with every fault."""
    leash = Leash()
    fake = TwilioProcess(tmp_path, leash, faults=FAULTS)
    try:
        await fake.process.start()
        yield fake
    finally:
        fake.process.stop()
        leash.close()


async def cut_now_and_then(url: str, random: Random, seconds: float) -> int:
    """Kill all connections to the database, every 2 to 4 s; how often."""
    ends = asyncio.get_running_loop().time() + seconds
    cuts = 0
    while asyncio.get_running_loop().time() < ends:
        await asyncio.sleep(random.uniform(2.0, 4.0))
        await execute(url, _KILL_CONNECTIONS)
        cuts += 1
    return cuts


@pytest.mark.parametrize(("messages", "numbers", "seconds", "lives"), [SHORT, LONG])
async def test_every_reply_once_in_order_and_every_receipt_right(
    tmp_path: Path,
    random: Random,
    twilio: TwilioProcess,
    services: Services,
    messages: int,
    numbers: int,
    seconds: float,
    lives: tuple[float, float],
) -> None:
    async with distributed(tmp_path / "gateway", World(twilio.url), services, workers=2) as deployment:
        traffic = Traffic(deployment, random, messages, numbers, repeated=REPEATED)
        kills = [kill_now_and_then(worker, random, seconds, lives) for worker in deployment.named("worker")]
        (_, cuts, *killed) = await asyncio.gather(
            traffic.send(per_second=messages / seconds),
            cut_now_and_then(services.database_url, random, seconds),
            *kills,
        )
        print(f"kills: {killed}, cuts: {cuts}, webhook: {dict(traffic.statuses)}")
        await settled(deployment, SETTLE_SECONDS)
        check(traffic, twilio)
        counts = await reported(twilio)
        print(f"callbacks: {counts}")
        await receipts_are_right(deployment, twilio, untold=counts["failed"])


async def reported(twilio: TwilioProcess) -> dict[str, int]:
    """Wait until every message's last status has been told; how many callbacks were taken, and not."""
    deadline = time.monotonic() + 60
    while (counts := await asked(twilio, "callbacks"))["under_way"]:
        assert time.monotonic() < deadline, counts
        await asyncio.sleep(0.2)
    return dict(counts)


async def asked(twilio: TwilioProcess, what: str) -> dict[str, Any]:
    """What the provider's control API says."""

    def get() -> dict[str, Any]:
        with urllib.request.urlopen(f"{twilio.url}/_fake/{what}", timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    return await asyncio.to_thread(get)


async def receipts_are_right(deployment: Deployment, twilio: TwilioProcess, *, untold: int) -> None:
    """Each part is bound to the provider's message and ends as that did, and so does its reply.

    `untold`: callbacks that the provider could not bring in four tries, as where a busy machine's database
    is not back within them. It tells them to nobody again, so what they would have said is still open.
    """
    assert deployment.services is not None
    ledger = (await asked(twilio, "messages"))["messages"]
    ends = {m["sid"]: _ENDS[m["status"]] for m in ledger if m["direction"] != "inbound"}
    connection = await asyncpg.connect(deployment.services.database_url)
    try:
        parts = await connection.fetch(
            "SELECT p.provider_message_id AS sid, p.state, m.delivery_status FROM parts p"
            " JOIN deliveries d ON d.id = p.delivery_id JOIN messages m ON m.id = d.message_id"
        )
    finally:
        await connection.close()
    states = {part["sid"]: part["state"] for part in parts}
    assert states.keys() == ends.keys()
    behind = {sid: state for sid, state in states.items() if state != ends[sid]}
    assert len(behind) <= untold, behind
    assert set(behind.values()) <= {"accepted", "sent"}, behind
    shown = {part["sid"]: part["delivery_status"] for part in parts}
    assert {sid: status for sid, status in shown.items() if sid not in behind} == {
        sid: end for sid, end in ends.items() if sid not in behind
    }
    assert {"delivered", "failed"} == set(ends.values())
