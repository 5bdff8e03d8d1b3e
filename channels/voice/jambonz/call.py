"""A call over jambonz: its messages to the session, and what the session wants to its commands."""

from functools import partial

from channels.contract import Ingress
from channels.voice.jambonz.address import parties_of
from channels.voice.jambonz.caller_side import CallerSide
from channels.voice.jambonz.exit import JambonzExit
from channels.voice.jambonz.kept import Kept
from channels.voice.jambonz.legs import Legs
from channels.voice.jambonz.listening import collecting, inputs_of, listening, opening
from channels.voice.jambonz.machine import Machine
from channels.voice.jambonz.messages import (
    BACK_HOOK,
    DIGITS_HOOK,
    MESSAGE_HOOK,
    CallStatus,
    Dialed,
    Event,
    Gathered,
    Incoming,
    Opened,
    Place,
    Problem,
    Referred,
    Screened,
    Streamed,
    Taken,
    VerbStatus,
    redirect,
)
from channels.voice.jambonz.outgoing import ANSWERED, Outgoing
from channels.voice.jambonz.owed import Owed, Store
from channels.voice.jambonz.parts import Parts
from channels.voice.jambonz.past import Past
from channels.voice.jambonz.reports import TransferReports
from channels.voice.jambonz.rest import JambonzRest
from channels.voice.jambonz.speaker import JambonzSpeaker
from channels.voice.jambonz.verbs import Hangup, Say, Verb, said
from channels.voice.news import newest_said
from channels.voice.playback import Playback, Send, Utterance
from channels.voice.session import LiveSession
from gateway.domain.conversation import Status
from gateway.domain.digits import Collected, EndedBy
from gateway.domain.errors import ErrorCode, GatewayError
from gateway.domain.intent import DtmfInputSpec
from gateway.domain.spoken import heard

TYPED = "dtmf-bargein-detected"
"""The first key of an input."""
SPOKEN_OVER = frozenset({"speech-bargein-detected", TYPED})
TRANSPORT = "jambonz"


class LetGo(Exception):
    """A call of ours that is over for us, or a second one for the same wish: it is hung up on."""


