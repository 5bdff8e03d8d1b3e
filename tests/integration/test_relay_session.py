"""One ConversationRelay session on a real WebSocket, over a stand-in for the core: its pauses and errors."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import pairwise

from prometheus_client import REGISTRY
from starlette.routing import BaseRoute

from channels.contract import Ingress
from channels.twilio.credentials import TwilioCredentials
from channels.twilio.fake import FakeCall, FakeTwilio
from channels.twilio.fake.relay import RelayLine
from channels.voice.relay.routes import relay_routes
from channels.voice.routes import MAX_CONNECTS, voice_routes
from gateway.domain.call_rules import CallPace, CallRules, CallTexts
from gateway.domain.conversation import Status
from gateway.domain.errors import Unavailable
from gateway.domain.message import SPOKEN_TEXT, Role
from gateway.domain.turn import Path
from tests.integration.webhooks import ACCOUNT, OURS, THEIRS, TOKEN, Core, site
from tests.turns import outcome, spoken

TEXTS = CallTexts()
PATIENCE = 60.0
LONG = 3600.0
PACE = CallPace(
    filler_after=LONG,
    reminder_after=LONG,
    reassure_every=LONG,
    look_every=0.02,
    characters_per_second=1e9,
)


@dataclass
class Phone:
    """A call, and what stands behind it."""

    core: Core
    call: FakeCall

    @property
    def relay(self) -> RelayLine:
        """The newest session."""
        assert self.call.relay is not None
        return self.call.relay

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for it."""
        async with asyncio.timeout(PATIENCE):
            while not condition():  # noqa: ASYNC110 - what it waits for is in many places
                await asyncio.sleep(0.005)

    async def hears(self, text: str) -> None:
        """Wait until the caller is told this."""
        await self.until(lambda: text in self.call.said)

    async def begun(self) -> None:
        """Wait until the session answers."""
        await self.relay.say("hi")
        await self.hears("You said hi.")


def first_words() -> float:
    """How many answers have begun to be heard, as the metric has it."""
    return REGISTRY.get_sample_value("gateway_call_first_word_seconds_count") or 0.0


@asynccontextmanager
async def phone(pace: CallPace = PACE, hold_music: str | None = None) -> AsyncIterator[Phone]:
    """A call that has been greeted."""

    def routes(ingress: Ingress, twilio: TwilioCredentials) -> Sequence[BaseRoute]:
        return [*voice_routes(ingress, twilio), *relay_routes(ingress, twilio)]

    rules = CallRules(streams=True, texts=TEXTS, pace=pace, hold_music=hold_music)
    async with site(routes, rules=rules) as served:
        served.core.go_on.set()
        fake = FakeTwilio(ACCOUNT, TOKEN, webhook_url=served.url)
        await fake.start()
        try:
            yield Phone(served.core, await fake.call(THEIRS, OURS))
        finally:
            await fake.stop()


async def test_a_filler_bridges_a_long_thought_and_gives_way() -> None:
    async with phone(replace(PACE, filler_after=0.01)) as line:
        line.core.go_on.clear()
        words = first_words()
        await line.relay.say("hello")
        await line.hears(TEXTS.filler)
        assert first_words() == words  # a filler is no answer
        line.core.go_on.set()
        await line.hears("You said hello.")
        assert first_words() == words + 1
        filler = next(frame for frame in line.relay.frames if frame.get("token") == TEXTS.filler)
        assert (filler["preemptible"], filler["last"]) == (True, True)
        assert line.call.said.count(TEXTS.filler) == 1


async def test_silence_is_asked_about_and_then_the_call_ends() -> None:
    async with phone(replace(PACE, reminder_after=0.01, max_reminders=2)) as line:
        await line.until(lambda: line.call.ended)
        assert line.call.said == [TEXTS.greeting, TEXTS.reminder, TEXTS.reminder, TEXTS.goodbye]


async def test_on_hold_the_caller_is_reassured() -> None:
    async with phone(replace(PACE, reassure_every=0.05)) as line:
        line.core.answers["a person"] = outcome("", path=Path.HANDOFF, status=Status.WAITING_FOR_HUMAN)
        line.core.status = Status.WAITING_FOR_HUMAN
        await line.relay.say("a person")
        await line.hears(TEXTS.hold)
        await line.hears(TEXTS.reassurance)


async def test_whose_agent_is_paused_holds_until_they_are_answered() -> None:
    """Their conversation is active all the time; they are reassured, and neither reminded nor let go."""
    async with phone(replace(PACE, reassure_every=0.05)) as line:
        line.core.waits = True
        line.core.answers["hello"] = outcome("", path=Path.QUEUED)
        await line.relay.say("hello")
        await line.hears(TEXTS.hold)
        await line.until(lambda: line.call.said.count(TEXTS.reassurance) >= 2)
        line.core.waits = False
        await line.begun()


