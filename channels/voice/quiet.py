"""What a caller hears who says nothing: a reminder, or, on hold, music, and that they are not forgotten."""

import asyncio
from collections.abc import Sequence

from channels.voice.playback import Playback, Utterance
from gateway.domain.call_rules import CallRules
from gateway.domain.clock import Clock
from gateway.domain.message import SPOKEN_TEXT, Message


class Quiet:
    """How long nothing has been said on either side, and whether the caller is on hold."""

    def __init__(self, clock: Clock, playback: Playback, rules: CallRules) -> None:
        self._clock = clock
        self._playback = playback
        self._texts = rules.texts
        self._pace = rules.pace
        self._music = rules.hold_music
        self._since = 0.0
        self._held_since: float | None = None
        self._reminders = 0

    @property
    def on_hold(self) -> bool:
        """Whether a person has to act before the agent answers again."""
        return self._held_since is not None

    def begin(self, greeting: str) -> None:
        """The caller is being greeted."""
        self._since = self._clock.monotonic() + len(greeting) / self._pace.characters_per_second

    def anew(self) -> None:
        """Silence is counted from here, or from the end of what is being said."""
        self._since = self._clock.monotonic() + self._playback.seconds_left

    def heard(self) -> None:
        """The caller has said or pressed something."""
        self._reminders = 0
        self.anew()

    def hold(self) -> bool:
        """They are on hold now; False where they were before."""
        first = self._held_since is None
        if first:
            self._held_since = self._clock.monotonic()
        return first

    def release(self) -> None:
        """The agent has the call again."""
        self._held_since = None

    async def give_back(self, lang: str | None) -> None:
        """The agent has the call again, and nothing has been said about it."""
        self.release()
        if self._playback.playing:
            await self._playback.line(self._texts.reminder, lang=lang)
            self.anew()

    async def fill(self, reply: Utterance, lang: str | None) -> None:
        """A word while the caller waits for a reply; what comes is said instead of it."""
        await asyncio.sleep(self._pace.filler_after)
        if not reply.sent and not self.on_hold and self._texts.filler:
            await self._playback.line(self._texts.filler, lang=lang, preemptible=True)

    async def tell(self, said: Sequence[Message], lang: str | None) -> None:
        """Say what was said outside of this connection's own turns."""
        for message in said:
            if SPOKEN_TEXT not in message.metadata:  # else they have heard of it what they let come
                await self._playback.line(message.content, lang=lang)
                self.anew()

    async def speak(self, lang: str | None, *, listening: bool) -> bool:
        """Say what is due; False where patience is over, and the goodbye has been said.

        `listening`: an input has been begun, and no reminder is due.
        """
        if self._held_since is not None:
            return await self._hold(self._held_since, lang)
        return listening or await self._remind(lang)

    async def _hold(self, since: float, lang: str | None) -> bool:
        now = self._clock.monotonic()
        if now - since > self._pace.hold_at_most:
            await self._playback.line(self._texts.goodbye, lang=lang)
            return False
        if now - self._since > self._pace.reassure_every and not self._playback.seconds_left:
            await self._playback.line(self._texts.reassurance, lang=lang)
            self.anew()
        await self._playback.play(self._music)
        return True

    async def _remind(self, lang: str | None) -> bool:
        quiet = self._clock.monotonic() - self._since
        if quiet < self._pace.reminder_after or self._playback.seconds_left:
            return True
        self._reminders += 1
        self.anew()
        over = self._reminders > self._pace.max_reminders
        await self._playback.line(self._texts.goodbye if over else self._texts.reminder, lang=lang)
        return not over
