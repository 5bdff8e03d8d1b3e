"""Looks whether a day's caps are reached, or in force no longer, and says so in the log."""

import logging
from collections.abc import Callable

from gateway.domain.ports.store import Store
from gateway.domain.usage import Cap, Caps
from gateway.service.usage import apply_caps

LOOK_SECONDS = 2
"""At the turn of the day what has waited goes on within so many seconds."""

_log = logging.getLogger(__name__)


class CapsWatch:
    """Applies the caps in force."""

    def __init__(self, store: Store, caps: Callable[[], Caps], partitions: int) -> None:
        self._store = store
        self._caps = caps
        self._partitions = partitions
        self._known: frozenset[Cap] = frozenset()

    async def look(self) -> None:
        """One look; what was reached since the last one is logged, whoever found it."""
        applied = await self._store.write(apply_caps, self._caps(), self._partitions)
        for cap in applied.lifted:
            _log.warning(
                "a daily cap is in force no longer: what waited goes on",
                extra={"action": "cap.lifted", "cap": cap.value},
            )
        for cap in sorted(applied.in_force - self._known):
            _log.warning(
                "a daily cap is reached: what it stops waits for the next day; see gateway doctor",
                extra={"action": "cap.reached", "cap": cap.value},
            )
        self._known = applied.in_force
