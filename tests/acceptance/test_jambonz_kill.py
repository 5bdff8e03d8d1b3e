"""The process that holds a call over jambonz is killed: the next one goes on, and nobody is called twice."""

from pathlib import Path
from typing import Any

import aiohttp
import pytest

from channels.voice.jambonz.fake import FakeJambonz, FakeJambonzApi
from gateway.domain.crash_point import CrashPoint
from tests.acceptance.conftest import until
from tests.acceptance.test_warm_kill import ANN, CONFIG, OURS, PATIENCE, THEIRS, kill, seen, transcript
from tests.deployments import CLIENT, World, embedded

LOGIN = "jambonz:a-password"
ACCOUNT, APPLICATION, KEY = "account-1", "application-1", "an-api-key"
JAMBONZ = CONFIG.replace(f'address = "{OURS}"', f'address = "{OURS}"\nvoice_mode = "jambonz"')


@pytest.mark.timeout(300)
async def test_killed_while_a_person_is_briefed(tmp_path: Path) -> None:
    """It takes as long as it takes to start again; a telephone would ring two minutes at most."""
    async with embedded(
        tmp_path / "gateway", World("http://127.0.0.1:9"), config=JAMBONZ, JAMBONZ_WEBHOOK_LOGIN=LOGIN
    ) as deployment:
        fake = FakeJambonz(deployment.urls[0], LOGIN)
        caller = await fake.call(THEIRS, OURS)
        await seen(lambda: caller.listener is not None, "somebody who listens")
        await caller.say("transfer me")
        await seen(lambda: caller.callees, "a call to the person")
        [ann] = caller.callees
        await ann.answer()
        await seen(lambda: ann.asking, "the briefing")
        await kill(deployment)
        await seen(lambda: caller.wire.reconnected == 1, "the connection")
        ann.press("1")
        await seen(lambda: ann.bridged, "the two together")

        async def told(status: str) -> list[str] | None:
            said = await transcript(deployment)
            return said if said[0] == status and "Call transferred." in said else None

        await until(lambda: told("transferred"), "the end of the transfer", PATIENCE)
        ann.hang_up()
        await seen(lambda: caller.ended, "the end of the call")
        said = await until(lambda: told("closed"), "the end of the conversation", PATIENCE)
        assert [line.startswith("Call transfer") for line in said].count(True) == 1
        assert (ann.destination, len(caller.callees)) == (ANN, 1)
        await fake.stop()


@pytest.mark.timeout(300)
async def test_killed_before_it_is_known_that_somebody_is_called(tmp_path: Path) -> None:
    """jambonz has taken the call, and nobody is called again."""
    fake = FakeJambonz("", LOGIN)
    api = FakeJambonzApi(fake, ACCOUNT, APPLICATION, KEY)
    environment = {
        "JAMBONZ_WEBHOOK_LOGIN": LOGIN,
        "JAMBONZ_API_URL": await api.start(),
        "JAMBONZ_API_KEY": KEY,
        "JAMBONZ_ACCOUNT_SID": ACCOUNT,
        "JAMBONZ_APPLICATION_SID": APPLICATION,
        "GATEWAY_CRASH_AT": CrashPoint.CALL_DIALED.value,
    }
    async with embedded(
        tmp_path / "gateway", World("http://127.0.0.1:9"), config=JAMBONZ, **environment
    ) as deployment:
        [process] = deployment.named("dev")
        fake.url = deployment.urls[0]
        body = {"to": THEIRS, "from": OURS}
        url, headers = f"{deployment.urls[0]}/v1/voice/calls", {"x-api-key": CLIENT}
        async with aiohttp.ClientSession() as http, http.post(url, json=body, headers=headers) as answer:
            assert answer.status == 201
            call: Any = await answer.json()
        await seen(lambda: not process.running, "the crash")
        del process.environment["GATEWAY_CRASH_AT"]
        await process.start()
        [phone] = fake.outgoing
        await seen(lambda: phone.wire.reconnected == 1, "the connection")
        await phone.pick_up()
        await seen(lambda: phone.said, "the greeting")
        assert (await transcript(deployment))[0] == "active"
        assert [asked["tag"] for asked in api.asked] == [{"conversation_id": call["id"]}]
        await fake.stop()
    await api.stop()
