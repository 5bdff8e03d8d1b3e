"""Makes the calls that the gateway begins: what is due of a call is claimed, and its provider is asked.

Claim, dial, record (rule 4), fenced by time as every POST is: it starts within 3 s of its claim and ends
within 15 s, and an attempt of unknown outcome is looked for no sooner than 20 s after its claim.
"""

import logging
from collections.abc import Callable
from dataclasses import replace

from gateway.crash import reach
from gateway.domain.clock import SECOND
from gateway.domain.crash_point import CrashPoint
from gateway.domain.delivery import Failure, OutcomeUnknown, Refused, SendOutcome, Taken
from gateway.domain.envelope import Envelope
from gateway.domain.errors import Fenced
from gateway.domain.outgoing_call import (
    LOOKED_FOR,
    LOST,
    UNKNOWN_AT_MOST,
    CallReport,
    CallState,
    Command,
    Found,
    OutgoingCall,
    Standing,
)
from gateway.domain.ports.bus import DONE, Verdict, dead, look_again
from gateway.domain.ports.calls import Caller, CallReports
from gateway.domain.ports.store import Store
from gateway.domain.send_rules import ATTEMPTS, backoff
from gateway.service.dial import CallTask, QuietOf, Task, claim_call, dial_again, fail_call, find_again, told
from gateway.telemetry import SENDS
from gateway.tracing import Kind, note, span
from workers.liveness import Liveness

START_WITHIN = 3.0
"""Seconds after its claim in which a call may be begun."""
POST_SECONDS = 12.0
"""How long a request may take."""
CallerOf = Callable[[OutgoingCall], Caller | None]
"""Who makes a call, or has made it; None where this gateway has nobody for it."""
NO_CALLER = "no_provider"
"""Why a call fails where no provider is configured that can make it."""

_log = logging.getLogger(__name__)


