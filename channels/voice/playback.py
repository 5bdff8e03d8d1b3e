"""What is being said to a caller: the pieces of one reply, its one end, and how long it takes to say."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from gateway.domain.clock import Clock

Send = Callable[[dict[str, Any]], Awaitable[None]]
"""Sends a message to the host."""


class Speaker(Protocol):
    """How a host is told what to say to the caller."""

    async def piece(self, text: str, lang: str | None, *, interruptible: bool) -> None:
        """One more piece of a text, at once."""
        ...

    async def end(self, lang: str | None, *, interruptible: bool) -> None:
        """The text is whole."""
        ...

    async def line(self, text: str, lang: str | None, *, preemptible: bool) -> None:
        """A whole text; `preemptible`: what is said next may be said instead."""
        ...

    async def play(self, url: str) -> None:
        """Play a recording again and again until something is said; a host that cannot plays nothing."""
        ...

    async def stop(self) -> None:
        """What was not said yet is dropped; not every host has to be told."""
        ...


class Playback:
    """How much of what was sent the caller can have heard by now, from the pace of speech."""

    def __init__(self, speaker: Speaker, clock: Clock, characters_per_second: float) -> None:
        self._speaker = speaker
        self._clock = clock
        self._pace = characters_per_second
        self._begun = 0.0
        self._until = 0.0
        self.playing = False
        """Whether a recording plays until something is said."""

    async def piece(self, text: str, lang: str | None, *, interruptible: bool) -> None:
        """Say one more piece of a text, after what was sent before."""
        self._count(text)
        await self._speaker.piece(text, lang, interruptible=interruptible)

    async def end(self, lang: str | None, *, interruptible: bool) -> None:
        """The text is whole."""
        await self._speaker.end(lang, interruptible=interruptible)

    async def line(self, text: str, *, lang: str | None = None, preemptible: bool = False) -> None:
        """Say a line of the gateway's own."""
        self._count(text)
        await self._speaker.line(text, lang, preemptible=preemptible)

    async def play(self, url: str | None) -> None:
        """Play a recording once all has been said; nothing where there is none, or it plays already."""
        if url is None or self.playing or self.seconds_left:
            return
        self.playing = True
        await self._speaker.play(url)

    @property
    def seconds_left(self) -> float:
        """How long the caller is still listening to what was sent."""
        return max(0.0, self._until - self._clock.monotonic())

    @property
    def spoken_ms(self) -> int:
        """How long they have been listening."""
        now = min(self._clock.monotonic(), self._until)
        return max(0, int((now - self._begun) * 1000))

    async def stop(self) -> None:
        """What was not said yet is dropped."""
        self._until = self._clock.monotonic()
        await self._speaker.stop()

    def _count(self, text: str) -> None:
        self.playing = False
        now = self._clock.monotonic()
        if self._until <= now:
            self._begun = self._until = now
        self._until += len(text) / self._pace


class Utterance:
    """One reply on its way to the caller."""

    def __init__(
        self, playback: Playback, message_id: str, lang: str | None, *, interruptible: bool = True
    ) -> None:
        self.message_id = message_id
        """The provider's id of the input that it answers."""
        self.sent = ""
        self._playback = playback
        self._lang = lang
        self._interruptible = interruptible
        self._ended = False

    async def say(self, text: str) -> None:
        """One more piece, at once."""
        if self._ended or not text:
            return
        self.sent += text
        await self._playback.piece(text, self._lang, interruptible=self._interruptible)

    async def end(self) -> None:
        """Nothing more comes. Said once; a reply without a word needs no end."""
        if self._ended:
            return
        self._ended = True
        if self.sent:
            await self._playback.end(self._lang, interruptible=self._interruptible)
