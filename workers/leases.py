"""Leases of a living worker under which nobody works: the work broke off, and its bell may never come again.

Nobody else may take such a lease, because its worker lives, and no timer rings for it. So a worker whose
work broke off (the database was away, a fault of ours) looks which leases it still holds, and lets go of
those under which it does not work: then the timers find what they are of.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Generic, TypeVar

from gateway.domain.ports.store import Store, Tx
from workers.bells import Bells

LOOK_SECONDS = 5.0
"""How often a worker looks whether work has broken off."""
AT_ONCE = 10_000
"""Leases that one look may find: more than a worker works under at once."""

R = TypeVar("R")


class Leases(Generic[R]):
    """Those of one worker, on places of one kind."""

    def __init__(
        self,
        store: Store,
        bells: Bells,
        worker_id: str,
        held: Callable[[Tx, str, int], Awaitable[Mapping[str, R]]],
        let_go: Callable[[Tx, R], Awaitable[None]],
    ) -> None:
        """`held`: the unit that reads a worker's leases by their places; `let_go`: the one that ends one."""
        self._store = store
        self._bells = bells
        self._worker_id = worker_id
        self._held = held
        self._let_go = let_go

    async def look(self) -> None:
        """Let go what nobody works under. Raises Unavailable; the next look tries it again.

        Work that is begun meanwhile raises the fencing number, or is seen here: it keeps its lease.
        """
        if not self._bells.broke_off:
            return
        self._bells.broke_off = False
        done = False
        try:
            held = await self._store.read(self._held, self._worker_id, AT_ONCE)
            for place, lease in held.items():
                if not self._bells.at_work(place):
                    await self._store.write(self._let_go, lease)
            done = len(held) < AT_ONCE
        finally:
            if not done:
                self._bells.broke_off = True
