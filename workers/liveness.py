"""Whether this process may still act on its leases: one row per worker, renewed every 3 s, 10 s long.

The database's clock says when others may take over; the monotonic clock here says when to stop
believing: 6 s after the last renewal that succeeded *began*, nothing new is started.
"""

import asyncio
import logging
import socket
from contextlib import suppress

from gateway.domain.clock import SECOND, Clock
from gateway.domain.errors import Fenced, Unavailable
from gateway.domain.ids import new_id
from gateway.domain.ports.store import Store, Tx
from gateway.log import place_of

LIFETIME_SECONDS = 10
RENEW_SECONDS = 3.0
TRUST_SECONDS = 6.0
_RETRY_SECONDS = 0.5

_log = logging.getLogger(__name__)


async def renew(tx: Tx, worker_id: str, roles: str, host: str) -> None:
    """Be alive for another ten seconds, by the database's clock."""
    await tx.run("worker_renew", id=worker_id, roles=roles, host=host, lifetime=LIFETIME_SECONDS * SECOND)


async def leave(tx: Tx, worker_id: str) -> None:
    """Let every lease of this worker go at once."""
    await tx.run("worker_leave", id=worker_id)


class Liveness:
    """The row of this process, renewed until `stop`."""

    def __init__(self, store: Store, clock: Clock, *, roles: str) -> None:
        self.worker_id = new_id()
        self.clock = clock
        self._store = store
        self._roles = roles
        self._host = socket.gethostname()
        self._believed_from = float("-inf")
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Make the row, then keep it. Raises Unavailable when the database does not answer."""
        await self._renew()
        self._task = asyncio.create_task(self._keep(), name="liveness")

    async def stop(self) -> None:
        """Stop renewing and let all leases go."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        with suppress(Unavailable):
            await self._store.write(leave, self.worker_id)

    def alive(self) -> bool:
        """Whether something new may be started."""
        return self.clock.monotonic() - self._believed_from < TRUST_SECONDS

    def check(self) -> None:
        """Raise Fenced when our leases may be another's by now."""
        if not self.alive():
            raise Fenced("the lease was not renewed in time")

    async def _renew(self) -> None:
        began = self.clock.monotonic()
        await self._store.write(renew, self.worker_id, self._roles, self._host)
        self._believed_from = began

    async def _keep(self) -> None:
        while True:
            # from the last renewal on, not from now: a start, or a busy loop, may have taken its time already
            due = self._believed_from + RENEW_SECONDS
            await asyncio.sleep(max(0.0, due - self.clock.monotonic()))
            try:
                async with asyncio.timeout(RENEW_SECONDS):
                    await self._renew()
            except (Unavailable, TimeoutError) as error:
                _log.warning(
                    "the worker's lease could not be renewed",
                    extra={"action": "liveness.failed", "reason": str(error) or "no answer"},
                )
                await asyncio.sleep(_RETRY_SECONDS)
            except Exception as error:  # a fault of ours, after which nobody would begin anew
                _log.error(
                    "the worker's lease could not be renewed",
                    extra={"action": "liveness.broken", "error": type(error).__name__, "at": place_of(error)},
                )
                await asyncio.sleep(_RETRY_SECONDS)