async def test_on_hold_music_plays_between_the_lines_and_ends_with_the_hold() -> None:
    async with phone(replace(PACE, reassure_every=0.05), "https://music.test/hold.mp3") as line:
        line.core.answers["a person"] = outcome("", path=Path.HANDOFF, status=Status.WAITING_FOR_HUMAN)
        line.core.status = Status.WAITING_FOR_HUMAN
        await line.relay.say("a person")
        await line.until(lambda: len(plays(line)) >= 3)
        assert plays(line)[0] == {
            "type": "play",
            "source": "https://music.test/hold.mp3",
            "loop": 0,
            "preemptible": True,
            "interruptible": False,
        }
        kinds = [frame["type"] for frame in line.relay.frames]
        assert ("play", "play") not in pairwise(kinds)
        assert TEXTS.reassurance in line.call.said
        line.core.status = Status.ACTIVE
        await line.hears(TEXTS.reminder)
        played = len(plays(line))
        await line.begun()
        assert len(plays(line)) == played
        assert line.relay.frames[-1]["type"] == "text"


async def test_what_was_spoken_over_is_not_said_again() -> None:
    """Nor does its place in the transcript keep what a person says after it from being said."""
    async with phone() as line:
        await line.begun()
        spoken_over = replace(spoken(5, "I was saying."), turn_id="t", metadata={SPOKEN_TEXT: "I was"})
        line.core.said = (spoken_over, spoken(6, "This is Jamie."))
        await line.hears("This is Jamie.")
        assert "I was saying." not in line.call.said


def plays(line: Phone) -> list[dict[str, object]]:
    """The recordings that the caller was played."""
    return [frame for frame in line.relay.frames if frame["type"] == "play"]


async def test_nobody_is_held_for_ever() -> None:
    async with phone(replace(PACE, hold_at_most=0.05)) as line:
        line.core.status = Status.WAITING_FOR_HUMAN
        await line.until(lambda: line.call.ended)
        assert line.call.said[-1] == TEXTS.goodbye


async def test_more_words_before_the_answer_begin_a_new_turn() -> None:
    async with phone() as line:
        line.core.go_on.clear()
        await line.relay.say("one")
        await line.relay.say("two")
        await line.until(lambda: any(m.text == "two" for m in line.core.messages.values()))
        line.core.go_on.set()
        await line.hears("You said two.")
        assert [text for text in line.call.said if "one" in text] == []
        first = next(m for m in line.core.messages.values() if m.text == "one")
        assert line.core.interrupted == [(first.provider_message_id, "", "")]


async def test_half_an_utterance_runs_no_turn() -> None:
    async with phone() as line:
        await line.relay.send({"type": "prompt", "voicePrompt": "hel", "last": False})
        await line.relay.send({"type": "prompt", "voicePrompt": "   ", "last": True})
        await line.relay.say("hello")
        await line.hears("You said hello.")
        assert [m.text for m in line.core.messages.values() if m.role is Role.USER] == ["hello"]


async def test_what_is_no_frame_of_twilios_is_left_out() -> None:
    async with phone() as line:
        for frame in (
            {"type": "video"},
            {"no": "type"},
            {"type": "prompt"},
            {"type": "error", "description": "x"},
        ):
            await line.relay.send(frame)
        await line.relay.send({"type": "interrupt"})
        await line.relay.send({"type": "dtmf", "digit": "x"})
        await line.relay.say("hello")
        await line.hears("You said hello.")


async def test_a_turn_that_cannot_be_taken_is_asked_for_again() -> None:
    async with phone() as line:
        await line.begun()
        line.core.failure = Unavailable("away")
        await line.relay.say("hello")
        await line.hears(TEXTS.apology)
        line.core.failure = None
        await line.relay.say("hello")
        await line.hears("You said hello.")


async def test_a_session_that_cannot_begin_is_tried_again_and_given_up() -> None:
    async with phone() as line:
        await line.begun()
        line.core.failure = Unavailable("away")
        await line.relay.drop()
        await line.until(lambda: line.call.ended)
        assert line.call.said[-1] == TEXTS.goodbye
        assert line.call.said.count(TEXTS.apology) >= MAX_CONNECTS


async def test_an_error_of_the_session_ends_nothing() -> None:
    async with phone() as line:
        line.core.answers["bye"] = outcome("So long.", path=Path.CLOSED_BY_AGENT, status=Status.CLOSED)
        await line.relay.say("bye")
        await line.until(lambda: line.call.ended)
        assert line.call.said[-1] == "So long."
        handoff = next(frame for frame in line.relay.frames if frame["type"] == "end")["handoffData"]
        assert json.loads(handoff) == {"do": "hang_up", "session": line.relay.session_sid}