class CallWorker:
    """Consumes `deliveries.voice`."""

    def __init__(
        self,
        store: Store,
        caller_of: CallerOf,
        reports: CallReports,
        liveness: Liveness,
        quiet_of: QuietOf,
        partitions: int,
    ) -> None:
        self._store = store
        self._caller_of = caller_of
        self._reports = reports
        self._liveness = liveness
        self._quiet_of = quiet_of
        self._partitions = partitions
        self._clock = liveness.clock

    async def consume(self, envelope: Envelope) -> Verdict:
        """Do what is due about the call that rings."""
        organization_id, conversation_id = envelope.organization_id, envelope.conversation_id
        if envelope.type != "call.due" or organization_id is None or conversation_id is None:
            return dead(f"not a doorbell of a call: type {envelope.type!r}")
        try:
            self._liveness.check()
        except Fenced:
            return look_again("the lease was lost")
        began = self._clock.monotonic()
        task = await self._store.write(
            claim_call, organization_id, conversation_id, self._quiet_of, self._partitions
        )
        if task is not None:
            await self._do(task, began)
        return DONE

    async def _do(self, task: CallTask, began: float) -> None:
        call, caller = task.call, self._caller_of(task.call)
        if caller is None:
            await self._store.write(fail_call, call, NO_CALLER, self._partitions)
            if task.lost:
                await self._lose(call)
            return
        match task.task:
            case Task.DIAL:
                await self._dial(caller, call, began)
            case Task.FIND:
                await self._find(caller, call, task.now)
            case Task.LOOK:
                await self._look(caller, call, lost=task.lost)
            case Task.TELL if task.command is not None:
                await self._tell(caller, task, task.command, began)

    async def _dial(self, caller: Caller, call: OutgoingCall, began: float) -> None:
        """One attempt, in a span of its own."""
        with span(
            "dial",
            Kind.CLIENT,
            provider=caller.provider,
            conversation_id=call.conversation_id,
            attempt=call.attempt,
        ):
            if self._clock.monotonic() - began > START_WITHIN or not self._liveness.alive():
                outcome: SendOutcome = Refused(Failure.TRANSIENT, "not_sent")
            else:
                reach(CrashPoint.CALL_CLAIMED)
                outcome = await caller.dial(call, POST_SECONDS)
                reach(CrashPoint.CALL_DIALED)
            note(outcome=_name(outcome))
        SENDS.labels("voice", _name(outcome)).inc()
        match outcome:
            case Taken(call_id):
                await self._taken(caller, call, Found(call_id, CallState.INITIATED, "queued"))
            case Refused(Failure.TRANSIENT, code, wait):
                await self._store.write(
                    dial_again,
                    call,
                    delay_seconds=max(wait or 0.0, backoff(call.attempt)),
                    reason=code,
                    at_most=ATTEMPTS,
                    partitions=self._partitions,
                )
            case Refused(_, code):
                await self._store.write(fail_call, call, code, self._partitions)
            case OutcomeUnknown(reason):
                _log.warning(
                    "it is not known whether a call was begun; it is looked for",
                    extra={
                        "action": "call.unknown",
                        "conversation_id": call.conversation_id,
                        "reason": reason,
                    },
                )

    async def _find(self, caller: Caller, call: OutgoingCall, now: int) -> None:
        """An attempt whose outcome was not learnt."""
        age = (now - call.claimed_at) / SECOND
        found = await caller.find(call)
        if isinstance(found, Found):
            await self._taken(caller, call, found)
        elif isinstance(found, OutcomeUnknown):
            if age >= UNKNOWN_AT_MOST:
                await self._store.write(fail_call, call, "unknown", self._partitions)
        elif age >= LOOKED_FOR:
            await self._store.write(find_again, call, self._partitions)

    async def _look(self, caller: Caller, call: OutgoingCall, *, lost: bool) -> None:
        """Nothing was heard of a call for long; one that its provider does not know any more is over."""
        found = await caller.look(call.call_id or "")
        if isinstance(found, Found):
            await self._report(caller, call, found)
        elif found is None or lost:
            await self._lose(call)

    async def _lose(self, call: OutgoingCall) -> None:
        """Nobody will tell what became of a call that its provider had."""
        if call.call_id is None or call.provider is None:
            return
        _log.warning(
            "it stays unknown how a call has ended",
            extra={"action": "call.lost", "conversation_id": call.conversation_id},
        )
        await self._reports.progress(
            CallReport(
                provider=call.provider,
                call_id=call.call_id,
                conversation_id=call.conversation_id,
                state=CallState.FAILED,
                raw=LOST,
            )
        )

    async def _tell(self, caller: Caller, task: CallTask, command: Command, began: float) -> None:
        """What the provider cannot be told now it is told again, as long as the call is not over.

        A machine may have been left its message where nobody answers whether: that call says so itself.
        """
        call = task.call
        if self._clock.monotonic() - began > START_WITHIN:
            return  # somebody else may be at it before this would end
        outcome = await caller.tell(call, command, POST_SECONDS)
        if isinstance(outcome, Taken) or _final(outcome, command):
            await self._store.write(told, call, command)
        elif task.lost:
            await self._lose(call)
        if isinstance(outcome, Refused):
            _log.warning(
                "a call does not take a command",
                extra={
                    "action": "call.refused",
                    "conversation_id": call.conversation_id,
                    "command": command,
                    "reason": outcome.code,
                },
            )

    async def _taken(self, caller: Caller, call: OutgoingCall, found: Found) -> None:
        """The provider has the call; one that is a second one is let go at once."""
        standing = await self._report(caller, call, found)
        if not standing.ours:
            second = replace(call, call_id=found.call_id)
            await caller.tell(second, Command.HANG_UP, POST_SECONDS)

    async def _report(self, caller: Caller, call: OutgoingCall, found: Found) -> Standing:
        return await self._reports.progress(
            CallReport(
                provider=caller.provider,
                call_id=found.call_id,
                conversation_id=call.conversation_id,
                state=found.state,
                raw=found.raw,
            )
        )


def _final(outcome: SendOutcome, command: Command) -> bool:
    """Whether it would be refused for ever: no fault of our account is; and who is to be let go is."""
    again = (Failure.TRANSIENT, Failure.CONFIGURATION)
    return command is not Command.HANG_UP and isinstance(outcome, Refused) and outcome.failure not in again


def _name(outcome: SendOutcome) -> str:
    match outcome:
        case Taken():
            return "taken"
        case Refused(failure):
            return failure.value
        case OutcomeUnknown():
            return "unknown"
