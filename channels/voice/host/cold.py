"""A cold transfer by REFER (RFC 3515): asked of the caller's own side, which reports what came of it."""

import asyncio
from typing import Any

from channels.voice.host.leg import Leg
from channels.voice.host.outcomes import Outcome
from gateway.domain.outcome import TransferReason, TransferState

NOTIFY_SECONDS = 32.0
"""How long a side that accepted a REFER may keep silent about it."""


class ColdTransfer:
    """One transfer of one caller."""

    def __init__(self, caller: Leg, *, notify_seconds: float = NOTIFY_SECONDS) -> None:
        self._caller = caller
        self._notify_seconds = notify_seconds
        self._told: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

    def notified(self, status: int) -> None:
        """The caller's side says how the new call goes; what is provisional is nothing yet."""
        if status >= 200 and not self._told.done():
            self._told.set_result(status)

    def caller_gone(self) -> None:
        """The caller's side has ended this call: with a REFER accepted that is what follows a success."""
        if not self._told.done():
            self._told.set_result(None)

    async def run(self, uri: str) -> Outcome:
        """How it ended."""
        self._caller.happenings.notified = self.notified
        asked = asyncio.create_task(self._caller.refer(uri))
        either: set[asyncio.Future[Any]] = {asked, self._told}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not asked.done() and self._told.result() is None:
            asked.cancel()
            return Outcome(TransferState.CALLER_ABANDONED)
        response = await asked
        if response.status >= 300:
            reason = TransferReason.REFER_REJECTED
            return Outcome(TransferState.FAILED, reason, sip_code=response.status, method="refer")
        try:
            status = await asyncio.wait_for(self._told, self._notify_seconds)
        except TimeoutError:
            status = None
        if status is None:
            return Outcome(TransferState.TRANSFER_PRESUMED, method="refer")
        if status >= 300:
            reason = TransferReason.REFER_TARGET_FAILED
            return Outcome(TransferState.FAILED, reason, sip_code=status, method="refer")
        return Outcome(TransferState.TRANSFERRED, sip_code=status, method="refer")
