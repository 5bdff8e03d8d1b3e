"""Wakes other processes after a commit, by PostgreSQL's NOTIFY, each way on a connection of its own.

The NOTIFY is not part of the unit's transaction: PostgreSQL lets transactions that notify commit only one
after the other. A process that dies between the commit and the NOTIFY has told nobody, which the
listeners' own timers make good.
"""

import asyncio
import logging
from typing import Any

from gateway.domain.ports.store import Wake
from gateway.store.engine import Wakes
from gateway.store.postgres_connection import DRIVER_ERRORS, connect

_log = logging.getLogger(__name__)

PROBE_SECONDS = 15.0
"""How often a silent connection is asked whether it still lives."""
BURST_SECONDS = 0.025
"""How long commits right after a NOTIFY wait for the next one."""
_TELL_SECONDS = 5.0
_CHANNELS = {f"gateway_{wake.value}": wake for wake in Wake}


class WakeTeller:
    """Notifies `gateway_<wake>` soon; what comes while a NOTIFY is on its way is told with the next."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._due: set[Wake] = set()
        self._task: asyncio.Task[None] | None = None
        self._connection: Any = None

    def tell(self, wakes: set[Wake]) -> None:
        """A unit with these wakes has committed."""
        if not wakes:
            return
        self._due |= wakes
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._send(), name="postgres-notify")

    async def close(self) -> None:
        """Tell what is due, then close the connection."""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=_TELL_SECONDS)
            self._task.cancel()
        self._hang_up()

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def _send(self) -> None:
        while self._due:
            due, self._due = self._due, set()
            try:
                async with asyncio.timeout(_TELL_SECONDS):
                    if self._connection is None or self._connection.is_closed():
                        self._connection = await connect(self._url, "gateway notify")
                    # one script, one round trip
                    await self._connection.execute(";".join(f"NOTIFY gateway_{wake.value}" for wake in due))
            except DRIVER_ERRORS as error:
                _log.warning("other processes could not be woken (%s)", type(error).__name__)
                self._hang_up()
            await asyncio.sleep(BURST_SECONDS)


class WakeListener:
    """Keeps one connection listening on `gateway_<wake>` and fires `wakes`.

    It reconnects by itself and then fires every wake once, for what was missed meanwhile.
    """

    def __init__(self, url: str, wakes: Wakes) -> None:
        self._url = url
        self._wakes = wakes
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to listen, once."""
        if self._task is None:
            self._task = asyncio.create_task(self._keep_listening(), name="postgres-wakes")

    async def close(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _keep_listening(self) -> None:
        pause = 0.1
        while True:
            started = asyncio.get_running_loop().time()
            try:
                await self._listen()
            except DRIVER_ERRORS as error:
                _log.warning("wake-up connection lost (%s), reconnecting", type(error).__name__)
            if asyncio.get_running_loop().time() - started > PROBE_SECONDS:
                pause = 0.1
            await asyncio.sleep(pause)
            pause = min(pause * 2, 5.0)

    async def _listen(self) -> None:
        connection = await connect(self._url, "gateway wakes")
        try:
            lost = asyncio.Event()
            connection.add_termination_listener(lambda _connection: lost.set())
            for channel in _CHANNELS:
                await connection.add_listener(channel, self._heard)
            self._wakes.fire(Wake)
            while not lost.is_set():
                try:
                    async with asyncio.timeout(PROBE_SECONDS):
                        await lost.wait()
                except TimeoutError:
                    await connection.fetchval("SELECT 1")
        finally:
            connection.terminate()

    def _heard(self, _connection: Any, _pid: int, channel: str, _payload: object) -> None:
        self._wakes.fire([_CHANNELS[channel]])
