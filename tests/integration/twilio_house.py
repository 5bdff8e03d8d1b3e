"""A gateway in this process and a fake Twilio around it, as every test of whole calls at Twilio has them."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import aiohttp

from channels.twilio.fake import FakeTwilio
from gateway.app import App
from tests.integration.asked import asked
from tests.integration.in_process import in_process
from tests.integration.webhooks import ACCOUNT, TOKEN

V2 = "/v1/v2/conversations"


@dataclass
class TwilioHouse:
    """The gateway and the network around it."""

    app: App
    fake: FakeTwilio
    http: aiohttp.ClientSession

    async def api(self, method: str, path: str, body: object = None) -> Any:
        """What the API answers."""
        return await asked(self.app, self.http, method, path, body)

    async def conversation(self) -> Any:
        """The only one there is."""
        [found] = (await self.api("GET", f"{V2}?channel=voice"))["items"]
        return found

    async def transcript(self, conversation_id: str | None = None) -> list[tuple[str, str]]:
        """Roles and words, of the only conversation unless one is named."""
        if conversation_id is None:
            conversation_id = (await self.conversation())["id"]
        rows = (await self.api("GET", f"{V2}/{conversation_id}/turns?limit=100"))["turns"]
        return [(row["role"], row["content"]) for row in rows]


H = TypeVar("H", bound=TwilioHouse)


@asynccontextmanager
async def at_twilio(
    house: Callable[[App, FakeTwilio, aiohttp.ClientSession], H],
    folder: Path,
    config: str,
    *,
    account: bool = True,
    **environment: str,
) -> AsyncIterator[H]:
    """A gateway of one process; without an account, it can only take calls. `environment`: more of it."""
    fake = FakeTwilio(ACCOUNT, TOKEN)
    environ = {
        "TWILIO_AUTH_TOKEN": TOKEN,
        "TWILIO_API_URL": await fake.start(),
        "GATEWAY_API_KEYS": "root:admin::Root",
        "GATEWAY_DRAIN_SECONDS": "2",
        **({"TWILIO_ACCOUNT_SID": ACCOUNT} if account else {}),
        **environment,
    }
    try:
        async with in_process(folder, config, environ) as app, aiohttp.ClientSession() as http:
            fake.webhook_url = app.http_url
            yield house(app, fake, http)
    finally:
        await fake.stop()
