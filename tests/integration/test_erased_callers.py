"""Who is erased during their own call is hung up on, and what is told of the call brings them not back."""

import asyncio
from pathlib import Path

import aiohttp
import pytest

from channels.twilio.fake import CallStatus
from gateway.app import App
from tests.integration.jambonz_house import AUTHORIZED, OURS, WS, caller
from tests.integration.jambonz_house import gateway as jambonz_gateway
from tests.integration.test_outgoing_calls import DOCUMENTS, RELAYED, open_house
from tests.integration.twilio_house import V2
from tests.waiting import PATIENCE, until

KEY = {"x-api-key": "root"}


async def erase(app: App, http: aiohttp.ClientSession) -> None:
    """Erase the only caller there is, to the end."""
    async with http.get(f"{app.http_url}{V2}?channel=voice", headers=KEY) as answer:
        [conversation] = (await answer.json())["items"]
    place = f"{app.http_url}/v1/identity/end-users/{conversation['end_user_id']}"
    async with http.delete(place, headers=KEY) as answer:
        assert answer.status == 204
    async with asyncio.timeout(PATIENCE):
        while await conversations(app, http):  # noqa: ASYNC110 - it is asked of the API
            await asyncio.sleep(0.02)


async def conversations(app: App, http: aiohttp.ClientSession) -> int:
    """How many there are."""
    async with http.get(f"{app.http_url}{V2}", headers=KEY) as answer:
        return len((await answer.json())["items"])


async def nobody_is_back(app: App, http: aiohttp.ClientSession, number: str) -> None:
    """There is no conversation, and the number is nobody's."""
    assert await conversations(app, http) == 0
    asked = {"channel": "voice", "identifier": number}
    async with http.post(f"{app.http_url}/v1/identity/resolve", json=asked, headers=KEY) as answer:
        assert (await answer.json())["created"] is True


@pytest.mark.parametrize("ours", [DOCUMENTS, RELAYED])
async def test_over_twilio(tmp_path: Path, ours: str) -> None:
    async with open_house(tmp_path) as house:
        call = await house.fake.call("+14155550177", ours)
        await erase(house.app, house.http)
        if ours == DOCUMENTS:
            await call.hang_up()
        await call.wait_for(lambda call: call.status is CallStatus.COMPLETED, PATIENCE)
        await nobody_is_back(house.app, house.http, "+14155550177")


@pytest.mark.parametrize("during", ["talk", "transfer", "break"])
async def test_over_jambonz(tmp_path: Path, during: str) -> None:
    async with jambonz_gateway(tmp_path) as app, caller(app) as line:
        if during == "transfer":
            await line.call.say("billing")
            await line.dials()
        if during == "break":
            await line.call.drop(idle=True)
        await erase(app, line.http)
        if during == "break":
            await line.call.wire.report("verb:status", {})  # and jambonz is back with that
        await until(lambda: line.call.ended)
        told = {"call_sid": line.call.call_sid, "call_status": "completed", "direction": "inbound"}
        told |= {"from": line.theirs, "to": OURS}
        async with line.http.post(f"{app.http_url}{WS}/status", json=told, headers=AUTHORIZED) as answer:
            assert answer.status == 200
        await nobody_is_back(app, line.http, f"+{line.theirs}")
