"""A gateway for warm transfers at Twilio; callers and persons at the fake, on both of its hosts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from channels.twilio.fake import FakeCall, Phone
from gateway.domain.warm.words import CONFIRM_PROMPT
from tests.integration.twilio_house import TwilioHouse, at_twilio
from tests.integration.warm_agents import ANN, BOB, BRIEFING
from tests.waiting import PATIENCE, until

OURS, RELAYED, MUSICAL, THEIRS = "+15550100", "+15550101", "+15550102", "+14155550123"
MUSIC = "https://music.test/hold.mp3"
CONFIG = f"""
[organisation]
name = "Here"

[[addresses]]
channel = "voice"
address = "{OURS}"

[[addresses]]
channel = "voice"
address = "{RELAYED}"
voice_mode = "relay"
hold_music = "{MUSIC}"
filler_after_seconds = 30
reminder_after_seconds = 300

[[addresses]]
channel = "voice"
address = "{MUSICAL}"
hold_music = "{MUSIC}"

[agents.caller]
kind = "python"
target = "tests.integration.warm_agents:answer"
"""


class House(TwilioHouse):
    """Where people call, and others are called for them."""

    async def call(self, ours: str, sender: str = THEIRS) -> "Caller":
        """A person calls."""
        return Caller(self, await self.fake.call(sender, ours))

    def phone(self, ann: Phone, bob: Phone | None = None) -> None:
        """How the two persons' phones behave."""
        self.fake.phone(ANN, ann)
        self.fake.phone(BOB, bob or Phone())

    async def leg(self, number: str, nth: int = 1) -> FakeCall:
        """The nth call to a person, once it was made."""

        def made() -> list[FakeCall]:
            return [call for call in self.fake.calls if call.parties.to == number]

        await until(lambda: len(made()) >= nth)
        return made()[nth - 1]


@dataclass
class Caller:
    """Somebody who calls, on whichever host."""

    house: House
    call: FakeCall

    async def says(self, text: str) -> None:
        """Speak; the answer may come later."""
        await until(lambda: open_session(self.call) or "speech" in self.call.listening)
        if open_session(self.call) and self.call.relay is not None:
            await self.call.relay.say(text)
        else:
            await self.call.say(text)

    async def hears(self, *texts: str) -> None:
        """Wait until they have been told these, in this order, whatever else."""

        def heard() -> bool:
            said, place = "\n".join(self.call.said), -1
            for text in texts:
                place = said.find(text, place + 1)
                if place < 0:
                    return False
            return True

        await until(heard)

    async def status(self, wanted: str) -> None:
        """Wait until the conversation has come to this."""
        async with asyncio.timeout(PATIENCE):
            while (await self.house.conversation())["status"] != wanted:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def notes(self, text: str) -> None:
        """Wait until the transcript has this of what happened: it may be stored after the status."""
        async with asyncio.timeout(PATIENCE):
            while ("system_event", text) not in await self.house.transcript():  # noqa: ASYNC110
                await asyncio.sleep(0.02)


def open_session(call: FakeCall) -> bool:
    """Whether the caller can speak in a session."""
    return call.relay is not None and call.relay.open


async def is_asked(leg: FakeCall) -> None:
    """A person hears the briefing out, and is asked for a key."""
    await until(lambda: BRIEFING in leg.said)
    await until(lambda: "dtmf" in leg.listening)
    await leg.silence()
    await until(lambda: CONFIRM_PROMPT in leg.said)
    await until(lambda: "dtmf" in leg.listening)


async def accepts(leg: FakeCall, key: str = "1") -> None:
    """A person is asked, and presses a key."""
    await is_asked(leg)
    await leg.press(key)


@asynccontextmanager
async def open_house(folder: Path, *, account: bool = True) -> AsyncIterator[House]:
    """A gateway of one process; without an account, it can only take calls."""
    async with at_twilio(House, folder, CONFIG, account=account) as house:
        house.fake.pauses(0.01)
        yield house
