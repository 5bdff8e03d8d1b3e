"""Sums up what has ended: claims, has a summary made outside of any transaction, stores what follows."""

from gateway.crash import reach
from gateway.domain.crash_point import CrashPoint
from gateway.domain.ports.store import Store
from gateway.domain.send_rules import ATTEMPTS
from gateway.domain.summary import Summarise
from gateway.service.closings import Closing, claim_closings, finish_closing, transcript_of


class Closer:
    """Works off the conversations that have ended; any number may run at once."""

    def __init__(self, store: Store, summarise: Summarise) -> None:
        self._store = store
        self._summarise = summarise

    async def look(self) -> int:
        """Sum up whatever is due; how many conversations."""
        finished = 0
        while claimed := await self._store.write(claim_closings):
            for closing in claimed:
                finished += await self._sum_up(closing)
        return finished

    async def _sum_up(self, closing: Closing) -> bool:
        reach(CrashPoint.CLOSING_CLAIMED)
        transcript = await self._store.read(transcript_of, closing)
        summary = None
        # what has failed so often is closed without a summary: the rest does not depend on it
        if transcript is not None and closing.attempt <= ATTEMPTS:
            summary = await self._summarise(transcript)
        reach(CrashPoint.CLOSING_SUMMED_UP)
        finished = await self._store.write(finish_closing, closing, transcript, summary)
        reach(CrashPoint.CLOSING_FINISHED)
        return finished
