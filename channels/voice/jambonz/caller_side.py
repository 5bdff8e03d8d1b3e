"""Gives the caller's side of a call verbs: at once, or when what is being said has been said.

Streamed words do not wait in the queue of verbs, so they are waited for here.
"""

import asyncio

from channels.voice.jambonz.messages import redirect
from channels.voice.jambonz.speaker import JambonzSpeaker
from channels.voice.jambonz.verbs import Verb
from channels.voice.playback import Playback, Send

LONGEST_WAIT = 60.0
"""Seconds for the last words."""


class CallerSide:
    """That of one call."""

    def __init__(self, speaker: JambonzSpeaker, playback: Playback, send: Send) -> None:
        self._speaker = speaker
        self._playback = playback
        self._send = send

    @property
    def words_to_wait_for(self) -> float:
        """Seconds of words that nothing but a wait keeps."""
        return self._last_words if self._speaker.streams else 0.0

    @property
    def words_in_queue(self) -> float:
        """Seconds of words that are said before what is next."""
        return 0.0 if self._speaker.streams else self._last_words

    async def instead(self, *verbs: Verb) -> None:
        """In the place of those that run."""
        await self._send(redirect(verbs))

    async def next(self, *verbs: Verb) -> None:
        """After those that run; streamed words have been waited for."""
        await self._send(redirect(verbs, queue=not self._speaker.streams))

    async def after_all(self, *verbs: Verb) -> None:
        """When what is being said has been said."""
        await self.all_said()
        await self.next(*verbs)

    async def all_said(self) -> None:
        """Wait for the words that only a wait keeps."""
        await asyncio.sleep(self.words_to_wait_for)

    @property
    def _last_words(self) -> float:
        return min(self._playback.seconds_left, LONGEST_WAIT)
