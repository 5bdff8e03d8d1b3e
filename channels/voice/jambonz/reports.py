"""What the conversation is told of a transfer over jambonz."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from channels.voice.host.outcomes import Outcome
from channels.voice.jambonz.transfer import Transfer
from channels.voice.parties import Parties
from gateway.domain.clock import Clock
from gateway.domain.errors import GatewayError
from gateway.domain.message import InboundMessage
from gateway.domain.ports.ingress import Accept

REPORTS = 5
"""Tries to record a transfer while the database is away."""
REPORT_SECONDS = 1.0
"""Between two of them."""


class TransferReports:
    """The reports of one call."""

    def __init__(self, accept: Accept, parties: Parties, clock: Clock) -> None:
        self._accept = accept
        self._parties = parties
        self._clock = clock
        self._left: list[InboundMessage] | None = None

    def caller_left(self) -> Sequence[InboundMessage]:
        """From now on nothing is stored here: what there is to report comes to stand in this list."""
        self._left = []
        return self._left

    async def ended(self, transfer: Transfer, outcome: Outcome) -> bool:
        """How it has ended; whether that could be recorded."""
        message = self._parties.outcome(
            f"{transfer.name}:dialed", transfer.intent_id, outcome.fields(), self._clock.now()
        )
        if self._left is not None:
            self._left.append(message)
            return True
        for _ in range(REPORTS):
            if await self._tell(message):
                return True
            await asyncio.sleep(REPORT_SECONDS)
        return False

    async def downgraded(self, transfer: Transfer, field: str, substitute: str) -> None:
        """Something was asked for that cannot be done exactly so."""
        await self._tell(self._parties.downgraded(transfer.name, field, substitute, self._clock.now()))

    async def _tell(self, message: InboundMessage) -> bool:
        with suppress(GatewayError):
            await self._accept(message)
            return True
        return False
