"""Who hears a turn while it is made: requests that wait for it, and the caller at a voice host.

What is shown leaves at once and waits for no database; that it was, and for a call what, is noted beside it.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from gateway.domain.call_rules import CallRules
from gateway.domain.clock import Clock
from gateway.domain.errors import Unavailable
from gateway.domain.host_line import HostLine
from gateway.domain.ids import named_id
from gateway.domain.ports.replies import Hosts, Replies, ReplyFrame
from gateway.domain.ports.store import Store, Tx
from gateway.domain.sentences import Sentences
from gateway.domain.turn import Claim, Uttered
from gateway.domain.voice import VoiceIntent, piece, saying, utterance_of
from gateway.service.interrupt import keep_broken_off
from gateway.service.postings import envelope

NOTE_SECONDS = 0.5
"""Between two notes of what a caller has been told, the newest of which is all of it."""


async def mark_shown(tx: Tx, turn_id: str, fence: int) -> None:
    """Note that a listener has been shown something of this attempt."""
    await tx.run("turn_shown", id=turn_id, fence=fence)


async def note_said(tx: Tx, turn_id: str, fence: int, text: str) -> None:
    """Note what a caller has been told of this attempt: should they speak over it, it is the turn's reply."""
    await tx.run("turn_said", id=turn_id, fence=fence, text=text)


class Audience:
    """All who listen to the turns of this process."""

    def __init__(
        self,
        store: Store,
        ways: tuple[Replies, Hosts],
        clock: Clock,
        calls: Callable[[str], CallRules],
    ) -> None:
        """`calls`: what holds for the calls of a number of ours."""
        self.store = store
        self.replies, self.hosts = ways
        self.clock = clock
        self.calls = calls
        self._notes: set[asyncio.Task[None]] = set()

    def of(self, claim: Claim) -> "Showing":
        """Those of one attempt."""
        return Showing(self, claim)

    async def begin(self, claim: Claim) -> None:
        """An attempt begins; what a caller has heard of the one before stays theirs. Raises Fenced."""
        if claim.shown and claim.line is not None:
            await self.store.write(keep_broken_off, claim)

    async def tell(self, claim: Claim) -> None:
        """The turn row is worth reading now."""
        for listener in claim.listeners:
            if listener.reply_to is not None:
                frame = ReplyFrame(listener.message_id, claim.turn_id, claim.lease.fence, -1, final=True)
                await self.replies.send(listener.reply_to, frame)

    def beside(self, note: asyncio.Task[None]) -> None:
        """Have a note written while the turn goes on."""
        self._notes.add(note)
        note.add_done_callback(self._notes.discard)


class Showing:
    """One attempt as it is shown."""

    def __init__(self, audience: Audience, claim: Claim) -> None:
        self._audience = audience
        self._claim = claim
        self._listeners = [one for one in claim.listeners if one.stream and not _is_line(one.reply_to)]
        self._speech = None if claim.line is None else _Speech(audience, claim, claim.line)
        self._shown = 0

    async def show(self, text: str) -> None:
        """What the reply goes on with."""
        if self._speech is not None:
            await self._speech.say(text)
        for listener in self._listeners:
            if listener.reply_to is not None:
                if self._shown == 0:
                    self._audience.beside(asyncio.create_task(self._store_shown()))
                place = (listener.message_id, self._claim.turn_id, self._claim.lease.fence)
                await self._audience.replies.send(listener.reply_to, ReplyFrame(*place, self._shown, text))
        self._shown += 1

    async def finish(self) -> Uttered | None:
        """The reply is whole: what a voice host was told of it."""
        return None if self._speech is None else await self._speech.finish()

    async def keep(self) -> None:
        """The reply comes to no end: what a caller was told of it is noted. May raise Unavailable."""
        if self._speech is not None:
            await self._speech.keep()

    def close(self) -> None:
        """Nothing more is shown."""
        if self._speech is not None:
            self._speech.close()

    async def _store_shown(self) -> None:
        with suppress(Unavailable):
            await self._audience.store.write(mark_shown, self._claim.turn_id, self._claim.lease.fence)


class _Speech:
    """One reply on its way to a caller."""

    def __init__(self, audience: Audience, claim: Claim, line: HostLine) -> None:
        self._over = asyncio.Event()
        self._audience = audience
        self._claim = claim
        self._line = line
        self._utterance_id = utterance_of(claim.turn_id, claim.lease.fence)
        self._sentences = None if line.streams else Sentences()
        self._n = 0
        self._said = ""
        self._noting: asyncio.Task[None] | None = None
        self._filling = asyncio.create_task(self._fill())
        audience.beside(self._filling)

    async def say(self, text: str) -> None:
        """Go on; a host that speaks whole texts waits for the end of the sentence."""
        for part in [text] if self._sentences is None else self._sentences.add(text):
            await self._send(part)

    async def finish(self) -> Uttered | None:
        """What the host has been told; None where that is nothing."""
        for part in [] if self._sentences is None else self._sentences.finish():
            await self._send(part)
        return Uttered(self._utterance_id, self._n, self._said) if self._n else None

    async def keep(self) -> None:
        """Note all that the host has been told."""
        if self._said:
            await self._note(self._said)

    def close(self) -> None:
        """Say no more."""
        self._over.set()
        self._filling.cancel()

    async def _send(self, text: str) -> None:
        self._filling.cancel()
        part = (self._utterance_id, self._n, text)
        now = self._audience.clock.now()
        said = piece(self._line, self._claim.conversation.id, self._claim.turn_id, now, part)
        self._n += 1
        self._said += text
        await self._tell(said, now)
        if self._noting is None:
            self._noting = asyncio.create_task(self._keep_noting())
            self._audience.beside(self._noting)

    async def _fill(self) -> None:
        """A word while the caller waits, by the same way as what comes after it; no part of the reply."""
        rules = self._audience.calls(self._claim.conversation.our_address or "")
        await asyncio.sleep(rules.pace.filler_after)
        if rules.texts.filler:
            now = self._audience.clock.now()
            place = (named_id(self._utterance_id, "filler"), self._claim.conversation.id)
            await self._tell(saying(self._line.call_id, place, rules.texts.filler, now), now)

    async def _tell(self, said: VoiceIntent, now: int) -> None:
        told = envelope(
            "voice.intent",
            said.model_dump(mode="json"),
            at=now,
            organization_id=self._claim.conversation.organization_id,
            conversation_id=said.conversation_id,
        )
        await self._audience.hosts.say(self._line.host_id, told)

    async def _keep_noting(self) -> None:
        """Again and again, as long as there is more of it."""
        noted = ""
        while not self._over.is_set():
            if noted != self._said:
                noted = self._said
                with suppress(Unavailable):
                    await self._note(noted)
            with suppress(TimeoutError):
                async with asyncio.timeout(NOTE_SECONDS):
                    await self._over.wait()

    async def _note(self, said: str) -> None:
        await self._audience.store.write(note_said, self._claim.turn_id, self._claim.lease.fence, said)


def _is_line(address: str | None) -> bool:
    return address is not None and HostLine.read(address) is not None
