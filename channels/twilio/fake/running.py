"""A call at the fake Twilio while it runs: documents are fetched and acted on, progress is reported.

What a verb does takes no time here, but for pauses where `second` says so.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import urljoin

from channels.twilio.fake.callstate import CallParties, CallStatus
from channels.twilio.fake.documents import fetch_document
from channels.twilio.fake.ledger import new_sid
from channels.twilio.fake.pauses import Pauses
from channels.twilio.fake.recordings import Recordings
from channels.twilio.fake.relay import RelayLine
from channels.twilio.fake.rooms import Rooms
from channels.twilio.fake.twiml import (
    Connect,
    Dial,
    Gather,
    Hangup,
    Join,
    Pause,
    Play,
    Record,
    Redirect,
    Refer,
    Say,
    TwimlError,
    Unknown,
    Verb,
    parse,
)
from channels.twilio.fake.webhooks import Webhooks, WebhookUnreachable

MAX_REDIRECTS: Final = 20
"""Documents fetched one after another without anything heard from the caller."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """The verb a call waits in, the URL of its document and what follows it there."""

    verb: Gather | Dial | Refer | Join | Connect
    url: str
    rest: tuple[Verb, ...]


class RunningCall:
    """One call. What the caller heard and where it was connected can be read at any time."""

    def __init__(
        self, account_sid: str, parties: CallParties, webhooks: Webhooks, rooms: Rooms, second: float = 0.0
    ) -> None:
        """`second`: how long a second of a `<Pause>`, and of a recording, takes."""
        self.sid: str = new_sid("CA")
        self.parties = parties
        self.status = CallStatus.QUEUED
        self.said: list[str] = []
        """The texts spoken to the caller, in order."""
        self.dialed: list[str] = []
        """The numbers, SIP addresses and clients the call was connected to."""
        self.played: list[str] = []  # recordings
        self.paused_seconds = 0.0
        self.unknown_verbs: list[str] = []
        self.error = ""
        """Why Twilio gave the call up (its error code and a text); empty if it did not."""
        self.created_at = time.time()
        self.ended_at: float | None = None
        self.picked_up = False
        """Whether the script has had a ringing phone answered."""
        self._account_sid = account_sid
        self._webhooks = webhooks
        self._recordings = Recordings(webhooks)
        self._rooms = rooms
        self._second = second
        self._pauses = Pauses()
        self._after_pause: Callable[[], Awaitable[None]] | None = None
        self._reports = 0
        self.relay: RelayLine | None = None
        """The newest ConversationRelay session: there the caller speaks and presses."""
        self._waiting: Waiting | None = None
        self._document = ""
        self._episode = 0
        """Counts what replaced the running document; an answer that comes for an older one is dropped."""
        self._changed = asyncio.Event()

    @property
    def ended(self) -> bool:
        """Whether the call is over."""
        return self.ended_at is not None

    async def wait_for(self, condition: Callable[[Self], bool], timeout: float) -> None:
        """Wait until the condition holds; raises TimeoutError after `timeout` seconds."""
        async with asyncio.timeout(timeout):
            while not condition(self):
                self._changed.clear()
                await self._changed.wait()

    async def fetch(self, url: str, extra: Sequence[tuple[str, str]] = (), method: str = "POST") -> None:
        """Go on with the document at `url`, whatever the call does now."""
        await self._goto(url, extra, method)

    async def perform(self, twiml: str) -> None:
        """Go on with this document, whatever the call does now."""
        try:
            verbs = parse(twiml)
        except TwimlError as error:
            await self._give_up(str(error))
            return
        await self._perform(verbs, self._document)

    async def report(self, event: str, status: CallStatus) -> None:
        """Take a status and tell the status callback, if it asked for this event."""
        self.status = status
        self._changed.set()
        parties = self.parties
        if not parties.status_callback or event not in parties.status_events:
            return
        form = [
            *self.form(),
            ("CallDuration", str(self.duration)),
            ("CallbackSource", "call-progress-events"),
            ("SequenceNumber", str(self._reports)),
        ]
        self._reports += 1
        try:
            await self._webhooks.post(parties.status_callback, form)
        except WebhookUnreachable:
            return  # as at Twilio, where a status callback that fails is only logged

    @property
    def duration(self) -> int:
        """Whole seconds since the call began."""
        return int((self.ended_at or time.time()) - self.created_at)

    async def finish(self, status: CallStatus) -> None:
        """End the call with this status; without effect if it is over."""
        if self.ended:
            return
        self._move_on()
        if self.relay is not None:
            await self.relay.close()
        self.ended_at = time.time()
        await self.report("completed", status)
        await self._recordings.finish(self._account_sid, self.sid, self.duration)

    async def _act(self, waiting: Waiting, extra: Sequence[tuple[str, str]]) -> None:
        await self._goto(urljoin(waiting.url, waiting.verb.action), extra, waiting.verb.method)

    def _move_on(self) -> None:
        """Whatever the call did, it does no more."""
        self._episode += 1
        self._waiting = None
        self._rooms.leave(self.sid)

    async def stop(self) -> None:
        """Stop what runs in the background."""
        if self.relay is not None:
            await self.relay.close()
        await self._pauses.stop()

    async def _goto(self, url: str, extra: Sequence[tuple[str, str]], method: str) -> None:
        self._move_on()
        verbs = await self._document_at(url, extra, method)
        if verbs is not None:
            await self._perform(verbs, url)

    async def _perform(self, verbs: Sequence[Verb], url: str) -> None:
        self._move_on()
        self.status = CallStatus.IN_PROGRESS
        for _ in range(MAX_REDIRECTS):
            self._document = url
            redirect = await self._run(verbs, url)
            if redirect is None:
                return
            url = urljoin(url, redirect.url)
            fetched = await self._document_at(url, (), redirect.method)
            if fetched is None:
                return
            verbs = fetched
        await self._give_up("too many redirects")

    async def _run(self, verbs: Sequence[Verb], url: str) -> Redirect | None:
        """Act on the verbs until one waits, ends the call or (returned) redirects it."""
        for index, verb in enumerate(verbs):
            match verb:
                case Redirect():
                    return verb
                case Gather() | Dial() | Refer() | Join():
                    self._wait(Waiting(verb, url, tuple(verbs[index + 1 :])))
                    return None
                case Pause() | Play() if self._second:
                    self._play(verb)
                    self._pause(verb.seconds * self._second, tuple(verbs[index + 1 :]), url)
                    return None
                case Connect():
                    await self._connect(Waiting(verb, url, ()), verb)
                    return None
                case Hangup():
                    break
                case _:
                    self._play(verb)
        await self.finish(CallStatus.COMPLETED)
        return None

    def _wait(self, waiting: Waiting) -> None:
        if isinstance(waiting.verb, Dial):
            self.dialed += waiting.verb.destinations
        elif isinstance(waiting.verb, Gather):
            for prompt in waiting.verb.prompts:
                self._play(prompt)
        self._waiting = waiting
        if isinstance(waiting.verb, Join):
            self._rooms.enter(self.sid, waiting.verb, lambda: self._room_over(waiting))
        self._changed.set()

    async def _room_over(self, waiting: Waiting) -> None:
        if self._waiting is not waiting:
            return
        if waiting.verb.action:
            await self._act(waiting, [("DialCallStatus", "completed")])
        else:
            await self._perform(waiting.rest, waiting.url)

    def _pause(self, delay: float, rest: tuple[Verb, ...], url: str) -> None:
        episode = self._episode

        async def go_on() -> None:
            if self._episode == episode:
                await self._perform(rest, url)

        self._after_pause = go_on
        self._pauses.begin(delay, go_on)

    async def _connect(self, waiting: Waiting, verb: Connect) -> None:
        if verb.greeting:
            self.said.append(verb.greeting)
        self._waiting = waiting

        async def ended(fields: list[tuple[str, str]]) -> None:
            if self._waiting is waiting:
                await self._act(waiting, fields)

        line = self.relay = RelayLine(self.said.append, self._changed.set, ended)
        await line.start(
            verb.url, self._webhooks.signature(verb.url), self._account_sid, self.sid, self.parties
        )
        self._changed.set()

    def _play(self, verb: Verb) -> None:
        match verb:
            case Say():
                self.said.append(verb.text)
            case Pause():
                self.paused_seconds += verb.seconds
            case Play(url):
                self.played.append(url)
            case Record(callback):
                self._recordings.start(callback)
            case Unknown():
                self.unknown_verbs.append(verb.name)

    async def _document_at(
        self, url: str, extra: Sequence[tuple[str, str]], method: str
    ) -> tuple[Verb, ...] | None:
        """The verbs answered there; None if the call was given up for the answer, or went elsewhere."""
        episode = self._episode
        try:
            verbs = await fetch_document(self._webhooks, url, [*self.form(), *extra], method)
        except TwimlError as error:
            if self._episode == episode:
                await self._give_up(str(error))
            return None
        return verbs if self._episode == episode else None

    async def _give_up(self, error: str) -> None:
        self.error = error
        await self.finish(CallStatus.FAILED)

    def form(self) -> list[tuple[str, str]]:
        """What every request about the call says."""
        return [
            ("AccountSid", self._account_sid),
            ("ApiVersion", "2010-04-01"),
            ("CallSid", self.sid),
            ("CallStatus", self.status),
            ("Called", self.parties.to),
            ("Caller", self.parties.from_),
            ("Direction", self.parties.direction),
            ("From", self.parties.from_),
            ("To", self.parties.to),
        ]
