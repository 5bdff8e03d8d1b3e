"""Sums up what has ended: claims, has a summary made outside of any transaction, stores what follows."""

import asyncio
import logging
from collections.abc import Callable

from gateway.crash import reach
from gateway.domain.agent import AgentFailed
from gateway.domain.conversation import Conversation
from gateway.domain.crash_point import CrashPoint
from gateway.domain.errors import Unavailable
from gateway.domain.ports.store import Store
from gateway.domain.send_rules import ATTEMPTS
from gateway.domain.summary import Summarise, Summary, Transcript
from gateway.domain.usage import Meter
from gateway.service.closings import Closing, claim_closings, finish_closing, postpone_closing, transcript_of
from gateway.service.summarise import extractive_summary
from gateway.telemetry import SUMMARIES

SUMMARY_SECONDS = 40.0
"""Of one summary; its claim lasts longer."""
WAITS = (60, 600, 3600, 4 * 3600)
"""Seconds after the first, second … summary that failed; after the last the conversation is quoted."""

_log = logging.getLogger(__name__)


def _no_meter(_: Conversation) -> None:
    return None


class Closer:
    """Works off the conversations that have ended; any number may run at once."""

    def __init__(
        self,
        store: Store,
        summarise: Summarise = extractive_summary,
        meter: Callable[[Conversation], Meter | None] = _no_meter,
    ) -> None:
        """`meter`: what counts the cost of a conversation's summary."""
        self._store = store
        self._summarise = summarise
        self._meter = meter

    async def look(self) -> int:
        """Sum up whatever is due; how many conversations."""
        finished = 0
        while claimed := await self._store.write(claim_closings):
            # at once: a model that is slow with one must not outlast the claims of the others
            outcomes = await asyncio.gather(*map(self._sum_up, claimed), return_exceptions=True)
            for outcome in outcomes:
                if isinstance(outcome, BaseException):
                    raise outcome
                finished += outcome
        return finished

    async def _sum_up(self, closing: Closing) -> bool:
        reach(CrashPoint.CLOSING_CLAIMED)
        transcript = await self._read(closing)
        summary = None
        # what has killed its worker so often is closed without a summary: the rest does not depend on it
        if transcript is not None and not transcript.erased and closing.attempt <= ATTEMPTS:
            try:
                summary = await self._summary(transcript)
            except AgentFailed as failed:
                _told(closing, failed)
                if closing.attempt < ATTEMPTS:
                    SUMMARIES.labels("failed").inc()
                    await self._store.write(postpone_closing, closing, WAITS[closing.attempt - 1])
                    return False
                SUMMARIES.labels("quoted").inc()
                summary = await extractive_summary(transcript)
            else:
                SUMMARIES.labels("made").inc()
        reach(CrashPoint.CLOSING_SUMMED_UP)
        meter = None if transcript is None else self._meter(transcript.conversation)
        finished = await self._store.write(finish_closing, closing, transcript, summary, meter)
        reach(CrashPoint.CLOSING_FINISHED)
        return finished

    async def _read(self, closing: Closing) -> Transcript | None:
        """What there is to sum up; nothing of what could not be read so often."""
        try:
            return await self._store.read(transcript_of, closing)
        except Unavailable:
            raise
        except Exception:
            if closing.attempt <= ATTEMPTS:
                raise
            return None

    async def _summary(self, transcript: Transcript) -> Summary | None:
        try:
            async with asyncio.timeout(SUMMARY_SECONDS):
                return await self._summarise(transcript)
        except TimeoutError:
            raise AgentFailed(f"no summary within {SUMMARY_SECONDS:.0f} s") from None


def _told(closing: Closing, failed: AgentFailed) -> None:
    _log.warning(
        "a conversation was not summed up by its model",
        extra={
            "action": "summary.failed",
            "conversation_id": closing.conversation_id,
            "attempt": closing.attempt,
            "reason": failed.reason,
        },
    )
