"""How words reach a caller over jambonz: streamed as they come, or sentence by sentence.

Where the call's voice can be streamed to, jambonz says so, and every piece goes there at once. It keeps about
a thousand characters that are not spoken yet and refuses more; one piece is under way at a time, and what
comes meanwhile is joined. Any other voice, or one whose connection is lost, gets whole sentences.
Source: https://docs.jambonz.org/guides/tts-streaming, and its tts-streaming-buffer.js.
"""

from collections import deque

from channels.voice.jambonz.messages import Streamed, Taken, command, redirect
from channels.voice.jambonz.verbs import MAX_SAID, Config, Say, said, speakable
from channels.voice.playback import Send
from gateway.domain.clock import Clock
from gateway.domain.sentences import Sentences

MAX_TOKENS = 400
"""Characters of one message; several fit what jambonz keeps."""
RESULT_SECONDS = 5.0
"""For the answer to a piece; then it is said in sentences."""
RESUME_SECONDS = 3.0
"""After which a full buffer is tried again, should the word that it has room be lost."""

_NOTHING = (Config(notify_events=True),)
"""Verbs that change nothing: put in the place of others, they end these."""


class JambonzSpeaker:
    """What one caller is being told."""

    def __init__(self, send: Send, clock: Clock) -> None:
        self._send = send
        self._clock = clock
        self._open = False
        self._streams = False
        """How the text in hand is said; it does not change but for a failure."""
        self._whole = True
        """Whether a text has ended and another may begin."""
        self._waiting: deque[str] = deque()
        """Pieces that were not sent yet; "" is the end of a text."""
        self._number = 0
        self._under_way: str | None = None
        self._since = 0.0
        self._full = False
        self._sentences = Sentences()

    @property
    def streams(self) -> bool:
        """Whether the next text is streamed."""
        return self._open if self._whole else self._streams

    async def piece(self, text: str, lang: str | None, *, interruptible: bool) -> None:
        """One more piece of a text. jambonz lets every text be spoken over."""
        if self._whole:
            self._whole, self._streams = False, self._open
        if self._streams:
            self._waiting.append(speakable(text))
            await self._pump()
        else:
            await self._say(self._sentences.add(text))

    async def end(self, lang: str | None, *, interruptible: bool) -> None:
        """The text is whole."""
        if self._whole:
            return
        self._whole = True
        if self._streams:
            self._waiting.append("")
            await self._pump()
        else:
            await self._say(self._sentences.finish())

    async def line(self, text: str, lang: str | None, *, preemptible: bool) -> None:
        """A whole text."""
        if self.streams:
            self._waiting.extend((speakable(text), ""))
            await self._pump()
        else:
            sentences = Sentences()
            whole = len(text) <= MAX_SAID
            await self._say([text] if whole else [*sentences.add(text), *sentences.finish()])

    async def play(self, url: str) -> None:
        """Nothing: a verb that plays would have to end before anything else is said."""

    async def stop(self) -> None:
        """What was not said yet is dropped."""
        self._waiting.clear()
        self._under_way, self._full = None, False
        self._whole, self._sentences = True, Sentences()
        if self._open:
            await self._send(command("tts:clear"))
        else:
            await self._send(redirect(_NOTHING))

    async def streamed(self, event: Streamed) -> None:
        """How the connection to the voice gets on."""
        match event.event_type:
            case "stream_open":
                self._open = True
                await self._pump()
            case "stream_closed":
                self._open = False
                await self._give_up()
            case "stream_paused":
                self._pause()
            case "stream_resumed":
                self._full = False
                await self._pump()

    async def taken(self, result: Taken) -> None:
        """What became of the piece that is under way."""
        if self._under_way is None or result.id != self._number:
            return
        if result.status == "ok":
            self._under_way = None
            await self._pump()
        elif result.reason == "full":
            self._waiting.appendleft(self._under_way)
            self._under_way = None
            self._pause()
        else:
            self._open = False
            await self._give_up()

    async def tick(self) -> None:
        """Time has passed."""
        waited = self._clock.monotonic() - self._since
        if self._under_way is not None and waited > RESULT_SECONDS:
            self._open = False
            await self._give_up()
        elif self._full and waited > RESUME_SECONDS:
            self._full = False
            await self._pump()

    def _pause(self) -> None:
        self._full, self._since = True, self._clock.monotonic()

    async def _pump(self) -> None:
        while self._waiting and self._under_way is None and not self._full:
            if not self._waiting[0]:
                self._waiting.popleft()
                await self._send(command("tts:flush"))
                continue
            text = self._next()
            if text.isspace():  # jambonz drops it where it has nothing else to say
                if self._waiting:
                    continue
                self._waiting.append(text)
                return
            self._under_way = text
            self._number += 1
            self._since = self._clock.monotonic()
            await self._send(command("tts:tokens", {"id": self._number, "tokens": text}))

    def _next(self) -> str:
        """As much as fits one message, up to the end of a text."""
        text = ""
        while self._waiting and self._waiting[0] and len(text) < MAX_TOKENS:
            text += self._waiting.popleft()
        if len(text) > MAX_TOKENS:
            self._waiting.appendleft(text[MAX_TOKENS:])
        return text[:MAX_TOKENS]

    async def _give_up(self) -> None:
        """What was to be streamed is said in sentences."""
        left = [self._under_way or "", *self._waiting]
        self._under_way, self._full = None, False
        self._waiting.clear()
        self._streams = False
        for piece in left:
            await self._say(self._sentences.add(piece) if piece else self._sentences.finish())

    async def _say(self, sentences: list[str]) -> None:
        """Each in a message of its own: jambonz closes the connection over one that is too large."""
        for sentence in sentences:
            if sentence.strip():
                await self._send(redirect((Say(text=said(sentence)),), queue=True))
