"""What is being said to a caller: the tokens of one reply, its one end, and how long it takes to say."""

from collections.abc import Awaitable, Callable
from typing import Any

from channels.voice.relay.frames import line, token
from gateway.domain.clock import Clock

Send = Callable[[dict[str, Any]], Awaitable[None]]


class Utterance:
    """One reply on its way to the caller."""

    def __init__(self, send: Send, message_id: str, lang: str | None, *, interruptible: bool = True) -> None:
        self.message_id = message_id
        """The provider's id of the input that it answers."""
        self.sent = ""
        self._send = send
        self._lang = lang
        self._interruptible = interruptible
        self._ended = False

    async def say(self, text: str) -> None:
        """One more piece, at once."""
        if self._ended or not text:
            return
        self.sent += text
        await self._send(token(text, last=False, lang=self._lang, interruptible=self._interruptible))

    async def end(self) -> None:
        """Nothing more comes. Said once; a reply without a word needs no end."""
        if self._ended:
            return
        self._ended = True
        if self.sent:
            await self._send(token("", last=True, lang=self._lang, interruptible=self._interruptible))


class Playback:
    """How much of what was sent the caller can have heard by now, from the pace of speech."""

    def __init__(self, send: Send, clock: Clock, characters_per_second: float) -> None:
        self._write = send
        self._clock = clock
        self._pace = characters_per_second
        self._begun = 0.0
        self._until = 0.0

    async def send(self, frame: dict[str, Any]) -> None:
        """Send a frame; what it says is said after what was sent before."""
        now = self._clock.monotonic()
        if self._until <= now:
            self._begun = self._until = now
        self._until += len(frame.get("token", "")) / self._pace
        await self._write(frame)

    async def line(self, text: str, *, lang: str | None = None, preemptible: bool = False) -> None:
        """Say a line of the gateway's own."""
        await self.send(line(text, lang=lang, preemptible=preemptible))

    @property
    def seconds_left(self) -> float:
        """How long the caller is still listening to what was sent."""
        return max(0.0, self._until - self._clock.monotonic())

    @property
    def spoken_ms(self) -> int:
        """How long they have been listening."""
        now = min(self._clock.monotonic(), self._until)
        return max(0, int((now - self._begun) * 1000))

    def stop(self) -> None:
        """What was not said yet is dropped."""
        self._until = self._clock.monotonic()
