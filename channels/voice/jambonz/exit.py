"""How a call leaves the agent over jambonz: passed on to somebody, or hung up; and how it comes back."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from channels.contract import Ingress
from channels.voice.destination import Destination, destination_kind
from channels.voice.host.outcomes import Outcome
from channels.voice.jambonz.messages import CallStatus, Dialed, Place, Referred, redirect
from channels.voice.jambonz.speaker import JambonzSpeaker
from channels.voice.jambonz.transfer import (
    LOST,
    Transfer,
    announced,
    dialed,
    dialing,
    failed,
    presumed,
    referred,
    referring,
)
from channels.voice.jambonz.verbs import Hangup, Say, Verb, said
from channels.voice.parties import Parties, input_id
from channels.voice.playback import Playback, Send
from channels.voice.render import wishes_of
from gateway.domain.errors import GatewayError
from gateway.domain.intent import CallTransferIntent, OnFailure, TransferMode, WarmTransfer
from gateway.domain.message import InboundMessage
from gateway.domain.outcome import TransferReason, TransferState

LONGEST_WAIT = 60.0
"""Seconds for the last words."""
REPORTS = 5
"""Tries to record a transfer while the database is away."""
REPORT_SECONDS = 1.0
"""Between two of them."""
Back = Callable[[str], Awaitable[None]]
"""The agent has the caller again, who is told this."""


class JambonzExit:
    """The way out of one call."""

    def __init__(  # noqa: PLR0913 - one argument per part of the call
        self,
        ingress: Ingress,
        parties: Parties,
        session: str,
        speaker: JambonzSpeaker,
        playback: Playback,
        send: Send,
        back: Back,
    ) -> None:
        self.begun = False
        self.over = False
        self._ingress = ingress
        self._parties = parties
        self._session = session
        self._speaker = speaker
        self._playback = playback
        self._send = send
        self._back = back
        self._transfer: Transfer | None = None
        self._over: set[str] = set()
        """The transfers of this session that have ended: later hooks of theirs mean nothing."""
        self._refers = False
        self._proven = False
        """The caller is with the other one, and that is recorded."""

    async def hang_up(self) -> None:
        """When all was said, the call ends."""
        self.begun = True
        await self._after_all(Hangup())
        self.over = True

    async def pass_on(
        self, transfer: CallTransferIntent, intent_id: str | None, n: int, lang: str | None
    ) -> None:
        """Input number `n` led to a transfer: it is announced, and jambonz dials."""
        self.begun, self._proven = True, False
        current = Transfer(intent=transfer, intent_id=intent_id, session=self._session, n=n)
        self._transfer = current
        if transfer.mode is TransferMode.WARM:
            await self._downgraded(current, "mode", TransferMode.COLD)
        kind = destination_kind(transfer.destination)
        if kind is None:
            await self._failed(current, failed(TransferReason.INVALID_DESTINATION))
            return
        self._refers = kind is Destination.SIP
        way = referring(current) if self._refers else (dialing(current),)
        await self._after_all(*announced(current), *way)

    async def dialed(self, place: Place, data: Dialed) -> None:
        """A dial has ended: whoever was reached has hung up, or nobody was reached."""
        current = await self._at(place)
        if current is not None and not self._refers:
            await self._ended(current, dialed(data))

    async def referred(self, place: Place, data: Referred) -> None:
        """What became of a REFER. One that is refused becomes a dial."""
        current = await self._at(place)
        if current is None or not self._refers:
            return
        outcome = referred(data)
        if place.step == LOST or outcome.reason is TransferReason.REFER_REJECTED:
            self._refers = False
            await self._downgraded(current, "method", "bridge")
            await self._send(redirect([dialing(current)]))
            return
        await self._ended(current, outcome)

    async def answered(self, status: CallStatus) -> None:
        """Somebody who was dialled has answered: the two are joined."""
        current = self._transfer
        if current is None or self._refers or self._proven or status.call_status != "in-progress":
            return
        self._proven = await self._report(current, dialed(Dialed(dial_call_status="completed")))

    async def caller_gone(self) -> None:
        """The caller is gone; where a REFER is under way, they are taken to have followed it."""
        current, self._transfer = self._transfer, None
        if current is None or self._proven:
            return
        outcome = presumed() if self._refers else Outcome(TransferState.CALLER_ABANDONED)
        await self._report(current, outcome)

    async def _ended(self, current: Transfer, outcome: Outcome) -> None:
        if not outcome.state.proven:
            await self._failed(current, outcome)
            return
        self._transfer = None
        if not self._proven:
            await self._report(current, outcome)
        await self._send(redirect([Hangup()]))
        self.over = True

    async def _failed(self, current: Transfer, outcome: Outcome) -> None:
        """Nobody was reached: the caller is told, and has the agent again where they may."""
        self._transfer = None
        self._over.add(current.name)
        await self._report(current, outcome)
        intent = current.intent
        text = (intent.warm or WarmTransfer()).failure_text
        if intent.failure_action is OnFailure.HANGUP:
            await self._send(redirect([Say(text=said(text)), Hangup()]))
            self.over = True
            return
        if intent.failure_action is not OnFailure.RETURN_TO_AGENT:
            await self._downgraded(current, "on_failure", OnFailure.RETURN_TO_AGENT)
        self.begun = False
        await self._back(text)

    async def _at(self, place: Place) -> Transfer | None:
        """The transfer that a hook is about, also one that another process began; None: it is over."""
        if self._transfer is not None:
            current = self._transfer
            return current if (current.session, current.n) == (place.session, place.n) else None
        if self.begun or not place.session or f"{place.session}:{place.n}" in self._over:
            return None
        message_id = input_id(self._parties.sid, place.n, place.session)
        with suppress(GatewayError):
            outcome = await self._ingress.dialogue.outcome(self._parties.provider, message_id, 0)
            wishes = wishes_of(outcome.intents) if outcome is not None else None
            if wishes is not None and wishes.transfer is not None:
                self.begun, self._proven = True, False
                self._refers = place.hook == "/referred"
                self._transfer = Transfer(
                    intent=wishes.transfer, intent_id=wishes.transfer_id, session=place.session, n=place.n
                )
        return self._transfer

    async def _after_all(self, *verbs: Verb) -> None:
        """When what is being said has been said. Streamed words do not wait in the queue of verbs."""
        if self._speaker.streams:
            await asyncio.sleep(min(self._playback.seconds_left, LONGEST_WAIT))
            await self._send(redirect(verbs))
        else:
            await self._send(redirect(verbs, queue=True))

    async def _report(self, current: Transfer, outcome: Outcome) -> bool:
        """Record how the transfer has ended; whether that was possible."""
        for _ in range(REPORTS):
            message = self._parties.outcome(
                f"{current.name}:dialed", current.intent_id, outcome.fields(), self._ingress.clock.now()
            )
            if await self._tell(message):
                return True
            await asyncio.sleep(REPORT_SECONDS)
        return False

    async def _downgraded(self, current: Transfer, field: str, substitute: str) -> None:
        now = self._ingress.clock.now()
        await self._tell(self._parties.downgraded(current.name, field, substitute, now))

    async def _tell(self, message: InboundMessage) -> bool:
        with suppress(GatewayError):
            await self._ingress.accept(message)
            return True
        return False
