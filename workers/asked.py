"""The agents that are answering in this process, so that one whose turn is over can be stopped.

A turn ends under its agent when its conversation is taken over, closed, or spoken over by a caller. Only the
database knows; it is asked when the conversation's bell rings meanwhile, as it does when there is new input.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from gateway.domain.errors import Fenced, Unavailable
from gateway.domain.ports.store import Store, Tx
from gateway.domain.turn import LeaseRef
from workers.stoppable import Stoppable


async def still_held(tx: Tx, lease: LeaseRef) -> bool:
    """Whether a lease is in force: nobody has taken, stopped or ended its turn."""
    row = await tx.one(
        "conversation_held", id=lease.conversation_id, worker_id=lease.worker_id, fence=lease.fence
    )
    return row is not None


@dataclass(frozen=True, slots=True)
class _Answering:
    lease: LeaseRef
    work: Stoppable


class Asked:
    """By conversation: at most one is asked at a time."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._answering: dict[str, _Answering] = {}
        self._looks: set[asyncio.Task[None]] = set()

    @contextmanager
    def under(self, lease: LeaseRef, work: Stoppable) -> Iterator[None]:
        """Stop the work, which the block does, as soon as this process learns that the lease is not in force.

        It raises Fenced then.
        """
        self._answering[lease.conversation_id] = _Answering(lease, work)
        try:
            yield
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
                answering.work.stop(Fenced(answering.lease.conversation_id))
