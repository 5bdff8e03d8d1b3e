"""The callers of the scripted call: one at each kind of host, with the same acts."""

import asyncio
from collections.abc import Callable, Sequence

from channels.twilio.fake import FakeCall, FakeTwilio
from channels.voice.host.fake import FakeCall as HostCall
from channels.voice.jambonz.fake import FakeJambonzCall
from gateway.domain.call_rules import CallPace
from gateway.domain.warm.words import CONFIRM_PROMPT
from tests.waiting import PATIENCE, until

FIRST, SECOND = "+15550111", "+15550112"
"""Who is called of two colleagues."""


async def heard_out(text: str) -> None:
    """Wait until a text has surely been spoken, as the gateway reckons: keys before that would cut it off."""
    await asyncio.sleep(len(text) / CallPace().characters_per_second + 0.5)


class WebhookLine:
    """A caller at Twilio whose call is carried by webhooks: nothing is streamed."""

    partial = ""

    def __init__(self, call: FakeCall, twilio: FakeTwilio) -> None:
        self.call = call
        self._twilio = twilio

    @property
    def said(self) -> Sequence[str]:
        """What they have heard."""
        return self.call.said

    @property
    def over(self) -> bool:
        """Whether the call has ended."""
        return self.call.ended

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something."""
        await self.call.wait_for(lambda _call: condition(), PATIENCE)

    async def say(self, text: str) -> None:
        """Speak, where the call listens."""
        await self.until(lambda: "speech" in self.call.listening)
        await self.call.say(text)

    async def press(self, keys: str) -> None:
        """Press keys, where the call listens."""
        await self.until(lambda: "dtmf" in self.call.listening)
        await self.call.press(keys)

    async def speak_over(self, heard: str) -> None:
        """No act of a script for TwiML: nobody is told what was heard."""
        raise AssertionError(f"there is no speaking over {heard!r}")

    async def nobody_takes_it(self) -> None:
        """The first phone is not answered; at the second somebody hears the briefing out, and declines."""
        await until(lambda: any(leg.parties.to == SECOND and not leg.ended for leg in self._twilio.calls))
        [leg] = [leg for leg in self._twilio.calls if leg.parties.to == SECOND and not leg.ended]
        while CONFIRM_PROMPT not in leg.said:
            await leg.wait_for(lambda leg: "dtmf" in leg.listening, PATIENCE)
            await leg.silence()
        await leg.wait_for(lambda leg: "dtmf" in leg.listening, PATIENCE)
        await leg.press("2")


class RelayLine(WebhookLine):
    """A caller at Twilio whose words travel over ConversationRelay."""

    @property
    def partial(self) -> str:  # type: ignore[override]
        """What is being said."""
        return self.call.relay.partial if self.call.relay is not None else ""

    async def say(self, text: str) -> None:
        """Speak, once there is a session to speak in."""
        await self.until(lambda: self.call.relay is not None and self.call.relay.open)
        assert self.call.relay is not None
        await self.call.relay.say(text)

    async def press(self, keys: str) -> None:
        """Press keys when the question has been heard out."""
        assert self.call.relay is not None
        await heard_out(self.said[-1])
        await self.call.relay.press(keys)

    async def speak_over(self, heard: str) -> None:
        """Speak over what is being said."""
        assert self.call.relay is not None
        await self.call.relay.interrupt(heard)


class JambonzLine:
    """A caller at jambonz, whose voice can be streamed to."""

    def __init__(self, call: FakeJambonzCall) -> None:
        self.call = call

    @property
    def said(self) -> Sequence[str]:
        """What they have heard."""
        return self.call.said

    @property
    def partial(self) -> str:
        """What is being said."""
        return self.call.voice.partial

    @property
    def over(self) -> bool:
        """Whether the call has ended."""
        return self.call.ended

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something."""
        await until(condition)

    async def say(self, text: str) -> None:
        """Speak, where the call listens."""
        await until(lambda: self.call.listener is not None)
        await self.call.say(text, over=False)

    async def press(self, keys: str) -> None:
        """Press keys when the question has been heard out; one too many would find nobody who listens."""
        await heard_out(self.said[-1])
        await until(lambda: self.call.listener is not None and self.call.listener.hears("digits"))
        await self.call.press(keys.removesuffix("#"))

    async def speak_over(self, heard: str) -> None:
        """Speak over what is being said."""
        await self.call.interrupt(heard)

    async def nobody_takes_it(self) -> None:
        """The first is not there; the second hears the briefing out, is asked, and declines."""
        await until(lambda: len(self.call.callees) == 1)
        self.call.callees[0].refuse("no-answer", 480)
        await until(lambda: len(self.call.callees) == 2)
        second = self.call.callees[1]
        await second.answer()
        await until(lambda: second.asking is not None)
        second.wait()
        await until(lambda: CONFIRM_PROMPT in second.said and second.asking is not None)
        second.press("2")


class HostedLine:
    """A caller at a voice host."""

    def __init__(self, call: HostCall) -> None:
        self.call = call

    @property
    def said(self) -> Sequence[str]:
        """What they have heard."""
        return self.call.said

    @property
    def partial(self) -> str:
        """What is being said."""
        return self.call.partial

    @property
    def over(self) -> bool:
        """Whether the call has ended."""
        return bool(self.call.ended)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something."""
        await self.call.until(condition, PATIENCE)

    async def say(self, text: str) -> None:
        """Speak."""
        self.call.say(text)

    async def press(self, keys: str) -> None:
        """Press keys, each reported by itself."""
        self.call.press(keys)

    async def speak_over(self, heard: str) -> None:
        """Speak over what is being said."""
        self.call.interrupt(heard)

    async def nobody_takes_it(self) -> None:
        """The fake has called both, and briefed the second."""
        await self.until(lambda: len(self.call.people.called) == 2)
        [briefing] = self.call.people.briefings
        assert briefing
