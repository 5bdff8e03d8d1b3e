"""The process that holds a call is killed: whoever comes after it goes on, and nobody is called twice."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from channels.twilio.fake import FakeCall, FakeTwilio, Phone
from tests.acceptance.conftest import until
from tests.deployments import ACCOUNT, CLIENT, TOKEN, Deployment, World, embedded

OURS, THEIRS, ANN = "+15550100", "+14155550142", "+15550112001"
PATIENCE = 120.0
"""Seconds: a busy machine takes its time to start a process."""
CONFIG = f"""
[organisation]
name = "Example"

[[addresses]]
channel = "voice"
address = "{OURS}"

[agents.desk]
kind = "demo"

[agents.desk.transfers.billing]
destination = "{ANN}"
mode = "warm"
max_retries = 0

[agents.desk.transfers.billing.warm]
max_dial_seconds = 120
max_briefing_seconds = 300
bridge_confirm_seconds = 120
max_hold_seconds = 600
reassurance_text = ""
"""


@pytest.fixture
async def twilio() -> AsyncIterator[FakeTwilio]:
    """Calls pause until the test lets time pass."""
    fake = FakeTwilio(ACCOUNT, TOKEN)
    fake.pauses(3600)
    await fake.start()
    yield fake
    await fake.stop()


async def seen(condition: Callable[[], object], wanted: str) -> None:
    """Wait for it."""

    async def look() -> object | None:
        return condition() or None

    await until(look, wanted, PATIENCE)


async def transcript(deployment: Deployment) -> list[str]:
    """What the only conversation's transcript says."""
    async with aiohttp.ClientSession(headers={"x-api-key": CLIENT}) as http:

        async def get(path: str) -> Any:
            async with http.get(deployment.url + path) as answer:
                return await answer.json()

        [conversation] = (await get("/v1/v2/conversations?channel=voice"))["items"]
        rows = (await get(f"/v1/v2/conversations/{conversation['id']}/turns"))["turns"]
        return [conversation["status"], *(row["content"] for row in rows)]


async def kill(deployment: Deployment) -> None:
    """Without a word, and start again."""
    [process] = deployment.named("dev")
    await process.kill()
    await process.start()


@pytest.mark.timeout(300)
async def test_killed_while_a_person_is_called(twilio: FakeTwilio, tmp_path: Path) -> None:
    """Once while it rings, once during the briefing."""
    twilio.phone(ANN, Phone(rings=True))
    async with embedded(tmp_path / "gateway", World(twilio.url), config=CONFIG) as deployment:
        twilio.webhook_url = deployment.urls[0]
        caller = await twilio.call(THEIRS, OURS)
        await caller.say("transfer me")
        await caller.pass_time()  # the hold has been announced
        await seen(lambda: len(twilio.calls) == 2, "a call to the person")
        leg: FakeCall = twilio.calls[1]
        await kill(deployment)
        leg.pick_up()
        await seen(lambda: leg.said, "the briefing")
        await kill(deployment)
        await leg.silence()
        await leg.press("1")
        await caller.pass_time()
        await seen(lambda: caller.together, "the two in one room")

        async def told() -> list[str] | None:
            said = await transcript(deployment)
            return said if said[0] == "transferred" and "Call transferred." in said else None

        said = await until(told, "the end of the transfer", PATIENCE)
        assert [line.startswith("Call transfer") for line in said].count(True) == 1
        assert len(twilio.calls) == 2
