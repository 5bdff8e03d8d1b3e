"""How a call leaves the agent over jambonz: passed on to somebody, or hung up; and how it comes back."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from math import inf

from channels.voice.host.outcomes import Outcome
from channels.voice.jambonz.cold import Cold
from channels.voice.jambonz.messages import (
    REFERRED_HOOK,
    CallStatus,
    Dialed,
    Incoming,
    Place,
    Referred,
    Screened,
)
from channels.voice.jambonz.parts import Parts
from channels.voice.jambonz.past import Past
from channels.voice.jambonz.persons import Persons, unasked
from channels.voice.jambonz.reports import TransferReports
from channels.voice.jambonz.transfer import LOST, Transfer, dialed, failed, presumed, referred
from channels.voice.jambonz.verbs import Hangup, Say, Verb, said
from channels.voice.jambonz.warm import ABANDONED, CANCELED, JambonzWarm
from channels.voice.wishes import Wishes
from gateway.domain.conversation import Status
from gateway.domain.errors import GatewayError
from gateway.domain.intent import OnFailure, WarmTransfer
from gateway.domain.message import InboundMessage
from gateway.domain.outcome import TransferReason, TransferState
from gateway.domain.warm.words import Finish

Back = Callable[[str], Awaitable[None]]
"""The agent has the caller again, who is told this."""


class JambonzExit:
    """The way out of one call."""

    def __init__(self, parts: Parts, past: Past, reports: TransferReports, back: Back) -> None:
        self.begun = False
        self.over = False
        self._parts = parts
        self._kept, self._side, self._rules = parts.kept, parts.side, parts.rules
        self._past = past
        self._reports = reports
        self._back = back
        self._again = False
        """Another connection of the call was here before."""
        self._transfer: Transfer | None = None
        self._persons: Persons | None = None
        """Of a warm transfer, as long as it is not over."""
        self._over: set[str] = set()
        """The transfers of this session that have ended: later hooks of theirs mean nothing."""
        self._cold: Cold | None = None
        """Of a transfer without asking, until its end is known."""
        self._proven = False
        """The caller is with the other one, and that is recorded."""

    async def hang_up(self) -> None:
        """When all was said, the call ends."""
        self.begun = True
        await self._side.after_all(Hangup())
        self.over = True

    async def pass_on(self, wishes: Wishes, n: int, lang: str | None) -> None:
        """Input number `n` led to a transfer: it is announced, and jambonz dials."""
        if wishes.transfer is None:
            return
        self.begun, self._proven = True, False
        self._transfer = current = Transfer.of(wishes.transfer, wishes, self._kept.session, n)
        warm = JambonzWarm(current, wishes.briefing, self._rules)
        if not current.warm:
            self._cold = cold = Cold(current, warm, self._parts)
            goes_on = self._again and await cold.goes_on()
            if not goes_on and self._transfer is current:  # else its end was told of meanwhile
                await self._begin_cold(current, cold)
            return
        if (current.intent.warm or WarmTransfer()).reassurance_text:
            instead = "ringing" if self._rules.hold_music is None else "hold music"
            await self._reports.downgraded(current, "reassurance_text", instead)
        self._persons, side = self._persons_of(current, warm), self._side
        await self._persons.begin(side.next, wait=side.words_to_wait_for, ahead=side.words_in_queue)

    async def take_up(self) -> None:
        """Take over what another connection has left of a transfer. Raises GatewayError."""
        self._again = True
        held = await self._kept.take_up()
        if held is None:  # the caller may be with somebody, whose dial says later which transfer that was
            self.begun = self._proven = await self._past.status() is Status.TRANSFERRED
            return
        wishes = await self._past.wishes_at(held.session, held.n)
        if wishes.transfer is None:
            return
        current = Transfer.of(wishes.transfer, wishes, held.session, held.n)
        warm = JambonzWarm(current, wishes.briefing, self._rules, held.warm)
        if warm.told:
            await self._wait_for(current.cold(held.warm.attempt) if current.warm else current, warm)
            return
        self.begun, self._transfer = True, current
        if current.warm:
            self._persons = self._persons_of(current, warm)
        else:
            self._cold = Cold(current, warm, self._parts)

    async def go_on(self) -> None:
        """Go on with what was taken up."""
        if self._persons is not None:
            await self._persons.go_on()
        elif self._cold is not None and self._transfer is not None and not self._cold.taken_up:
            await self._begin_cold(self._transfer, self._cold)

    async def acknowledge(self, incoming: Incoming) -> tuple[Verb, ...]:
        """What jambonz has to be told at once: what somebody who was dialled hears next."""
        return unasked(incoming) if self._persons is None else await self._persons.acknowledge(incoming)

    async def settle(self) -> None:
        """Do what the answers of somebody who was dialled have led to."""
        if self._persons is not None:
            await self._persons.settle()

    async def tick(self) -> None:
        """Time has passed."""
        await self._kept.again()
        if self._persons is not None:
            await self._persons.tick()
        elif self._cold is not None and self._transfer is not None and not self.patience:
            if await self._cold.talks():
                await self._joined(self._transfer)
            elif not self.patience:
                await self._ended(self._transfer, failed(TransferReason.BRIDGE_ERROR))

    @property
    def patience(self) -> float:
        """Seconds after which `tick` has something to do."""
        if self._persons is not None:
            return self._persons.patience
        return inf if self._cold is None or self._transfer is None or self._proven else self._cold.patience

    async def screened(self, place: Place, data: Screened) -> None:
        """Whether a machine has answered."""
        if self._persons is not None:
            await self._persons.screened(place, data)

    async def dialed(self, place: Place, data: Dialed) -> None:
        """A dial has ended: whoever was reached has hung up, or nobody was reached."""
        current = await self._at(place)
        if current is None or self._refers or place.attempt < current.attempt:
            return
        if self._persons is None:
            unseen = current.warm and not self._proven  # whether they accepted, no process knows any more
            lost = failed(TransferReason.BRIDGE_ERROR, "bridge")
            await self._ended(current, lost if unseen else dialed(data))
        elif await self._persons.dialed(place, data):
            await self._ended(current, dialed(data))

    async def referred(self, place: Place, data: Referred) -> None:
        """What became of a REFER. One that is refused becomes a dial."""
        current, cold = await self._at(place), self._cold
        if current is None or cold is None or not cold.refers:
            return
        outcome = referred(data)
        if place.step == LOST or outcome.reason is TransferReason.REFER_REJECTED:
            await self._reports.downgraded(current, "method", "bridge")
            await cold.dial_instead()
            return
        await self._ended(current, outcome)

    async def answered(self, status: CallStatus) -> None:
        """Somebody who was dialled has answered: the two are joined, unless they are asked first."""
        if status.call_status != "in-progress":
            return
        if self._cold is not None:
            self._cold.answered()
        current = self._transfer
        if current is not None and not (current.warm or self._refers or self._proven):
            await self._joined(current)

    async def cancel(self) -> None:
        """The conversation is over: nobody is called any more. Whoever the caller is with stays with them."""
        if self._persons is not None and not self._proven:
            await self._persons.cancel()
        elif self._transfer is not None and not self._proven:
            await self._ended(self._transfer, CANCELED)

    async def caller_gone(self) -> Sequence[InboundMessage]:
        """The caller is gone: what there is to report. They are taken to have followed a REFER."""
        left = self._reports.caller_left()
        if self._persons is not None and not self._proven:
            await self._persons.caller_gone()
        current, self._transfer = self._transfer, None
        if current is not None and not self._proven:
            followed = self._cold is not None and self._cold.has_referred
            await self._reports.ended(current, presumed() if followed else ABANDONED)
        return left

    async def _joined(self, current: Transfer) -> None:
        """The two talk."""
        self._proven = await self._reports.ended(current, dialed(Dialed(dial_call_status="completed")))
        if self._proven:
            await self._waits_no_more()

    async def _begin_cold(self, current: Transfer, cold: Cold, *, instead: bool = False) -> None:
        self._cold = cold
        if not cold.dialable:
            await self._failed(current, failed(TransferReason.INVALID_DESTINATION))
        else:
            await (cold.instead() if instead else cold.begin())

    async def _wait_for(self, current: Transfer, warm: JambonzWarm) -> None:
        """Another connection has told jambonz, or was about to: nobody is called twice."""
        status = await self._past.status()
        if status not in (Status.WAITING_FOR_HUMAN, Status.TRANSFERRED):
            return  # it has come to its end
        self.begun, self._proven = True, status is Status.TRANSFERRED
        self._transfer, self._cold = current, Cold(current, warm, self._parts)
        self._cold.wait()

    async def _waits_no_more(self) -> None:
        cold, self._cold = self._cold, None
        if cold is not None:
            await cold.ended()

    @property
    def _refers(self) -> bool:
        return self._cold is not None and self._cold.refers

    async def _finished(self, current: Transfer, warm: JambonzWarm, finish: Finish) -> None:
        outcome = warm.outcome(finish)
        if outcome.state.proven:
            self._proven = await self._reports.ended(current, outcome)
        elif finish.then is OnFailure.COLD_TRANSFER:
            self._persons = None
            self._transfer = last = current.cold(warm.attempt + 1)
            await self._begin_cold(last, Cold(last, warm, self._parts), instead=True)
        elif outcome.state is TransferState.CANCELED:
            await self._ended(current, outcome)
        elif finish.then is None:
            self._transfer = None  # the caller is gone
            await self._reports.ended(current, outcome)
        else:
            await self._failed(current, outcome)
        if finish.then is not OnFailure.COLD_TRANSFER:
            await self._kept.done(current, warm.state)

    async def _ended(self, current: Transfer, outcome: Outcome) -> None:
        if not outcome.state.proven and outcome.state is not TransferState.CANCELED:
            await self._failed(current, outcome)
            return
        self._transfer = None
        if not self._proven:
            await self._reports.ended(current, outcome)
        await self._waits_no_more()
        await self._side.instead(Hangup())
        self.over = True

    async def _failed(self, current: Transfer, outcome: Outcome) -> None:
        """Nobody was reached: the caller is told, and has the agent again where they may."""
        self._transfer = self._persons = None
        self._over.add(current.name)
        await self._reports.ended(current, outcome)
        await self._waits_no_more()
        intent = current.intent
        text = (intent.warm or WarmTransfer()).failure_text
        if intent.failure_action is OnFailure.HANGUP:
            await self._side.instead(Say(text=said(text)), Hangup())
            self.over = True
            return
        if intent.failure_action is not OnFailure.RETURN_TO_AGENT:
            await self._reports.downgraded(current, "on_failure", OnFailure.RETURN_TO_AGENT)
        self.begun = False
        await self._back(text)

    async def _at(self, place: Place) -> Transfer | None:
        """The transfer that a hook is about, also one that another process began; None: it is over."""
        name = f"{place.session}:{place.n}"
        current = self._transfer
        if current is not None:
            if current.name != name and not (self._again and await self._past.led_to(place, current)):
                return None
            if self._cold is not None:
                self._cold.told_of(place)
            return current
        if (self.begun and not self._proven) or not place.session or name in self._over:
            return None
        with suppress(GatewayError):
            wishes = await self._past.wishes_at(place.session, place.n)
            if wishes.transfer is not None:
                self._proven = self._proven or await self._past.status() is Status.TRANSFERRED
                self.begun = True
                self._transfer = current = Transfer.at(place, wishes.transfer, wishes)
                if place.hook == REFERRED_HOOK:
                    self._cold = Cold(current, JambonzWarm(current, "", self._rules), self._parts)
        return self._transfer

    def _persons_of(self, current: Transfer, warm: JambonzWarm) -> Persons:
        clock, put = self._parts.clock, self._side.instead
        return Persons(current, warm, clock, self._kept, put, self._finished)
