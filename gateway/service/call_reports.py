"""The `CallReports` port, over the store."""

import logging

from gateway.domain.outgoing_call import AnsweredReport, CallReport, Command, Recording, Standing
from gateway.domain.ports.store import Store
from gateway.service.call_progress import RulesOf, note_answered_by, report_call
from gateway.service.dial import obeyed
from gateway.service.recordings import record_call
from gateway.telemetry import CALLS_DOUBLED, CALLS_MADE

_log = logging.getLogger(__name__)


class StoredCallReports:
    """What providers say about calls, stored."""

    def __init__(self, store: Store, rules_of: RulesOf, *, organization_id: str, partitions: int) -> None:
        self._store = store
        self._rules_of = rules_of
        self._organization_id = organization_id
        self._partitions = partitions

    async def progress(self, report: CallReport) -> Standing:
        """A call of ours has come so far."""
        standing = await self._store.write(
            report_call, self._organization_id, report, self._rules_of, self._partitions
        )
        # not in the unit, which may run again
        if standing.news:
            CALLS_MADE.labels(report.state.value).inc()
        if standing.doubled:
            CALLS_DOUBLED.labels(report.provider).inc()
            _log.warning(
                "a call was made twice; the second one is let go",
                extra={
                    "action": "call.doubled",
                    "conversation_id": report.conversation_id,
                    "call_sid": report.call_id,
                },
            )
        return standing

    async def answered_by(self, report: AnsweredReport) -> None:
        """Machine detection has come to a result."""
        await self._store.write(
            note_answered_by, self._organization_id, report, self._rules_of, self._partitions
        )

    async def leaves_message(self, conversation_id: str, call_id: str) -> None:
        """A call has come to where a machine is left its message."""
        await self._store.write(obeyed, conversation_id, call_id, Command.LEAVE_MESSAGE)

    async def recorded(self, recording: Recording) -> None:
        """A recording can be fetched."""
        await self._store.write(record_call, self._organization_id, recording)
