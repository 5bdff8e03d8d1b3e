"""Delivery workers: a lane's bell rings, its lease is taken, its deliveries leave in order.

Claim, send, record (rule 4): an attempt is committed before the provider is called and settled
after. A POST cannot be fenced, so it is fenced by time: it starts within 3 s of its claim, ends
within 15 s, and an attempt of unknown outcome is looked up no sooner than 20 s after its claim.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from gateway.crash import reach
from gateway.domain.clock import SECOND
from gateway.domain.crash_point import CrashPoint
from gateway.domain.delivery import (
    Delivery,
    DeliveryState,
    Failure,
    OutcomeUnknown,
    Part,
    PartState,
    PartText,
    Refused,
    SendOutcome,
    Taken,
)
from gateway.domain.envelope import Envelope
from gateway.domain.errors import Braked, Fenced, Unavailable
from gateway.domain.message import Channel
from gateway.domain.ports.bus import DONE, RetryStep, Verdict, dead, retry
from gateway.domain.ports.egress import Sender
from gateway.domain.ports.store import Store
from gateway.domain.send_rules import RECONCILE_AFTER, SendRules, Wait
from gateway.domain.turn import NotNow
from gateway.service.aside import put_aside, put_part_aside
from gateway.service.deliver import LaneClaim, claim_lane, settle_delivery, settle_part_and_delivery
from gateway.service.fail import GIVEN_UP, fail_delivery, give_up_part, resume_sender, stop_sender
from gateway.service.failover import calls_for_another, fail_over
from gateway.service.lanes import LaneRef, postpone_lane, release_lane, wait_in_lane
from gateway.service.parts import (
    STOPPED,
    WAITING,
    PartClaim,
    claim_part,
    postpone_part,
    settle_part,
    settle_part_and_wait,
    unclaim_part,
)
from gateway.service.senders import TRY_AGAIN_SECONDS
from gateway.telemetry import SENDS
from gateway.tracing import Kind, note, span
from workers.bells import Bells, SeenTo
from workers.liveness import Liveness
from workers.reconcile import GivenUp, LookAgain, Missing, look_up

KINDS = frozenset({"message.outbound", "delivery.due"})
START_WITHIN = 3.0
"""Seconds after its claim in which a POST may start."""
NOT_BEGUN_SECONDS = 5.0
"""When one that came too late for that is tried again: this process was slow, not the provider."""
POST_SECONDS = 12.0
"""How long a POST may take."""

_VERDICTS = {
    NotNow.ANSWERED: DONE,
    NotNow.NO_TURNS: DONE,
    NotNow.BRAKED: DONE,
    NotNow.LEASED: retry(RetryStep.S5, "another worker has the lane"),
    NotNow.NOT_DUE: DONE,  # the lane rings by itself when it is due
}
RulesOf = Callable[[Channel, str], SendRules]
"""The rules for what goes out from one of our addresses."""
_log = logging.getLogger(__name__)


SenderOf = Callable[[Channel, str], Sender | None]
"""Who sends from an address of ours on a channel; None: nobody."""


class _LaneWaitsError(Exception):
    """The lane was let go until later."""


class DeliveryWorker:
    """Consumes the delivery queues."""

    def __init__(
        self,
        store: Store,
        sender_of: SenderOf,
        liveness: Liveness,
        rules_of: RulesOf,
    ) -> None:
        """What has no sender is sandboxed: such replies stay in the console's outbox."""
        self._store = store
        self._sender_of = sender_of
        self._liveness = liveness
        self._rules_of = rules_of
        self._clock = liveness.clock
        self._bells = Bells()
        self._sent = SeenTo()
        """Deliveries."""

    async def consume(self, envelope: Envelope) -> Verdict:
        """Send everything that is due in the lane that rings."""
        lane = envelope.data.get("lane")
        if envelope.type not in KINDS or not isinstance(lane, str):
            return dead(f"not a doorbell of a lane: type {envelope.type!r}")
        if envelope.type == "message.outbound" and self._sent.knows(envelope.data.get("delivery_id")):
            return DONE
        try:
            return await self._bells.answer(lane, self._send_due)
        except Fenced:
            return retry(RetryStep.S5, "the lease was lost")

    async def _send_due(self, lane: str) -> Verdict:
        self._liveness.check()
        claim = await self._store.write(claim_lane, lane, self._liveness.worker_id)
        if isinstance(claim, NotNow):
            return _VERDICTS[claim]
        with suppress(_LaneWaitsError):
            await self._drain_lane(claim)
        return DONE

    async def _drain_lane(self, claim: LaneClaim) -> None:
        delivery: Delivery | None = claim.delivery
        try:
            while delivery is not None:
                delivery = await self._deliver(claim.ref, delivery)
        except Braked:
            await self._store.write(wait_in_lane, claim.ref)
        except asyncio.CancelledError:
            with suppress(Unavailable):
                await asyncio.shield(self._store.write(release_lane, claim.ref))
            raise

    async def _deliver(self, ref: LaneRef, delivery: Delivery) -> Delivery | None:
        """One delivery to its end; the next of the lane, or None when the lane is empty and free."""
        if delivery.state is DeliveryState.CANCELED:
            return await self._settle(ref, delivery, DeliveryState.CANCELED)
        sender = self._sender_of(delivery.channel, delivery.sender)
        if sender is None or delivery.sandboxed:
            return await self._settle(ref, delivery, DeliveryState.SANDBOXED)
        lost = next((part for part in delivery.parts if part.state.lost), None)
        if lost is not None:
            return await self._settle(ref, delivery, DeliveryState.FAILED, lost.error_code)
        texts: tuple[PartText, ...] = ()
        parts = delivery.parts
        if not parts:
            texts = tuple(sender.split(delivery))
            if not texts:
                return await self._settle(ref, delivery, DeliveryState.FAILED, "empty")
            parts = tuple(_unstored(delivery, index, text) for index, text in enumerate(texts))
        for part in parts:
            if part.state.left:
                continue
            outcome = await self._attempt(ref, delivery, part, sender, texts)
            texts = ()
            if not isinstance(outcome, Taken):
                return await self._not_taken(ref, delivery, part, outcome)
            if part.index == parts[-1].index:
                return await self._taken_whole(ref, delivery, part, outcome.provider_message_id)
            gap = self._rules_of(delivery.channel, delivery.sender).gap(part.segments)
            await self._store.write(settle_part_and_wait, ref, part, outcome.provider_message_id, gap)
            raise _LaneWaitsError
        return await self._settle(ref, delivery, DeliveryState.SENT)

    async def _taken_whole(
        self, ref: LaneRef, delivery: Delivery, part: Part, provider_message_id: str
    ) -> Delivery | None:
        self._bells.covered(ref.lane)
        try:
            following = await self._store.write(
                settle_part_and_delivery, ref, delivery, part, provider_message_id
            )
        except Fenced:
            # whoever has the lane now shall not have to ask the provider
            await self._store.write(settle_part, part, provider_message_id)
            raise
        self._sent.add([delivery.id])
        return following

    async def _settle(
        self, ref: LaneRef, delivery: Delivery, state: DeliveryState, code: str | None = None
    ) -> Delivery | None:
        self._liveness.check()
        return await self._store.write(settle_delivery, ref, delivery, state, error_code=code)

    async def _attempt(
        self,
        ref: LaneRef,
        delivery: Delivery,
        part: Part,
        sender: Sender,
        texts: tuple[PartText, ...],
    ) -> SendOutcome | GivenUp | None:
        """One attempt, in a span of its own. None: canceled."""
        with span(
            "deliver",
            Kind.CLIENT,
            channel=delivery.channel.value,
            provider=sender.provider,
            delivery_id=delivery.id,
            conversation_id=delivery.conversation_id,
            turn_id=delivery.turn_id,
            part=part.index,
            attempt=part.attempt + 1,
            text_length=len(part.text),
        ):
            outcome = await self._claim_and_send(ref, delivery, part, sender, texts)
            note(outcome="canceled" if outcome is None else _name(outcome))
        return outcome

    async def _claim_and_send(
        self,
        ref: LaneRef,
        delivery: Delivery,
        part: Part,
        sender: Sender,
        texts: tuple[PartText, ...],
    ) -> SendOutcome | GivenUp | None:
        """Claim, then send; an attempt whose outcome is open is looked up first. None: canceled."""
        rules = self._rules_of(delivery.channel, delivery.sender)
        if part.state in (PartState.SENDING, PartState.UNKNOWN):
            found = await self._look_up(ref, delivery, part, sender, rules)
            if found is not None:
                return found
        self._liveness.check()
        began = self._clock.monotonic()
        claim = await self._store.write(claim_part, ref, part, sender.provider, texts, rules)
        if claim is WAITING:
            raise _LaneWaitsError
        if claim is STOPPED:
            await self._fail_over(ref, delivery, part, None)
            raise _LaneWaitsError
        if not isinstance(claim, PartClaim):
            return claim
        if claim.attempt > rules.attempts:
            return Refused(Failure.PERMANENT, "attempts_used_up")
        if self._clock.monotonic() - began > START_WITHIN or not self._liveness.alive():
            await self._store.write(unclaim_part, ref, part, NOT_BEGUN_SECONDS)
            raise _LaneWaitsError
        reach(CrashPoint.DELIVERY_CLAIMED)
        outcome = await sender.send(
            delivery, replace(part, attempt=claim.attempt, claimed_at=claim.claimed_at), POST_SECONDS
        )
        reach(CrashPoint.DELIVERY_SENT)
        SENDS.labels(delivery.channel.value, _name(outcome)).inc()
        if claim.trying and isinstance(outcome, Taken):
            await self._resumed(delivery)
        return outcome

    async def _resumed(self, delivery: Delivery) -> None:
        with suppress(Unavailable):  # the next one that tries does it
            await self._store.write(resume_sender, delivery)
        _log.warning("a sender is well again", extra={"action": "sender.resumed", "delivery_id": delivery.id})

    async def _look_up(
        self, ref: LaneRef, delivery: Delivery, part: Part, sender: Sender, rules: SendRules
    ) -> Taken | GivenUp | None:
        """What became of an attempt whose outcome is open. None: it is sent again."""
        found = await look_up(sender, delivery, part, rules, self._age(part))
        if isinstance(found, LookAgain):
            await self._wait(ref, delivery, part, rules, found.seconds)
            raise _LaneWaitsError
        return None if isinstance(found, Missing) else found

    async def _wait(
        self, ref: LaneRef, delivery: Delivery, part: Part, rules: SendRules, seconds: float
    ) -> None:
        wait = rules.wait(self._held(part), seconds)
        if wait.aside:
            await self._store.write(put_aside, ref, delivery.id, wait.seconds)
        else:
            await self._store.write(postpone_lane, ref, wait.seconds)

    def _age(self, part: Part) -> float:
        """Seconds since the attempt's claim."""
        return (self._clock.now() - (part.claimed_at or 0)) / SECOND

    def _held(self, part: Part) -> float:
        """Seconds for which the part has held up what is behind it."""
        return 0.0 if part.first_claimed_at is None else (self._clock.now() - part.first_claimed_at) / SECOND

    async def _not_taken(
        self, ref: LaneRef, delivery: Delivery, part: Part, outcome: Refused | OutcomeUnknown | GivenUp | None
    ) -> Delivery | None:
        """Canceled, refused or unknown: the delivery ends here, or the lane waits."""
        if outcome is None:
            return await self._settle(ref, delivery, DeliveryState.CANCELED)
        _log.warning(
            "a part was not taken",
            extra={
                "action": "part.not_taken",
                "delivery_id": delivery.id,
                "part": part.index,
                "attempt": part.attempt + 1,
                "outcome": _name(outcome),
                "code": _code(outcome),
            },
        )
        if isinstance(outcome, Refused) and calls_for_another(outcome, part):
            await self._fail_over(ref, delivery, part, outcome)
        rules, held = self._rules_of(delivery.channel, delivery.sender), self._held(part)
        match outcome:
            case GivenUp():
                return await self._store.write(give_up_part, ref, delivery, part)
            case OutcomeUnknown(reason=reason):
                await self._postpone(ref, part, PartState.UNKNOWN, reason, rules.wait(held, RECONCILE_AFTER))
            case Refused(failure=Failure.TRANSIENT, code=code, retry_after=seconds) if seconds:
                await self._postpone(ref, part, PartState.PENDING, code, rules.wait(held, seconds))
            case Refused(failure=Failure.TRANSIENT, code=code):
                wait = rules.wait_refused(held, part.refusals + 1, _jitter())
                await self._postpone(ref, part, PartState.PENDING, code, wait)
            case Refused(failure=Failure.CONFIGURATION):
                await self._stop_sender(ref, delivery, part, outcome)
            case Refused():
                return await self._store.write(fail_delivery, ref, delivery, part, outcome)
        raise _LaneWaitsError

    async def _fail_over(self, ref: LaneRef, delivery: Delivery, part: Part, refused: Refused | None) -> None:
        """Raise _LaneWaitsError where another sender has taken over; else the lane is held as before."""
        to = self._rules_of(delivery.channel, delivery.sender).failover
        if to is None:
            return
        moved = await self._store.write(fail_over, ref, delivery, part, refused, to)
        if moved:
            _log.error(
                "another sender takes over; see gateway doctor",
                extra={
                    "action": "sender.failed_over",
                    "channel": delivery.channel.value,
                    "code": refused.code if refused else "halted",
                    "deliveries": moved,
                },
            )
            raise _LaneWaitsError
        if refused is None:
            await self._store.write(postpone_lane, ref, TRY_AGAIN_SECONDS)

    async def _postpone(self, ref: LaneRef, part: Part, state: PartState, code: str, wait: Wait) -> None:
        put_off = put_part_aside if wait.aside else postpone_part
        await self._store.write(put_off, ref, part, state, error_code=code, delay_seconds=wait.seconds)

    async def _stop_sender(self, ref: LaneRef, delivery: Delivery, part: Part, refused: Refused) -> None:
        if await self._store.write(stop_sender, ref, delivery, part, refused):
            _log.error(
                "a sender is stopped: its provider takes nothing from it; see gateway doctor",
                extra={"action": "sender.halted", "channel": delivery.channel.value, "code": refused.code},
            )


def _jitter() -> float:
    """What a wait is multiplied with, so that what was refused together does not come again together."""
    return random.uniform(0.8, 1.2)  # noqa: S311 - spreads attempts


def _unstored(delivery: Delivery, index: int, text: PartText) -> Part:
    return Part(delivery_id=delivery.id, index=index, text=text.text, hash="", segments=text.segments)


def _code(outcome: Refused | OutcomeUnknown | GivenUp) -> str:
    match outcome:
        case Refused(code=code):
            return code
        case OutcomeUnknown(reason=reason):
            return reason
        case GivenUp():
            return GIVEN_UP


def _name(outcome: SendOutcome | GivenUp) -> str:
    """The outcome as a metric's label."""
    match outcome:
        case GivenUp():
            return "given_up"
        case Taken():
            return "taken"
        case Refused():
            return outcome.failure.value
        case OutcomeUnknown():
            return "unknown"
