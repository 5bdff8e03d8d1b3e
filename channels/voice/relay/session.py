"""One ConversationRelay session: what the caller says becomes turns, replies are spoken while they are made.

One frame is taken after the other; beside it at most one reply is being made. A caller who speaks over it, or
says more before it has begun, ends its turn: what they heard is kept, and they are answered anew. On hold and
between turns, what an operator says is spoken. The session keeps nothing: another process goes on with it.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Any

from channels.contract import Ingress
from channels.twilio.requests import PROVIDER
from channels.voice.calls import Parties, input_id
from channels.voice.relay.exit import HANG_UP, Exit
from channels.voice.relay.frames import MAX_SPOKEN, Fault, Interrupt, Key, Prompt, Setup
from channels.voice.relay.playback import Playback, Utterance
from channels.voice.render import is_waiting, wishes_of
from gateway.domain.conversation import Status
from gateway.domain.digits import BargeIn, Collected, DigitCollector, Digits, NoDigits
from gateway.domain.errors import GatewayError
from gateway.domain.message import Role
from gateway.domain.spoken import heard
from gateway.domain.turn import Path, Said, TurnOutcome

log = logging.getLogger(__name__)


class RelaySession:
    """A call while its words come over this WebSocket."""

    def __init__(
        self,
        ingress: Ingress,
        setup: Setup,
        write: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        self._ingress = ingress
        self._dialogue = ingress.dialogue
        self._clock = ingress.clock
        self._parties = Parties.of(setup.call_sid, setup.sender, setup.recipient, setup.direction)
        self._session = setup.session_id
        rules = ingress.calls(self._parties.ours)
        self._texts, self._pace = rules.texts, rules.pace
        self._playback = Playback(write, ingress.clock, self._pace.characters_per_second)
        self._keys = DigitCollector()
        self._conversation_id = ""
        self._lang: str | None = None
        self._n = 0
        """Inputs of this session so far."""
        self._since = -1
        """The newest message that was spoken, or need not be."""
        self._reply: Utterance | None = None
        self._task: asyncio.Task[None] | None = None
        self._typed_ahead: list[Collected] = []
        """Complete by what the newest reply expects; acted on once that has been followed."""
        self._held_since: float | None = None
        self._reminders = 0
        self._quiet_since = 0.0
        self._looked_at = 0.0
        self._exit = Exit(ingress, self._parties, self._session, self._playback)

    @property
    def apology(self) -> str:
        """What is said where something went wrong."""
        return self._texts.apology

    @property
    def over(self) -> bool:
        """Whether the session has been told to end."""
        return self._exit.over

    async def begin(self) -> None:
        """The session is open, and the caller is being greeted. Raises GatewayError."""
        started = {"kind": "call.started", "direction": "inbound", "transport": "relay"}
        event = self._parties.event("start", "Call started.", started, self._clock.now())
        self._conversation_id = (await self._ingress.accept(event)).conversation_id
        said = (await self._dialogue.news(self._conversation_id, -1)).said
        self._since = max((message.seq for message in said), default=-1)
        self._looked_at = self._clock.monotonic()
        self._quiet_since = self._looked_at + len(self._texts.greeting) / self._pace.characters_per_second

    async def take(self, frame: Prompt | Key | Interrupt | Fault) -> None:
        """One frame of Twilio's."""
        match frame:
            case Prompt(last=True) if frame.text.strip():
                self._lang = frame.lang or self._lang
                await self._act(self._keys.say(frame.text.strip()[:MAX_SPOKEN], self._clock.now()))
            case Key():
                await self._act(self._keys.press(frame.digit, self._clock.now()))
            case Interrupt():
                spoken_ms = None if frame.spoken_ms is None else int(frame.spoken_ms)
                await self._interrupted((frame.spoken or "")[:MAX_SPOKEN] or None, spoken_ms)
            case Fault():
                self._note("relay_error", description_length=len(frame.description))
            case _:
                self._wait_anew()  # half an utterance: they are speaking

    @property
    def patience(self) -> float:
        """Seconds after which `tend` has something to do."""
        now = self._clock.monotonic()
        if self._typed_ahead:
            return 0.0
        due = [self._looked_at + self._pace.look_every]
        if self._keys.due is not None:
            due.append(now + (self._keys.due - self._clock.now()) / 1_000_000)
        return max(0.0, min(due) - now)

    async def tend(self) -> None:
        """Time has passed."""
        typed, self._typed_ahead = self._typed_ahead, []
        await self._act([*typed, *self._keys.tick(self._clock.now())])
        now = self._clock.monotonic()
        if now - self._looked_at < self._pace.look_every:
            return
        self._looked_at = now
        if self._busy or self._exit.begun:
            return
        await self._look()
        if self._held_since is not None:
            await self._hold(now)
        elif not self._keys.buffered:
            await self._remind(now)

    async def close(self) -> None:
        """The WebSocket is gone."""
        left = self._keys.discard()
        if left:
            event = {"kind": "user.dtmf", "digits_left": len(left)}
            with suppress(GatewayError):
                text = "Keys were pressed and not finished."
                now = self._clock.now()
                await self._ingress.accept(self._parties.event(f"{self._session}:keys", text, event, now))
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _act(self, collected: list[Collected]) -> None:
        for item in collected:
            match item:
                case BargeIn():
                    await self._interrupted(None, self._playback.spoken_ms, by_key=True)
                case NoDigits():
                    self._wait_anew()
                case Digits():
                    await self._ask(item.text, {"dtmf": {"ended_by": item.ended_by.value}})
                case _:
                    await self._ask(item.text, {} if self._lang is None else {"lang": self._lang})

    async def _ask(self, text: str, metadata: dict[str, Any]) -> None:
        """The caller has said or pressed something; the answer is made beside what comes next."""
        self._wait_anew()
        self._reminders = 0
        if self._busy:
            await self._interrupted(None, self._playback.spoken_ms)
        self._n += 1
        message_id = input_id(self._parties.sid, self._n, self._session)
        message = self._parties.message(message_id, text, Role.USER, metadata, self._clock.now())
        if self._exit.begun:
            with suppress(GatewayError):
                await self._ingress.accept(message)
            return
        if self._busy and self._task is not None:
            await asyncio.wait({self._task})  # on hold: it is queued in a moment
        reply = self._reply = Utterance(self._playback.send, message_id, self._lang)
        pieces = self._dialogue.stream(message)
        try:
            await anext(pieces)  # it is stored, and is not lost whatever is said next
        except GatewayError as error:
            await self._failed(reply, error)
            return
        self._task = asyncio.create_task(self._answer(pieces, reply))

    @property
    def _busy(self) -> bool:
        return self._task is not None and not self._task.done()

    async def _answer(self, pieces: AsyncGenerator[Said | TurnOutcome, None], reply: Utterance) -> None:
        filler = asyncio.create_task(self._fill(reply))
        outcome: TurnOutcome | None = None
        try:
            async with aclosing(pieces):
                async for piece in pieces:
                    if isinstance(piece, Said):
                        if piece.text:
                            self._held_since = None
                        await reply.say(piece.text)
                    else:
                        outcome = piece
        except GatewayError as error:
            await self._failed(reply, error)
            return
        finally:
            filler.cancel()
        await reply.end()
        if outcome is not None:
            await self._follow(outcome, reply)

    async def _fill(self, reply: Utterance) -> None:
        """A word while the caller waits; what comes is said instead of it."""
        await asyncio.sleep(self._pace.filler_after)
        if not reply.sent and self._held_since is None and self._texts.filler:
            await self._playback.line(self._texts.filler, lang=self._lang, preemptible=True)

    async def _failed(self, reply: Utterance, error: GatewayError) -> None:
        """No answer, or one that broke off: what was heard of it is kept, and the caller is asked again."""
        self._note("input_failed", code=error.code.value)
        await reply.end()
        if reply.sent:
            await self._cut(reply, reply.sent)
        await self._playback.line(self._texts.apology, lang=self._lang)
        self._wait_anew()

    async def _follow(self, outcome: TurnOutcome, reply: Utterance) -> None:
        """What a turn leads to besides its words."""
        self._since = max(self._since, *outcome.message_seqs, -1)
        wishes = wishes_of(outcome.intents)
        for kind in wishes.invalid:
            self._note("intent_invalid", kind=kind)
        if outcome.ended or wishes.hang_up:
            if not reply.sent:
                await self._playback.line(self._texts.goodbye, lang=self._lang)
            await self._exit.leave({"do": HANG_UP})
        elif wishes.transfer is not None:
            await self._exit.pass_on(wishes.transfer, self._n, self._lang)
        elif is_waiting(outcome):
            await self._put_on_hold(said=bool(reply.sent), approval=outcome.path is Path.APPROVAL)
        else:
            self._held_since = None
            self._typed_ahead = self._keys.retune(wishes.digits, self._clock.now())
        self._wait_anew()

    async def _put_on_hold(self, *, said: bool, approval: bool) -> None:
        first = self._held_since is None
        if first:
            self._held_since = self._clock.monotonic()
        if first and not (said and approval):
            await self._playback.line(self._texts.hold, lang=self._lang)

    async def _interrupted(self, piece: str | None, spoken_ms: int | None, *, by_key: bool = False) -> None:
        """What is being said is spoken over: of the newest reply only this much was heard."""
        reply, running = self._reply, self._busy
        if reply is None or self._exit.begun or self._held_since is not None:
            return
        if by_key and not running and not self._playback.seconds_left:
            return
        if running and self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        await reply.end()
        self._playback.stop()
        self._wait_anew()
        reached = heard(reply.sent, piece, spoken_ms)
        if not running and reached.text == reply.sent:
            return
        outcome = await self._cut(reply, reached.text)
        if running and outcome is not None:
            # it was over a moment before it was stopped: what it decided holds
            await self._follow(outcome, reply)

    async def _cut(self, reply: Utterance, reached: str) -> TurnOutcome | None:
        try:
            return await self._dialogue.interrupt(PROVIDER, reply.message_id, reply.sent, reached)
        except GatewayError as error:
            self._note("interruption_lost", code=error.code.value)
            return None

    async def _look(self) -> None:
        """Say what was said outside of this session's turns, and go on when the agent has the call again."""
        try:
            news = await self._dialogue.news(self._conversation_id, self._since)
        except GatewayError as error:
            self._note("news_unread", code=error.code.value)
            return
        for message in news.said:
            self._since = max(self._since, message.seq)
            await self._playback.line(message.content, lang=self._lang)
            self._wait_anew()
        if news.status.terminal:
            self._task = asyncio.create_task(self._exit.leave({"do": HANG_UP}))
        elif news.status is Status.ACTIVE:
            self._held_since = None
        elif self._held_since is None:
            self._held_since = self._clock.monotonic()

    async def _hold(self, now: float) -> None:
        if self._held_since is not None and now - self._held_since > self._pace.hold_at_most:
            await self._playback.line(self._texts.goodbye, lang=self._lang)
            self._task = asyncio.create_task(self._exit.leave({"do": HANG_UP}))
        elif now - self._quiet_since > self._pace.reassure_every and not self._playback.seconds_left:
            await self._playback.line(self._texts.reassurance, lang=self._lang)
            self._wait_anew()

    async def _remind(self, now: float) -> None:
        if now - self._quiet_since < self._pace.reminder_after or self._playback.seconds_left:
            return
        self._reminders += 1
        self._wait_anew()
        if self._reminders > self._pace.max_reminders:
            await self._playback.line(self._texts.goodbye, lang=self._lang)
            self._task = asyncio.create_task(self._exit.leave({"do": HANG_UP}))
        else:
            await self._playback.line(self._texts.reminder, lang=self._lang)

    def _wait_anew(self) -> None:
        """Silence is counted from here, or from the end of what is being said."""
        self._quiet_since = self._clock.monotonic() + self._playback.seconds_left

    def _note(self, what: str, **fields: str | int) -> None:
        """A line in the log, with nothing of what was said or pressed."""
        extra = {"action": f"voice.{what}", "call_sid": self._parties.sid, **fields}
        log.warning("voice %s", what.replace("_", " "), extra=extra)
