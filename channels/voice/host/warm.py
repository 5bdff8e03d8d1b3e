"""A warm transfer: the domain's machine, with a second leg and re-INVITEs as its hands (RFC 3725).

Everything that happens to it goes through one queue and is taken one after the other.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass

from channels.voice.host.leg import Happenings, Leg
from channels.voice.host.outcomes import Outcome, refusal
from gateway.domain.clock import SECOND, Clock
from gateway.domain.warm.machine import advance, begin
from gateway.domain.warm.state import Stage, Step, Warm, WarmPlan
from gateway.domain.warm.words import (
    Bridge,
    CallerGone,
    Cancel,
    Command,
    Dial,
    Event,
    Finish,
    HangUpLeg,
    LegEvent,
    SayToCaller,
    SayToLeg,
    Spoken,
    Tick,
)
from gateway.domain.warm.words import Leg as Told

ACCEPT_KEY, DECLINE_KEY = "1", "2"


@dataclass(frozen=True, slots=True)
class Hands:
    """What a warm transfer needs of its call."""

    caller: Leg
    clock: Clock
    new_leg: Callable[[Happenings], Leg]
    dial: Callable[[Leg, str], Awaitable[int]]
    """Calls a destination; its final status."""
    progress: Callable[[str, int, int], None]
    """Told state, attempt and destination index whenever the stage changes."""


class WarmTransfer:
    """One transfer of one caller."""

    def __init__(self, plan: WarmPlan, hands: Hands) -> None:
        self._plan = plan
        self._hands = hands
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._legs: dict[int, Leg] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._codes: dict[int, int] = {}

    @property
    def leg(self) -> Leg | None:
        """The person's leg, once they are joined."""
        return self._legs.get(max(self._legs, default=0))

    def caller_gone(self) -> None:
        """The caller hung up."""
        self._events.put_nowait(CallerGone())

    def cancel(self) -> None:
        """The gateway wants it no more."""
        self._events.put_nowait(Cancel())

    async def run(self) -> tuple[Outcome, Finish]:
        """How it ended, and what becomes of the caller."""
        warm = self._follow(None, begin(self._plan, self._hands.clock.now()))
        while warm.outcome is None:
            event = await self._next(warm)
            warm = self._follow(warm, advance(warm, event, self._hands.clock.now()))
        finish = warm.outcome
        outcome = Outcome(
            finish.state,
            finish.reason,
            sip_code=self._codes.get(warm.attempt),
            method="bridge",
            attempt=warm.attempt or None,
            destination_index=warm.destination_index if warm.attempt else None,
        )
        return outcome, finish

    async def _next(self, warm: Warm) -> Event:
        """What happens next; a tick where a timer of the machine is due first."""
        left = None if warm.due is None else max(0.0, (warm.due - self._hands.clock.now()) / SECOND)
        try:
            return await asyncio.wait_for(self._events.get(), left)
        except TimeoutError:
            return Tick()

    def _follow(self, before: Warm | None, step: Step) -> Warm:
        warm, commands = step
        moved = before is None or (before.stage, before.attempt) != (warm.stage, warm.attempt)
        if moved and warm.stage is not Stage.OVER:
            self._hands.progress(warm.stage.value, warm.attempt, warm.destination_index)
        for command in commands:
            self._do(command)
        return warm

    def _do(self, command: Command) -> None:
        """This host has no voice: what is to be said is said at once. Its hold is silence."""
        match command:
            case SayToCaller():
                self._events.put_nowait(Spoken())
            case SayToLeg(attempt=attempt, briefing=True):
                self._events.put_nowait(Told(attempt, LegEvent.BRIEFED))
            case Dial():
                self._spawn(self._dial(command))
            case HangUpLeg(attempt=attempt):
                self._spawn(self._hang_up(attempt))
            case Bridge(attempt=attempt):
                self._spawn(self._bridge(attempt))
            case _:
                pass

    async def _dial(self, dial: Dial) -> None:
        attempt = dial.attempt

        def tell(event: LegEvent) -> None:
            self._events.put_nowait(Told(attempt, event))

        def pressed(key: str) -> None:
            keys = {ACCEPT_KEY: LegEvent.ACCEPTED, DECLINE_KEY: LegEvent.DECLINED}
            tell(keys.get(key, LegEvent.HEARD))

        leg = self._hands.new_leg(Happenings(pressed=pressed, gone=lambda: tell(LegEvent.GONE)))
        self._legs[attempt] = leg
        await leg.open()
        status = await self._hands.dial(leg, dial.destination)
        self._codes[attempt] = status
        if status < 300:
            tell(LegEvent.ANSWERED)
            if dial.screen:
                tell(LegEvent.HUMAN)  # it cannot listen, so it takes nobody for a machine
        else:
            self._events.put_nowait(Told(attempt, LegEvent.FAILED, refusal(status)))

    async def _hang_up(self, attempt: int) -> None:
        leg = self._legs.get(attempt)
        if leg is not None:
            await leg.hang_up()

    async def _bridge(self, attempt: int) -> None:
        """RFC 3725 §4.1, with both answered: each is given what the other has said last."""
        leg, caller = self._legs[attempt], self._hands.caller
        theirs = await caller.re_invite(leg.theirs) if leg.theirs else None
        joined = theirs is not None and await leg.re_invite(theirs) is not None
        event = LegEvent.BRIDGED if joined else LegEvent.BRIDGE_FAILED
        self._events.put_nowait(Told(attempt, event))

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
