"""How words reach a caller over jambonz: streamed with back-pressure, or sentence by sentence."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from channels.voice.jambonz.messages import Streamed, Taken
from channels.voice.jambonz.speaker import MAX_TOKENS, RESULT_SECONDS, RESUME_SECONDS, JambonzSpeaker
from gateway.domain.clock import Clock


class Ear:
    """jambonz's side: what it is sent, and what it says to that."""

    def __init__(self, *, open: bool = True) -> None:
        self.sent: list[dict[str, Any]] = []
        self.seconds = 0.0
        self.speaker = JambonzSpeaker(self._take, Clock(monotonic=lambda: self.seconds))
        self._open = open

    async def start(self) -> "Ear":
        """The voice is there, or not."""
        if self._open:
            await self.speaker.streamed(Streamed(event_type="stream_open"))
        return self

    async def _take(self, message: dict[str, Any]) -> None:
        self.sent.append(message)

    @property
    def names(self) -> list[str]:
        """The commands."""
        return [message["command"] for message in self.sent]

    @property
    def tokens(self) -> list[str]:
        """What was streamed."""
        return [message["data"]["tokens"] for message in self.sent if message["command"] == "tts:tokens"]

    @property
    def says(self) -> list[str]:
        """What was said in sentences."""
        verbs = [verb for m in self.sent if m["command"] == "redirect" for verb in m["data"]]
        return [verb["text"] for verb in verbs if verb["verb"] == "say"]

    async def say(self, *pieces: str) -> None:
        """A whole text."""
        for piece in pieces:
            await self.speaker.piece(piece, None, interruptible=True)
        await self.speaker.end(None, interruptible=True)

    async def answer(self, status: str = "ok", reason: str = "") -> None:
        """To the newest tokens."""
        number = [m["data"]["id"] for m in self.sent if m["command"] == "tts:tokens"][-1]
        await self.speaker.taken(Taken(id=number, status=status, reason=reason))


async def test_the_first_piece_goes_at_once_and_what_comes_meanwhile_is_joined() -> None:
    ear = await Ear().start()
    await ear.say("You ", "said ", "hello.")
    assert ear.tokens == ["You "]
    await ear.answer()
    assert ear.tokens == ["You ", "said hello."]
    await ear.answer()
    assert ear.names == ["tts:tokens", "tts:tokens", "tts:flush"]


async def test_a_full_buffer_is_waited_for() -> None:
    ear = await Ear().start()
    await ear.say("One. ", "Two.")
    await ear.answer("failed", "full")
    await ear.speaker.streamed(Streamed(event_type="stream_paused"))
    assert ear.tokens == ["One. "]
    await ear.speaker.streamed(Streamed(event_type="stream_resumed"))
    assert ear.tokens == ["One. ", "One. Two."]


async def test_a_full_buffer_is_tried_again_where_nothing_more_is_heard_of_it() -> None:
    ear = await Ear().start()
    await ear.say("One.")
    await ear.answer("failed", "full")
    ear.seconds += RESUME_SECONDS / 2
    await ear.speaker.tick()
    assert ear.tokens == ["One."]
    ear.seconds += RESUME_SECONDS
    await ear.speaker.tick()
    assert ear.tokens == ["One.", "One."]


async def test_a_voice_that_cannot_be_streamed_to_gets_sentences() -> None:
    ear = await Ear(open=False).start()
    await ear.say("First th", "is. Then ", "that.")
    assert ear.says == ["First this. ", "Then that."]
    assert all(message["queueCommand"] for message in ear.sent)


async def test_a_connection_that_fails_in_the_middle_of_a_text_leaves_nothing_out() -> None:
    ear = await Ear().start()
    await ear.say("One. ", "Two. ", "Three.")
    await ear.answer("failed", "connection to the voice failed")
    assert "".join(ear.says) == "One. Two. Three."
    await ear.say("Four.")
    assert ear.says[-1] == "Four."
    assert ear.tokens == ["One. "]


