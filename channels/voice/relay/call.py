"""A call over ConversationRelay: Twilio's frames to the session, and what it says to frames."""

from channels.contract import Ingress
from channels.voice.calls import parties_of
from channels.voice.playback import Playback, Send
from channels.voice.relay.exit import Exit
from channels.voice.relay.frames import Fault, Interrupt, Key, Prompt, Setup, line, play, token
from channels.voice.relay.hold import RelayHold
from channels.voice.session import MAX_SPOKEN, LiveSession


class RelaySpeaker:
    """Says it in frames."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def piece(self, text: str, lang: str | None, *, interruptible: bool) -> None:
        """A token."""
        await self._send(token(text, last=False, lang=lang, interruptible=interruptible))

    async def end(self, lang: str | None, *, interruptible: bool) -> None:
        """The last token."""
        await self._send(token("", last=True, lang=lang, interruptible=interruptible))

    async def line(self, text: str, lang: str | None, *, preemptible: bool) -> None:
        """A text in one frame."""
        await self._send(line(text, lang=lang, preemptible=preemptible))

    async def play(self, url: str) -> None:
        """A recording."""
        await self._send(play(url))

    async def stop(self) -> None:
        """Twilio stops by itself when the caller speaks."""


class RelaySession(LiveSession):
    """One session, from its setup on."""

    def __init__(self, ingress: Ingress, setup: Setup, send: Send) -> None:
        parties = parties_of(setup.call_sid, setup.sender, setup.recipient, setup.direction)
        rules = ingress.calls(parties.ours)
        playback = Playback(RelaySpeaker(send), ingress.clock, rules.pace.characters_per_second)
        warm, session = ingress.warm, setup.session_id
        hold = None if warm is None else RelayHold(ingress, warm, parties, session, playback, rules)
        leaving = self._leaving = Exit(session, playback, send, hold)
        super().__init__(ingress, parties, setup.session_id, playback, leaving)

    async def take(self, frame: Prompt | Key | Interrupt | Fault) -> None:
        """One frame of Twilio's."""
        if self._leaving.holding and not isinstance(frame, Fault):
            return
        match frame:
            case Prompt(last=True) if frame.text.strip():
                await self.hear(frame.text.strip(), frame.lang)
            case Key():
                await self.press(frame.digit)
            case Interrupt():
                spoken_ms = None if frame.spoken_ms is None else int(frame.spoken_ms)
                await self.interrupt((frame.spoken or "")[:MAX_SPOKEN] or None, spoken_ms)
            case Fault():
                self._note("relay_error", description_length=len(frame.description))
            case _:
                self.listen()  # half an utterance: they are speaking
