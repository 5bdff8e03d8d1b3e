"""The same suite for both deployments: each is started once, with a world around it that lives as long."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from email.message import EmailMessage
from itertools import count
from pathlib import Path
from smtplib import SMTP
from typing import Any, TypeVar
from uuid import uuid4

import aiohttp
import pytest
import pytest_asyncio

from channels.email.fake import SmtpSink, SunkMail
from channels.twilio.fake import FakeTwilio, Message
from tests.deployments import (
    ACCOUNT,
    CLIENT,
    HOST,
    TOKEN,
    Deployment,
    Services,
    World,
    distributed,
    embedded,
    pytest_runtest_makereport,
)
from tests.services import new_database

__all__ = ["pytest_runtest_makereport"]

CONVERSATIONS = "/v1/v2/conversations"
PATIENCE_SECONDS = 60.0
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back over HTTP."""

    status: int
    headers: dict[str, str]
    """By name in lower case."""
    body: Any
    """Decoded where it is JSON, else text."""


@dataclass(slots=True)
class Site:
    """A running deployment, its providers, and the people who use it."""

    deployment: Deployment
    twilio: FakeTwilio
    sink: SmtpSink
    """Where mail goes that the gateway sends."""
    http: aiohttp.ClientSession
    _people: "count[int]" = field(default_factory=lambda: count(1))

    def number(self) -> str:
        """A phone number that no other test has."""
        return f"+1555{1_000_000 + next(self._people)}"

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        key: str | None = CLIENT,
        patience: float = PATIENCE_SECONDS,
    ) -> Answer:
        """One request to the API, each time at another process."""
        async with self.http.request(
            method,
            self.deployment.url + path,
            json=body,
            headers={"x-api-key": key} if key else {},
            timeout=aiohttp.ClientTimeout(total=patience),
        ) as response:
            is_json = response.content_type == "application/json"
            return Answer(
                response.status,
                {name.lower(): value for name, value in response.headers.items()},
                await response.json() if is_json else await response.text(),
            )

    async def get(self, path: str) -> Any:
        """The body of a GET that must succeed."""
        answer = await self.call("GET", path)
        assert answer.status == 200, answer
        return answer.body

    async def new_conversation(self, **fields: object) -> str:
        """The id of a new conversation by API with a new end user."""
        person = await self.call(
            "POST", "/v1/identity/resolve", {"channel": "api", "identifier": uuid4().hex}
        )
        body = {"end_user_id": person.body["end_user_id"], "channel": "api", **fields}
        answer = await self.call("POST", CONVERSATIONS, body)
        assert answer.status == 201, answer
        return str(answer.body["id"])

    async def conversation_with(self, number: str, ours: str) -> str:
        """The id of the conversation that a phone has with a number of ours."""
        person = await self.call("POST", "/v1/identity/resolve", {"channel": "sms", "identifier": number})
        body = {"end_user_id": person.body["end_user_id"], "channel": "sms", "address": ours}
        answer = await self.call("POST", CONVERSATIONS, body)
        assert answer.status == 200, answer
        return str(answer.body["id"])

    async def messages(self, conversation_id: str) -> list[dict[str, Any]]:
        """All messages of a conversation, as the poll shows them."""
        poll = await self.get(f"{CONVERSATIONS}/{conversation_id}/messages?since_seq=-1")
        messages: list[dict[str, Any]] = poll["messages"]
        return messages

    async def texts_to(self, number: str, wanted: int) -> list[Message]:
        """What a phone has received, once it is that many texts."""

        async def enough() -> list[Message] | None:
            texts = self.twilio.by_pair(number)
            return texts if len(texts) >= wanted else None

        return await until(enough, f"{wanted} texts to {number}")

    async def send_mail(self, mail: EmailMessage) -> None:
        """Somebody outside sends a mail."""
        await asyncio.to_thread(self._send_mail, mail)

    def _send_mail(self, mail: EmailMessage) -> None:
        with SMTP(HOST, self.deployment.smtp_port, timeout=PATIENCE_SECONDS) as connection:
            connection.send_message(mail)

    async def mails_to(self, mailbox: str, wanted: int) -> list[SunkMail]:
        """What a mailbox outside has received, once it is that many mails."""

        async def enough() -> list[SunkMail] | None:
            mails = [mail for mail in self.sink.mails if mailbox in mail.rcpt_tos]
            return mails if len(mails) >= wanted else None

        return await until(enough, f"{wanted} mails to {mailbox}")


async def until(look: Callable[[], Awaitable[T | None]], wanted: str, timeout: float = PATIENCE_SECONDS) -> T:
    """What `look` finds, once it finds something. Raises AssertionError."""
    deadline = time.monotonic() + timeout
    while not (found := await look()):
        assert time.monotonic() < deadline, f"waited {timeout:.0f} s for {wanted}"
        await asyncio.sleep(0.05)
    return found


async def _services(request: pytest.FixtureRequest) -> Services:
    server = request.getfixturevalue("postgres_server")
    amqp_url: str = request.getfixturevalue("rabbit_url")
    name = f"t{uuid4().hex[:8]}"
    return Services(amqp_url, f"{name}.", await new_database(server.url, name))


@pytest_asyncio.fixture(scope="session", loop_scope="session", params=["embedded", "distributed"])
async def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Site]:
    """The gateway in one process, then in six."""
    directory: Path = tmp_path_factory.mktemp(request.param) / "gateway"
    services = await _services(request) if request.param == "distributed" else None
    async with AsyncExitStack() as stack:
        twilio, sink = FakeTwilio(ACCOUNT, TOKEN), SmtpSink()
        world = World(await twilio.start(), await sink.start())
        stack.push_async_callback(twilio.stop)
        stack.push_async_callback(sink.stop)
        running = distributed(directory, world, services) if services else embedded(directory, world)
        deployment = await stack.enter_async_context(running)
        twilio.webhook_url = deployment.urls[0]
        timeout = aiohttp.ClientTimeout(total=PATIENCE_SECONDS)
        http = await stack.enter_async_context(aiohttp.ClientSession(timeout=timeout))
        yield Site(deployment, twilio, sink, http)
