"""A call whose words travel while they are spoken: what the caller says becomes turns, replies are spoken.

What happens is taken one after the other; beside it at most one reply is being made. A caller who speaks over
it, or says more before it has begun, ends its turn: what they heard is kept, and they are answered anew. On
hold and between turns, what an operator says is spoken. The session keeps nothing: another process goes on.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Any

from channels.contract import Ingress
from channels.voice.exit import Exit
from channels.voice.news import Missed, missed, newest_said
from channels.voice.notes import note
from channels.voice.parties import Parties, input_id
from channels.voice.playback import Playback, Utterance
from channels.voice.quiet import Quiet
from channels.voice.unfollowed import Unfollowed
from channels.voice.wishes import is_waiting, wishes_of
from gateway.domain.conversation import Status
from gateway.domain.digits import BargeIn, Collected, DigitCollector, Digits, NoDigits
from gateway.domain.errors import ErrorCode, GatewayError
from gateway.domain.intent import DtmfInputSpec
from gateway.domain.message import Role
from gateway.domain.spoken import heard
from gateway.domain.turn import Path, Said, TurnOutcome
from gateway.telemetry import FIRST_WORD_SECONDS

MAX_SPOKEN = 10_000
"""Characters of what was said at once that are taken."""


class LiveSession:
    """A call while its words come over this connection."""

    def __init__(
        self, ingress: Ingress, parties: Parties, session: str, playback: Playback, leaving: Exit
    ) -> None:
        """`session`: the connection's own id, [A-Za-z0-9] only."""
        self._ingress = ingress
        self._dialogue = ingress.dialogue
        self._clock = ingress.clock
        self._parties = parties
        self._session = session
        rules = ingress.calls(parties.ours)
        self._texts, self._pace = rules.texts, rules.pace
        self._playback = playback
        self._exit = leaving
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
        self._quiet = Quiet(ingress.clock, playback, rules)
        self._unfollowed = Unfollowed(ingress.dialogue, parties, session)
        self._looked_at = 0.0

    @property
    def apology(self) -> str:
        """What is said where something went wrong."""
        return self._texts.apology

    @property
    def over(self) -> bool:
        """Whether the session has been told to end."""
        return self._exit.over

    async def begin(self, transport: str) -> None:
        """The session is open, and the caller is being greeted. Raises GatewayError."""
        event = self._parties.started(transport, self._clock.now())
        self._conversation_id = (await self._ingress.accept(event)).conversation_id
        if not self._conversation_id:
            raise GatewayError(ErrorCode.CONVERSATION_CLOSED, "the call's conversation was erased")
        self._since = await newest_said(self._dialogue, self._conversation_id)
        self._looked_at = self._clock.monotonic()
        self._quiet.begin(self._texts.greeting)

    async def hear(self, text: str, lang: str | None) -> None:
        """The caller has said something."""
        self._lang = lang or self._lang
        await self._act(self._keys.say(text[:MAX_SPOKEN], self._clock.now()))

    def listen(self) -> None:
        """The caller is saying something."""
        self._quiet.anew()

    async def press(self, key: str) -> None:
        """The caller has pressed a key."""
        await self._act(self._keys.press(key, self._clock.now()))

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
        leaves = self._task is not None and not self._task.done()
        if not leaves and not await self._quiet.speak(self._lang, listening=self._keys.buffered):
            self._end()

    async def close(self) -> None:
        """The WebSocket is gone."""
        if left := self._keys.discard():
            unfinished = self._parties.keys_left(self._session, len(left), self._clock.now())
            with suppress(GatewayError):
                await self._ingress.accept(unfinished)
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _act(self, collected: list[Collected]) -> None:
        for item in collected:
            match item:
                case BargeIn():
                    await self.interrupt(None, self._playback.spoken_ms, by_key=True)
                case NoDigits():
                    self._quiet.anew()
                case Digits():
                    await self._ask(item.text, {"dtmf": {"ended_by": item.ended_by.value}})
                case _:
                    await self._ask(item.text, {} if self._lang is None else {"lang": self._lang})

    async def _ask(self, text: str, metadata: dict[str, Any]) -> None:
        """The caller has said or pressed something; the answer is made beside what comes next."""
        self._quiet.heard()
        asked = self._clock.monotonic()
        if self._busy:
            await self.interrupt(None, self._playback.spoken_ms)
        self._n += 1
        message_id = input_id(self._parties.sid, self._n, self._session)
        message = self._parties.message(message_id, text, Role.USER, metadata, self._clock.now())
        if self._exit.begun:
            with suppress(GatewayError):
                await self._ingress.accept(message)
            return
        if self._busy and self._task is not None:
            await asyncio.wait({self._task})  # on hold: it is queued in a moment
        reply = self._reply = Utterance(self._playback, message_id, self._lang)
        pieces = self._dialogue.stream(message)
        try:
            await anext(pieces)  # it is stored, and is not lost whatever is said next
        except GatewayError as error:
            await self._failed(reply, error)
            return
        self._task = asyncio.create_task(self._answer(pieces, reply, asked))

    @property
    def _busy(self) -> bool:
        return self._task is not None and not self._task.done()

    async def _answer(
        self, pieces: AsyncGenerator[Said | TurnOutcome, None], reply: Utterance, asked: float
    ) -> None:
        """`asked`: when the caller had said it, by the monotonic clock."""
        filler = asyncio.create_task(self._quiet.fill(reply, self._lang))
        outcome: TurnOutcome | None = None
        try:
            async with aclosing(pieces):
                async for piece in pieces:
                    if isinstance(piece, Said):
                        first = bool(piece.text) and not reply.sent
                        if piece.text:
                            self._quiet.release()
                        await reply.say(piece.text)
                        if first:
                            FIRST_WORD_SECONDS.observe(self._clock.monotonic() - asked)
                    else:
                        outcome = piece
        except GatewayError as error:
            await self._failed(reply, error)
            return
        finally:
            filler.cancel()
        # read before the reply's end, after which the caller speaks over nothing of it
        unheard = None if outcome is None else await missed(self._dialogue, outcome, self._since)
        await reply.end()
        if outcome is not None and unheard is not None:
            await self._follow(outcome, reply, unheard)

    async def _failed(self, reply: Utterance, error: GatewayError) -> None:
        """No answer, or one that broke off: what was heard of it is kept, and the caller is asked again."""
        self._note("input_failed", code=error.code.value)
        await reply.end()
        if reply.sent:
            await self._cut(reply, reply.sent)
        await self._playback.line(self._texts.apology, lang=self._lang)
        self._quiet.anew()

    async def _follow(self, outcome: TurnOutcome, reply: Utterance, unheard: Missed) -> None:
        """What a turn leads to besides its words."""
        self._unfollowed.follows(outcome)
        self._since = unheard.newest
        for message in unheard.messages:
            await self._playback.line(message.content, lang=self._lang)
        wishes = wishes_of(outcome.intents)
        for kind in wishes.invalid:
            self._note("intent_invalid", kind=kind)
        if outcome.ended or wishes.hang_up:
            if not reply.sent:
                await self._playback.line(self._texts.goodbye, lang=self._lang)
            await self._exit.hang_up()
        elif wishes.transfer is not None:
            await self._exit.pass_on(wishes, self._n, self._lang)
        elif is_waiting(outcome):
            if self._quiet.hold() and not (reply.sent and outcome.path is Path.APPROVAL):
                await self._playback.line(self._texts.hold, lang=self._lang)
        else:
            self._quiet.release()
            self._typed_ahead = await self._expect(wishes.digits)
        self._quiet.anew()

    async def _expect(self, digits: DtmfInputSpec | None) -> list[Collected]:
        """The next input's digits are collected like this; what was pressed and is complete by that."""
        return self._keys.retune(digits, self._clock.now())

    async def interrupt(self, piece: str | None, spoken_ms: int | None, *, by_key: bool = False) -> None:
        """What is being said is spoken over: of the newest reply only this much was heard."""
        reply, running = self._reply, self._busy
        if reply is None or self._exit.begun or self._quiet.on_hold:
            return
        if by_key and not running and not self._playback.seconds_left:
            return
        if running and self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        await reply.end()
        await self._playback.stop()
        self._quiet.anew()
        reached = heard(reply.sent, piece, spoken_ms)
        if not running and reached.text == reply.sent:
            return
        outcome = await self._cut(reply, reached.text)
        if running and outcome is not None:
            # it was over a moment before it was stopped: what it decided holds
            await self._follow(outcome, reply, await missed(self._dialogue, outcome, self._since))

    async def _cut(self, reply: Utterance, reached: str) -> TurnOutcome | None:
        try:
            return await self._dialogue.interrupt(
                self._parties.provider, reply.message_id, reply.sent, reached
            )
        except GatewayError as error:
            self._note("interruption_lost", code=error.code.value)
            return None

    async def _look(self) -> None:
        """Say what was said outside of this session's turns, and go on when the agent has the call again."""
        try:
            news = await self._dialogue.news(self._conversation_id, self._since)
        except GatewayError as error:
            self._note("news_unread", code=error.code.value)
            if error.code is ErrorCode.NOT_FOUND:  # it was erased, or deleted, during the call
                self._end()
            return
        self._since = max((message.seq for message in news.said), default=self._since)
        await self._quiet.tell(news.said, self._lang)
        left = await self._unfollowed.look(self._conversation_id, news.status, self._n + 1)
        if left is not None:
            self._n += 1
            self._task = asyncio.create_task(self._exit.pass_on(left, self._n, self._lang))
            await asyncio.sleep(0)  # it has begun before anything else that is said is taken
        elif news.status.terminal:
            self._end()
        elif news.status is not Status.ACTIVE:
            self._quiet.hold()
        elif not news.waits:  # else the agent is paused, and whoever was told to hold holds
            await self._quiet.give_back(self._lang)

    def _end(self) -> None:
        self._task = asyncio.create_task(self._exit.hang_up())

    def _note(self, what: str, **fields: str | int) -> None:
        """A line in the log, with nothing of what was said or pressed."""
        note(what, self._parties.sid, **fields)
