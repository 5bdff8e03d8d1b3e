"""Drives warm transfers of held calls: an event is stored, then what follows from it is done.

Whatever is killed, the row tells the next process what is left. A person is called only by who has taken that
work, and never again for the same attempt; hanging up, calling the caller back from where nobody comes and
the transcript's notes may be done twice.
"""

import asyncio
import logging
from collections.abc import Coroutine

from gateway.domain.clock import Clock
from gateway.domain.errors import GatewayError, Unavailable
from gateway.domain.outcome import TransferReason
from gateway.domain.ports.ingress import Accept
from gateway.domain.ports.store import Store
from gateway.domain.ports.warm import Legs
from gateway.domain.warm.held import HeldCall, HeldEvent, NewTransfer
from gateway.domain.warm.words import CallerGone, Dial, Leg, LegEvent, Tick
from gateway.domain.warm.work import Done
from gateway.service.warm_transfers import (
    begin_transfer,
    due_transfers,
    find_transfer,
    give_up_unread,
    settle_work,
    take_event,
    transfer_of_call,
)

log = logging.getLogger(__name__)


class WarmDriver:
    """The `WarmTransfers` port, over the store and the calls to persons."""

    def __init__(self, store: Store, accept: Accept, legs: Legs, clock: Clock, organization_id: str) -> None:
        self._store = store
        self._accept = accept
        self._legs = legs
        self._clock = clock
        self._organization_id = organization_id
        self._calling: set[asyncio.Task[None]] = set()

    async def begin(self, new: NewTransfer) -> HeldCall | None:
        """The caller is on hold from now on."""
        held = await self._store.write(begin_transfer, new, self._organization_id)
        return held and await self._go_on(held)

    async def happened(
        self, transfer_id: str, event: HeldEvent, leg_id: str | None = None
    ) -> HeldCall | None:
        """Take in an event, and see that what follows is done.

        A leg of a transfer that is no more, as its conversation was deleted, is hung up on.
        """
        held = await self._store.write(take_event, transfer_id, event, leg_id)
        if held is not None:
            return await self._go_on(held)
        if leg_id is not None and isinstance(event, Leg) and event.live:
            self._begin(self._let_go(leg_id))
        return None

    async def find(self, transfer_id: str) -> HeldCall | None:
        """A transfer as it stands."""
        return await self._store.read(find_transfer, transfer_id)

    async def of_call(self, provider: str, call_id: str) -> HeldCall | None:
        """The newest transfer of a call."""
        return await self._store.read(transfer_of_call, provider, call_id)

    async def look(self) -> None:
        """Timers: what has come due, and what a process has left undone."""
        for transfer_id in await self._store.read(due_transfers):
            unread = await self.happened(transfer_id, Tick()) is None
            if unread and await self._store.write(give_up_unread, transfer_id):
                extra = {"action": "transfer.lost", "transfer_id": transfer_id}
                log.error("a transfer cannot be read", extra=extra)

    async def close(self) -> None:
        """Wait for the requests that are under way; each ends by itself."""
        while self._calling:
            await asyncio.wait(self._calling)

    async def _go_on(self, held: HeldCall) -> HeldCall:
        """The transcript is told at once, so that who asks next finds the conversation as it should be."""
        if not held.busy:
            return held
        noted = await self._note(held)
        if held.calls:
            self._begin(self._call(held, noted=noted))
        elif noted:
            await self._store.write(settle_work, held, Done(noted=True))
        return held

    async def _note(self, held: HeldCall) -> bool:
        """Whether nothing is left to note; nothing is where it never can be: the number is no more ours."""
        try:
            for note in held.notes(self._clock.now()):
                await self._accept(note)
        except Unavailable as error:
            _undone(held, error)
            return False
        except GatewayError as error:
            extra = {"action": "transfer.unnoted", "transfer_id": held.id, "code": error.code.value}
            log.warning("what became of a transfer has no transcript to be noted in", extra=extra)
        return True

    async def _call(self, held: HeldCall, *, noted: bool) -> None:
        recalled = held.recall is not None and await self._legs.recall(held, held.recall)
        hung_up = {one.attempt for one in held.hang_ups if await self._hang_up(held, one.attempt, one.after)}
        done = Done(noted=noted, recalled=recalled, hung_up=frozenset(hung_up))
        try:
            if await self._store.write(settle_work, held, done):
                extra = {"action": "transfer.given_up", "transfer_id": held.id}
                log.error("a call of a transfer has not taken what it was told for a day", extra=extra)
        except GatewayError as error:
            _undone(held, error)
        await self._dial_all(held)

    async def _hang_up(self, held: HeldCall, attempt: int, after: str | None) -> bool:
        """One whose id is not known is hung up on as soon as that is."""
        leg_id = held.legs.get(attempt)
        if leg_id is None:
            return True
        if after is None:
            return await self._legs.hang_up(leg_id)
        return await self._legs.part(held, leg_id, after)

    async def _let_go(self, leg_id: str) -> None:
        await self._legs.hang_up(leg_id)

    async def _dial_all(self, held: HeldCall) -> None:
        for dial in held.dials:
            try:
                await self._dial(held, dial)
            except GatewayError as error:
                _undone(held, error)

    async def _dial(self, held: HeldCall, dial: Dial) -> None:
        """Where it stays unknown what became of the request, its callbacks tell, or the time runs out.

        Some time has gone by before another person is called: nobody is for a caller who has left.
        """
        if dial.attempt > 1 and await self._legs.caller_left(held):
            await self.happened(held.id, CallerGone())
            return
        dialled = await self._legs.dial(held, dial)
        if isinstance(dialled, TransferReason):
            await self.happened(held.id, Leg(dial.attempt, LegEvent.FAILED, dialled))
        elif dialled is not None:
            await self.happened(held.id, Leg(dial.attempt, LegEvent.RINGING), dialled)

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._calling.add(task)
        task.add_done_callback(self._calling.discard)


def _undone(held: HeldCall, error: GatewayError) -> None:
    """It is done again by whoever looks next."""
    extra = {"action": "transfer.undone", "transfer_id": held.id, "code": error.code.value}
    log.warning("a part of a transfer is left for later", extra=extra)