async def test_a_piece_that_is_never_answered_is_said() -> None:
    ear = await Ear().start()
    await ear.say("One.")
    ear.seconds += RESULT_SECONDS + 1
    await ear.speaker.tick()
    assert ear.says == ["One."]


async def test_what_was_not_said_is_dropped_when_the_caller_speaks() -> None:
    ear = await Ear().start()
    await ear.say("One. ", "Two.")
    await ear.speaker.stop()
    await ear.answer()
    assert ear.names == ["tts:tokens", "tts:clear"]
    await ear.say("Three.")
    assert ear.tokens == ["One. ", "Three."]


async def test_no_text_is_too_long() -> None:
    text = "One of many words. " * 1_000
    streamed, said = await Ear().start(), await Ear(open=False).start()
    await streamed.say(text)
    while streamed.names[-1] != "tts:flush":
        await streamed.answer()
    assert "".join(streamed.tokens) == text
    await said.speaker.line(text, None, preemptible=False)
    assert "".join(said.says) == text


async def test_no_message_is_larger_than_jambonz_reads() -> None:
    text = "One of many words. " * 3_000
    ear = await Ear(open=False).start()
    await ear.say(text)
    assert "".join(ear.says) == text
    assert max(len(json.dumps(message)) for message in ear.sent) < 24 * 1024


async def test_white_space_alone_is_not_sent() -> None:
    ear = await Ear().start()
    await ear.say("One.")
    await ear.answer()
    await ear.speaker.piece("  ", None, interruptible=True)
    await ear.speaker.piece("Two.", None, interruptible=True)
    assert ear.tokens == ["One.", "  Two."]


_ANSWERS = st.sampled_from(["ok", "full", "failed", "nothing", "closed", "open", "resumed"])


class Listener:
    """Answers tokens as a script has it, and keeps what is heard."""

    def __init__(self, ear: Ear) -> None:
        self.heard: list[str] = []
        self._ear = ear
        self._answered: set[int] = set()
        self._seen = 0

    async def follow(self, answer: str) -> None:
        """One thing of jambonz's, to the newest tokens where they have no answer."""
        under_way = [m["data"] for m in self._ear.sent if m["command"] == "tts:tokens"][-1:]
        waiting = [data for data in under_way if data["id"] not in self._answered]
        if answer in ("ok", "full", "failed"):
            await self._take(answer, waiting)
        elif answer == "nothing":
            self._answered.update(data["id"] for data in waiting)
            self._ear.seconds += RESULT_SECONDS + 1
            await self._ear.speaker.tick()
        else:
            if answer == "closed":
                self._answered.update(data["id"] for data in waiting)
            await self._ear.speaker.streamed(Streamed(event_type=f"stream_{answer}"))
        for message in self._ear.sent[self._seen :]:
            if message["command"] == "redirect":
                self.heard.extend(verb["text"] for verb in message["data"])
        self._seen = len(self._ear.sent)

    async def _take(self, answer: str, waiting: list[dict[str, Any]]) -> None:
        for data in waiting:
            self._answered.add(data["id"])
            if answer == "ok":
                self.heard.append(data["tokens"])
            status, reason = ("ok", "") if answer == "ok" else ("failed", answer)
            await self._ear.speaker.taken(Taken(id=data["id"], status=status, reason=reason))


@given(st.lists(st.text("ab .\n", min_size=1, max_size=300), max_size=12), st.lists(_ANSWERS, max_size=40))
async def test_whatever_jambonz_answers_every_word_is_said_once_and_in_order(
    pieces: list[str], answers: list[str]
) -> None:
    ear = await Ear().start()
    listener, script = Listener(ear), iter(answers)
    for piece in pieces:
        await ear.speaker.piece(piece, None, interruptible=True)
        await listener.follow(next(script, "ok"))
    await ear.speaker.end(None, interruptible=True)
    for answer in [*script, *["resumed", "ok"] * 20]:
        await listener.follow(answer)
    assert "".join("".join(listener.heard).split()) == "".join("".join(pieces).split())
    assert all(len(tokens) <= MAX_TOKENS for tokens in ear.tokens)
