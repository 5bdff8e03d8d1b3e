"""A line into the webhooks of calls in TwiML mode: the callers of a fake Twilio, and what is stored."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from channels.twilio.fake import FakeCall, FakeTwilio
from channels.voice.routes import voice_routes
from gateway.domain.call_rules import CallRules
from gateway.domain.message import Role
from tests.integration.webhooks import ACCOUNT, OURS, THEIRS, TOKEN, Answer, Core, Site, site

SID = "CA" + "0" * 32
VOICE = "/webhooks/twilio/voice"


@dataclass
class Line:
    """The webhooks, and a network to call from."""

    site: Site
    fake: FakeTwilio

    @property
    def core(self) -> Core:
        """What stands behind the webhooks."""
        return self.site.core

    async def call(self, sender: str = THEIRS, to: str = OURS) -> FakeCall:
        """A person calls."""
        return await self.fake.call(sender, to)

    def event(self, message_id: str) -> dict[str, object]:
        """The event of a system message."""
        message = self.core.messages[message_id]
        assert message.role is Role.SYSTEM_EVENT
        event: dict[str, object] = message.metadata["voice_event"]
        return event

    async def post(self, path: str, **changes: str) -> Answer:
        """A webhook made by hand."""
        form = {"CallSid": SID, "AccountSid": ACCOUNT, "From": THEIRS, "To": OURS} | changes
        return await self.site.post(VOICE + path, form)


@asynccontextmanager
async def open_line(rules: CallRules | None = None) -> AsyncIterator[Line]:
    """A line into the gateway."""
    async with site(voice_routes, rules=rules) as served:
        fake = FakeTwilio(ACCOUNT, TOKEN, webhook_url=served.url)
        await fake.start()
        yield Line(served, fake)
        await fake.stop()