class JambonzSession(LiveSession):
    """One call, on one connection of jambonz's."""

    def __init__(
        self, ingress: Ingress, opened: Opened, session: str, send: Send, owed: Owed, rest: JambonzRest | None
    ) -> None:
        """`rest`: jambonz's API, to ask who is called; None where there is no account."""
        parties = parties_of(opened)
        rules = ingress.calls(parties.ours)
        self._send = send
        self._owed = owed
        self._speaker = JambonzSpeaker(send, ingress.clock)
        playback = Playback(self._speaker, ingress.clock, rules.pace.characters_per_second)
        self._kept = Kept(ingress.kept, parties, session)
        side, legs = CallerSide(self._speaker, playback, send), Legs(rest, parties.sid)
        self._way_out = JambonzExit(
            Parts(self._kept, side, legs, rules, ingress.clock),
            Past(ingress.dialogue, self._kept),
            TransferReports(ingress.accept, parties, ingress.clock),
            self._taken_back,
        )
        super().__init__(ingress, parties, session, playback, self._way_out)
        self._again = opened.again
        self._outgoing = Outgoing.of(ingress.reports, opened)
        self._machine = Machine(ingress, parties, self._outgoing)
        self._asked: DtmfInputSpec | None = None
        """How the next input's digits are collected, where the agent asked for it."""
        self._watched_at = 0.0
        self._typing = False
        """Keys have been pressed that jambonz has yet to hand over."""
        self._spoken_over: Utterance | None = None
        """The reply whose interruption is known."""
        self.ended = False
        """Its end is known, and recorded as far as it can be."""

    async def open(self) -> tuple[Verb, ...]:
        """What the call begins with. Raises GatewayError; LetGo where nobody is to be spoken with."""
        standing = None if self._outgoing is None else await self._outgoing.progress(ANSWERED)
        if standing is not None and (not standing.ours or standing.status.terminal):
            raise LetGo
        await self.begin(TRANSPORT)
        self._kept.conversation_id = self._conversation_id
        if self._again and self._since >= 0:
            await self._way_out.take_up()
            return (opening(),)
        # what was said before was in an earlier call, which goes on in this one
        first = None if standing is None else standing.first_message
        greeting = first or self._texts.greeting_of(goes_on=self._since >= 0)
        await self._ingress.accept(self._parties.greeted(greeting, self._clock.now()))
        self._since = await newest_said(self._dialogue, self._conversation_id)
        return opening(), Say(text=said(greeting))

    async def opened(self) -> None:
        """The connection stands. Of what one that is back had under way, a warm transfer goes on.

        The rest is lost: the caller is asked again.
        """
        if not self._again:
            return
        if self._way_out.begun:
            await self._way_out.go_on()
            return
        try:
            status = (await self._dialogue.news(self._conversation_id, self._since)).status
        except GatewayError as error:
            self._note("news_unread", code=error.code.value)
            return
        if status is Status.ACTIVE:
            await self._taken_back(self._texts.apology)

    async def acknowledge(self, incoming: Incoming) -> tuple[Verb, ...]:
        """What is done at once when jambonz has told us this; the rest is for `take`."""
        if incoming.place == Place(MESSAGE_HOOK):
            self._way_out.begun = True
            await self._playback.stop()
            return Say(text=said(self._texts.machine)), Hangup()
        if incoming.place == Place(BACK_HOOK) and not self._way_out.begun:
            return *listening(), Say(text=said(self._texts.apology))  # its answer replaces what runs
        return await self._way_out.acknowledge(incoming)

    async def take(self, incoming: Incoming) -> None:
        """What jambonz has told us."""
        if incoming.place is not None and incoming.place.session:
            await self._passed_on(incoming.place, incoming.event)
            return
        if isinstance(incoming.event, Screened):
            await self._machine.screened(incoming.event)
        elif incoming.place == Place(MESSAGE_HOOK):
            await self._machine.told(self._texts.machine)
        else:
            await self._happened(incoming)

    async def _happened(self, incoming: Incoming) -> None:
        """Something in the call itself."""
        match incoming.event:
            case Gathered() as gathered:
                if incoming.place == Place(DIGITS_HOOK):
                    # not with the acknowledgement, which jambonz may act on after commands that came later
                    await self._send(redirect(listening()))
                await self._gathered(gathered)
            case Streamed() as streamed:
                await self._streamed(streamed)
            case Taken() as taken:
                await self._speaker.taken(taken)
            case VerbStatus(event=event) if event in SPOKEN_OVER:
                self._typing = self._typing or event == TYPED
                await self._over_spoken()
            case CallStatus() as status:
                await self._status(status)
            case Problem() as problem:
                self._note("jambonz_error", description_length=len(problem.msg) + len(problem.details))

    async def _passed_on(self, place: Place, event: Event | None) -> None:
        """Something about a transfer."""
        match event:
            case Dialed() as dialed:
                await self._way_out.dialed(place, dialed)
            case Referred() as referred:
                await self._way_out.referred(place, referred)
            case Screened() as screened:
                await self._way_out.screened(place, screened)
            case _:
                await self._way_out.settle()

    @property
    def patience(self) -> float:
        """Seconds after which `tend` has something to do."""
        return min(super().patience, self._way_out.patience)

    async def tend(self) -> None:
        """Time has passed."""
        await self._speaker.tick()
        await self._way_out.tick()
        await self._watch()
        await super().tend()

    async def _watch(self) -> None:
        """While the caller is passed on, only the end of the conversation matters here."""
        now = self._clock.monotonic()
        if not self._way_out.begun or self.over or now - self._watched_at < self._pace.look_every:
            return
        self._watched_at = now
        try:
            over = (await self._dialogue.news(self._conversation_id, self._since)).status.terminal
        except GatewayError as error:
            self._note("news_unread", code=error.code.value)
            over = error.code is ErrorCode.NOT_FOUND  # it was erased, or deleted, during the call
        if over:
            await self._way_out.cancel()

    async def _gathered(self, gathered: Gathered) -> None:
        asked, self._asked, self._typing = self._asked, None, False
        match gathered.reason:
            case "dtmfDetected":
                await self._typed(gathered.digits, asked)
            case "speechDetected" if gathered.transcript:
                await self.hear(gathered.transcript, gathered.lang)
            case "error":
                self._note("not_listening")
            case _:
                self._asked = asked

    async def _typed(self, digits: str, asked: DtmfInputSpec | None) -> None:
        """Keys that jambonz has collected; how an input has ended it tells only by its length."""
        inputs = inputs_of(digits, asked, self._clock.now())
        for one in inputs:
            full = one.ended_by is EndedBy.MAX_DIGITS
            await self._ask(one.text, {"dtmf": {"ended_by": one.ended_by.value} if full else {}})
        if not inputs:
            self.listen()  # the termination key alone
            await self._expect(asked)

    async def _expect(self, digits: DtmfInputSpec | None) -> list[Collected]:
        """jambonz collects digits itself. Told to begin anew, it would lose what is being typed."""
        if digits is not None and digits.expects_input is not False:
            self._asked = digits
            if not self._typing:
                await self._send(redirect(collecting(digits), queue=not self._speaker.streams))
        elif self._typing:
            self._asked = None
        elif self._asked is not None:
            self._asked = None
            await self._send(redirect(listening(), queue=not self._speaker.streams))
        return []

    async def _streamed(self, event: Streamed) -> None:
        if event.event_type == "user_interruption":
            await self._over_spoken()
        elif event.event_type == "tts_spoken":
            await self._spoken(event)
        else:
            await self._speaker.streamed(event)

    async def _over_spoken(self, piece: str | None = None) -> None:
        """The caller is heard: what was being said has been stopped, and is told of in up to three ways."""
        self.listen()
        if self._reply is None or self._reply is self._spoken_over:
            return
        self._spoken_over = self._reply
        if self._busy or self._playback.seconds_left:
            await self.interrupt(piece, self._playback.spoken_ms)

    async def _spoken(self, event: Streamed) -> None:
        """Some voices know to the word what was heard."""
        for reply in (self._spoken_over, self._reply):  # it comes after the interruption, or before it
            reached = None if reply is None or not event.bargein else heard(reply.sent, event.text, None)
            if reply is None or reached is None or not reached.certain:
                continue
            if reply is self._spoken_over:
                await self._cut(reply, reached.text)
            else:
                await self._over_spoken(event.text)
            return

    async def _status(self, status: CallStatus) -> None:
        if status.call_sid != self._parties.sid:
            await self._way_out.answered(status)
        elif status.over:
            await self.gone(status.call_status)

    async def gone(self, status: str) -> None:
        """The call is over: its conversation is closed."""
        if self.ended:
            return
        self.ended = True
        ended = self._parties.ended(status, self._clock.now())
        known: list[Store] = [
            *(partial(self._ingress.accept, report) for report in await self._way_out.caller_gone()),
            partial(self._dialogue.end, ended),
        ]
        if self._outgoing is not None:
            known.append(partial(self._outgoing.progress, status))
        await self._owed.settle(self._parties.sid, known)

    async def _taken_back(self, text: str) -> None:
        """The agent has the caller: they are listened to, and told this."""
        self._asked = None
        await self._send(redirect(listening()))
        await self._playback.line(text, lang=self._lang)
        self.listen()
