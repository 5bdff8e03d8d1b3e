"""The agents that are answering in this process, so that one whose turn is over can be stopped.

A turn ends under its agent when its conversation is taken over, closed, or spoken over by a caller. Only the
database knows; it is asked when the conversation's bell rings meanwhile, as it does when there is new input.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from gateway.domain.errors import Fenced, Unavailable
from gateway.domain.ports.store import Store, Tx
from gateway.domain.turn import LeaseRef


async def still_held(tx: Tx, lease: LeaseRef) -> bool:
    """Whether a lease is in force: nobody has taken, stopped or ended its turn."""
    row = await tx.one(
        "conversation_held", id=lease.conversation_id, worker_id=lease.worker_id, fence=lease.fence
    )
    return row is not None


@dataclass(slots=True)
class _Answering:
    lease: LeaseRef
    scope: asyncio.Timeout
    over: bool = False


class Asked:
    """By conversation: at most one is asked at a time."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._answering: dict[str, _Answering] = {}
        self._looks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def stoppable(self, lease: LeaseRef) -> AsyncIterator[None]:
        """Raises Fenced as soon as this process learns that the lease is not in force any more."""
        answering = _Answering(lease, asyncio.timeout(None))
        self._answering[lease.conversation_id] = answering
        try:
            async with answering.scope:
                yield
        except TimeoutError:
            if answering.over:
                raise Fenced(lease.conversation_id) from None
            raise
        finally:
            del self._answering[lease.conversation_id]

    def rung(self, conversation_id: str) -> None:
        """A conversation's bell: maybe because the turn that is being answered is over."""
        answering = self._answering.get(conversation_id)
        if answering is not None:
            look = asyncio.create_task(self._look(answering))
            self._looks.add(look)
            look.add_done_callback(self._looks.discard)

    async def _look(self, answering: _Answering) -> None:
        with suppress(Unavailable):
            held = await self._store.read(still_held, answering.lease)
            if not held and self._answering.get(answering.lease.conversation_id) is answering:
                answering.over = True
                answering.scope.reschedule(asyncio.get_running_loop().time())
