"""Files of messages: fetched from Twilio with its credentials, from nowhere else, and read over the API."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from channels import media as media_module
from channels.media import MediaClient, MediaPlaces
from channels.twilio.credentials import TwilioCredentials
from channels.twilio.fake import FakeTwilio
from channels.twilio.media import twilio_media
from gateway.domain.ports.files import Fetched, NotFetched
from tests.integration.api import Api, gateway
from tests.loopback import served

ACCOUNT, TOKEN = "AC" + "0" * 32, "token-of-these-tests"
OURS, THEIRS = "+15550100", "+14155550123"
PUBLIC = "https://gateway.example"


@pytest.fixture
async def fake() -> AsyncIterator[FakeTwilio]:
    twilio = FakeTwilio(ACCOUNT, TOKEN, webhook_url=PUBLIC)
    await twilio.start()
    yield twilio
    await twilio.stop()


@pytest.fixture
async def client(fake: FakeTwilio) -> AsyncIterator[MediaClient]:
    made = twilio_media(TwilioCredentials(account_sid=ACCOUNT, auth_tokens=(TOKEN,), api_url=fake.url))
    yield made
    await made.close()


async def reason(
    client: MediaClient, url: str, said: str = "image/png", limit: int = 100
) -> tuple[str, bool]:
    found = await client(url, said, limit)
    assert isinstance(found, NotFetched), found
    return found.reason, found.again


async def test_a_file_is_fetched_through_the_redirect(fake: FakeTwilio, client: MediaClient) -> None:
    found = await client(fake.keep_media(b"picture", "image/png; x=y"), "image/jpeg", 7)
    assert found == Fetched(b"picture", "image/png", None)
    unsaid = await client(fake.keep_media(b"picture", "application/octet-stream"), "image/jpeg", 7)
    assert unsaid == Fetched(b"picture", "image/jpeg", None)


async def test_what_is_too_large_or_no_medium_is_not_taken(fake: FakeTwilio, client: MediaClient) -> None:
    assert await reason(client, fake.keep_media(b"x" * 101, "image/png")) == ("too_large", False)
    for media_type in ("text/html", "image/svg+xml", "application/x-msdownload"):
        assert await reason(client, fake.keep_media(b"x", media_type)) == ("type_not_taken", False)


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://127.0.0.1:1/x",
        "https://evil.example/media.twiliocdn.com/x",
        "https://s3-external-1.amazonaws.com/other-bucket/x",
        "https://twiliocdn.com.evil.example/x",
        "https://eviltwiliocdn.com/x",
        "https://user@media.twiliocdn.com/x",
        "https://media.twiliocdn.com:8443/x",
        "http://media.twiliocdn.com/x",
        "file:///etc/passwd",
    ],
)
async def test_no_redirect_leads_elsewhere(fake: FakeTwilio, client: MediaClient, location: str) -> None:
    assert await reason(client, fake.keep_media(b"x", "image/png", location)) == ("host_not_allowed", False)


async def test_a_first_url_elsewhere_is_not_asked(client: MediaClient) -> None:
    assert await reason(client, "https://evil.example/x") == ("host_not_allowed", False)
    assert await reason(client, "https://[::1") == ("not_a_url", False)


async def test_a_loop_of_redirects_ends_and_a_file_that_is_not_there_may_come(
    fake: FakeTwilio, client: MediaClient
) -> None:
    assert await reason(client, fake.keep_media(b"x", "image/png", "?again")) == ("too_many_redirects", False)
    missing = fake.keep_media(b"x", "image/png").rsplit("/", 1)[0] + "/ME0"
    assert await reason(client, missing) == ("http_404", True)


class Anywhere(MediaPlaces):
    """Places of which one is on loopback, which is no public address."""

    def allows(self, url: Any) -> bool:
        return True


async def test_addresses_are_judged_and_credentials_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str | None] = []

    async def read(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization"))
        return web.Response(body=b"picture", headers={"Content-Type": "image/png"})

    app = web.Application()
    app.router.add_get("/file", read)
    async with served(app) as place:
        url = f"{place}/file"
        client = MediaClient(Anywhere(origin="https://api.example", authorization="Basic c2VjcmV0"))
        assert await reason(client, url) == ("address_refused", False)
        assert seen == []
        monkeypatch.setattr(media_module, "is_public", lambda _address: True)
        assert isinstance(await client(url, "image/png", 100), Fetched)
        assert seen == [None]
        await client.close()


@pytest.fixture
async def texted(tmp_path: Path, fake: FakeTwilio) -> AsyncIterator[Api]:
    """A gateway whose texts come from the fake Twilio."""
    environment = {
        "TWILIO_ACCOUNT_SID": ACCOUNT,
        "TWILIO_AUTH_TOKEN": TOKEN,
        "TWILIO_API_URL": fake.url,
        "GATEWAY_PUBLIC_URL": PUBLIC,
        "GATEWAY_API_URL": "https://api.gateway.example",
    }
    async with gateway(tmp_path, **environment) as api:
        yield api


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await holds():  # noqa: ASYNC110 - what is waited for is in other tasks' hands
            await asyncio.sleep(0.05)


async def test_a_picture_is_there_when_the_agent_is_asked(texted: Api, fake: FakeTwilio) -> None:
    url = fake.keep_media(b"picture", "image/png")
    answer = await fake.text(
        THEIRS,
        OURS,
        "look",
        via=texted.app.http_url,
        NumMedia="1",
        MediaUrl0=url,
        MediaContentType0="image/jpeg",
    )
    assert answer.status == 200

    async def answered() -> bool:
        return bool(fake.messages)

    await eventually(answered)
    (row,) = await _attachments(texted)
    assert (row["state"], row["media_type"], row["size"]) == ("kept", "image/png", 7)
    read = await texted.as_("app").get(f"/v1/attachments/{row['id']}")
    assert (read.status, read.text, read.headers["Content-Type"]) == (200, "picture", "image/png")


async def _attachments(api: Api) -> list[Any]:
    """All rows, as the store has them."""
    found = (await api.get("/v1/conversations")).json["items"]

    async def rows(tx: Any) -> list[Any]:
        row = await tx.one("message_attachments", id=message_id)
        ids = [a["id"] for a in json.loads(row["attachments"])]
        return [
            await tx.one("attachment_by_id", organization_id=found[0]["organization_id"], id=one)
            for one in ids
        ]

    messages = (await api.get(f"/v1/conversations/{found[0]['id']}/messages")).json["messages"]
    message_id = messages[0]["id"]
    return await api.app.store.read(rows)
