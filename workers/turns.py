"""Turn workers: a doorbell rings, the lease is taken, all pending input is answered in order.

The agent runs outside any transaction; its deltas go straight to whoever listens. What it says
is committed under the fencing number, so that a worker that was too slow commits nothing.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, aclosing, closing, suppress
from dataclasses import dataclass, replace

from gateway.crash import reach
from gateway.domain.agent import AgentFailed
from gateway.domain.conversation import Conversation
from gateway.domain.crash_point import CrashPoint
from gateway.domain.envelope import Envelope
from gateway.domain.errors import Braked, ErrorCode, Fenced, Unavailable
from gateway.domain.ports.bus import DONE, RetryStep, Verdict, dead, look_again
from gateway.domain.ports.store import Store
from gateway.domain.reply import ReplyDraft
from gateway.domain.send_rules import ATTEMPTS, backoff
from gateway.domain.served_agent import ServedAgent
from gateway.domain.steps import AgentStep, Digest, Embedded, Fact, PolicyApplied, Progress
from gateway.domain.turn import Claim, NotNow, Path, Reply
from gateway.domain.turn_rules import TurnRules
from gateway.service.brake import set_aside
from gateway.service.claim import claim_turn, held_turns, next_turn, release
from gateway.service.hold_caller import hold_caller
from gateway.service.progress import keep_progress
from gateway.service.reply_files import ReplyFiles
from gateway.service.respond import Finished, finish_turn
from gateway.service.turn_failure import fail_turn, postpone_turn
from gateway.telemetry import TURN_SECONDS, TURNS, TURNS_BRAKED
from gateway.tracing import Kind, note, span
from workers.asked import Asked
from workers.audience import Audience, Showing
from workers.bells import Bells, SeenTo
from workers.brakes import Brakes
from workers.leases import Leases
from workers.liveness import Liveness
from workers.stoppable import Stoppable

KINDS = frozenset({"message.inbound", "turn.due"})

_STEP = {step.seconds: step for step in RetryStep}
_VERDICTS = {
    NotNow.ANSWERED: DONE,
    NotNow.NO_TURNS: DONE,
    NotNow.BRAKED: DONE,
    NotNow.LEASED: look_again("another worker has the conversation"),
    NotNow.NOT_DUE: DONE,  # a bell for then is on its way, or a timer rings
}
_log = logging.getLogger(__name__)


class _AgainLaterError(Exception):
    """The turn's attempt failed; it is due again after a step."""

    def __init__(self, step: RetryStep) -> None:
        self.step = step


@dataclass(frozen=True, slots=True)
class TurnLimits:
    """What bounds and places a turn."""

    turn_timeout: float
    """Seconds an agent may take."""
    partitions: int
    """Turn queues."""
    files: ReplyFiles
    """Keeps what an agent attaches."""
    rules: Callable[[Conversation], TurnRules]
    """What is configured for where a turn takes place."""


class TurnWorker:
    """Consumes the turn queues."""

    def __init__(
        self,
        store: Store,
        audience: Audience,
        agents: Callable[[Conversation], Awaitable[ServedAgent | None]],
        liveness: Liveness,
        brakes: Brakes,
        limits: TurnLimits,
    ) -> None:
        """`agents`: who answers a conversation, at the revision it is pinned to; may raise AgentFailed."""
        self._store = store
        self._audience = audience
        self._agents = agents
        self._liveness = liveness
        self._clock = liveness.clock
        self._brakes = brakes
        self._turn_timeout = limits.turn_timeout
        self._partitions = limits.partitions
        self._rules = limits.rules
        self._files = limits.files
        self._bells = Bells()
        self.leases = Leases(store, self._bells, liveness.worker_id, held_turns, release)
        self._answered = SeenTo()
        """Inputs."""
        self._asked = Asked(store)

    async def consume(self, envelope: Envelope) -> Verdict:
        """Answer everything that is pending in the conversation that rings."""
        conversation_id = envelope.conversation_id
        if envelope.type not in KINDS or conversation_id is None:
            return dead(f"not a doorbell of a conversation: type {envelope.type!r}")
        told = envelope.data.get("message_id") if envelope.type == "message.inbound" else None
        return await self._answered.unless(told, lambda: self._rung(conversation_id))

    async def _rung(self, conversation_id: str) -> Verdict:
        self._asked.rung(conversation_id)
        try:
            return await self._bells.answer(conversation_id, self._answer)
        except Fenced:
            return look_again("the lease was lost")

    async def _answer(self, conversation_id: str) -> Verdict:
        claim = await self._claim(conversation_id)
        while isinstance(claim, Claim):
            try:
                more = await self._run(claim)
            except _AgainLaterError as later:
                return look_again("the agent failed", later.step)
            except Fenced:
                claim = await self._claim(conversation_id)  # what is pending now need not wait
            except Braked:
                await self._set_aside(claim)
                claim = await self._claim(conversation_id)  # what waits behind it is told, too
            else:
                claim = await self._next(claim) if more else NotNow.ANSWERED
        if claim is NotNow.BRAKED:
            TURNS_BRAKED.inc()
            await self._store.write(hold_caller, conversation_id, lambda c: self._rules(c).fallbacks.hold)
        return _VERDICTS[claim]

    async def _claim(self, conversation_id: str) -> Claim | NotNow:
        self._liveness.check()
        return await self._store.write(claim_turn, conversation_id, self._liveness.worker_id)

    async def _set_aside(self, claim: Claim) -> None:
        """Paused meanwhile: whoever waits is told that it is queued."""
        await self._store.write(set_aside, claim.lease)
        TURNS.labels(claim.conversation.channel, "set_aside").inc()
        await self._audience.tell(claim)

    async def _next(self, claim: Claim) -> Claim | NotNow:
        self._liveness.check()
        return await self._store.write(next_turn, claim.lease)

    async def _run(self, claim: Claim) -> bool:
        """One turn; whether more is pending under the lease that is still held."""
        channel = claim.conversation.channel
        try:
            with TURN_SECONDS.labels(channel).time(), _traced(claim):
                finished = await self._finish(claim)
        except asyncio.CancelledError:
            with suppress(Unavailable):
                await asyncio.shield(self._store.write(release, claim.lease))
            raise
        except Fenced:
            TURNS.labels(channel, "superseded").inc()
            await self._audience.tell(claim)
            raise
        await self._audience.tell(claim)
        return finished.more

    async def _finish(self, claim: Claim) -> Finished:
        reach(CrashPoint.TURN_CLAIMED)
        if claim.shown and claim.tells_caller and claim.line is None:
            reason = "the reply was interrupted after part of it was shown"
            return await self._fail(claim, ErrorCode.TURN_INTERRUPTED, reason)
        if claim.attempt > ATTEMPTS:
            return await self._fail(claim, ErrorCode.AGENT_FAILED, "given up after five attempts")
        try:
            reply = await self._reply(claim)
        except TimeoutError:
            reason = f"the agent did not answer within {self._turn_timeout:.0f} s"
            return await self._failed(claim, ErrorCode.TURN_TIMEOUT, reason)
        except AgentFailed as failure:
            return await self._failed(claim, ErrorCode.AGENT_FAILED, failure.reason)
        reach(CrashPoint.TURN_ANSWERED)
        self._liveness.check()
        rules = self._rules(claim.conversation)
        self._bells.covered(claim.conversation.id)
        finished = await self._store.write(finish_turn, claim, reply, self._partitions, rules)
        reach(CrashPoint.TURN_COMMITTED)
        if reply.path is not Path.APPROVAL:
            self._answered.add(one.message_id for one in claim.inputs)
        TURNS.labels(claim.conversation.channel, reply.path).inc()
        note(path=reply.path.value, messages=len(reply.messages))
        return finished

    async def _reply(self, claim: Claim) -> Reply:
        """The whole reply; of one that comes to no end, what a caller was told is noted. As `_ask`."""
        with closing(self._audience.of(claim)) as showing:
            try:
                return await self._files.keep(await self._ask(claim, showing))
            except (TimeoutError, AgentFailed):
                await showing.keep()
                raise

    async def _ask(self, claim: Claim, showing: Showing) -> Reply:
        """Run the agent, show its deltas as they come. Raises AgentFailed, TimeoutError, Fenced, Braked."""
        started = self._clock.monotonic()
        served = await self._agents(claim.conversation)
        if served is None:
            raise AgentFailed("the conversation's agent is not configured any more")
        await self._audience.begin(claim)
        draft = ReplyDraft(
            claim.conversation.channel,
            served.transfers,
            started_at=started,
            said=claim.request.input_text,
        )
        agent_id = claim.conversation.assigned_agent_id
        work = Stoppable(self._turn_timeout)
        with (
            span("agent", Kind.CLIENT, agent_id=agent_id, messages=len(claim.request.messages)),
            self._brakes.obeyed(work, agent_id, claim.conversation.organization_id),
            self._asked.under(claim.lease, work),
        ):
            async with (
                work,
                aclosing(served.agent.answer(claim.request)) as events,  # type: ignore[type-var]
            ):
                async for event in events:
                    self._liveness.check()
                    text = await self._take(claim, draft, event)
                    if text:
                        await showing.show(text)
                reply = draft.finish()
                uttered = await showing.finish()
                return reply if uttered is None else replace(reply, uttered=uttered)

    async def _take(self, claim: Claim, draft: ReplyDraft, step: AgentStep) -> str:
        """Take in what an agent did; what a listener may be shown of it."""
        match step:
            case Progress():
                await self._store.write(keep_progress, claim, step.state)
                return ""
            case PolicyApplied():
                return draft.police(step, at=self._clock.monotonic())
            case Digest():
                draft.condense(step)
                return ""
            case Fact():
                draft.remember(step)
                return ""
            case Embedded():
                draft.embed(step)
                return ""
            case _:
                return draft.add(step, at=self._clock.monotonic())

    async def _failed(self, claim: Claim, error: ErrorCode, reason: str) -> Finished:
        """Nobody repeats what somebody waits for; other turns are tried again, with the same turn id."""
        _log.warning(
            "an agent failed",
            extra={
                "action": "turn.failed",
                "turn_id": claim.turn_id,
                "attempt": claim.attempt,
                "error": error.value,
                "reason": reason,
            },
        )
        if claim.tells_caller or claim.attempt >= ATTEMPTS:
            return await self._fail(claim, error, reason)
        delay = backoff(claim.attempt)
        await self._store.write(postpone_turn, claim, delay)
        TURNS.labels(claim.conversation.channel, "retried").inc()
        note(error=error.value)
        raise _AgainLaterError(_STEP[delay])

    async def _fail(self, claim: Claim, error: ErrorCode, reason: str) -> Finished:
        TURNS.labels(claim.conversation.channel, error).inc()
        note(error=error.value)
        fallbacks = self._rules(claim.conversation).fallbacks
        return await self._store.write(fail_turn, claim, error, reason, self._partitions, fallbacks)


def _traced(claim: Claim) -> AbstractContextManager[None]:
    """A turn's span. Input that came while the bell was on its way is answered in the trace of that bell."""
    return span(
        "turn",
        Kind.CONSUMER,
        turn_id=claim.turn_id,
        conversation_id=claim.conversation.id,
        agent_id=claim.conversation.assigned_agent_id,
        channel=claim.conversation.channel.value,
        attempt=claim.attempt,
        inputs=len(claim.inputs),
    )
