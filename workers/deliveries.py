"""Delivery workers: a lane's bell rings, its lease is taken, its deliveries leave in order.

Claim, send, record (rule 4): an attempt is committed before the provider is called and settled
after. A POST cannot be fenced, so it is fenced by time: it starts within 3 s of its claim, ends
within 15 s, and an attempt of unknown outcome is looked up no sooner than 20 s after its claim.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from gateway.domain.clock import SECOND
from gateway.domain.delivery import (
    ATTEMPTS,
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
    backoff,
)
from gateway.domain.envelope import Envelope
from gateway.domain.errors import Fenced, Unavailable
from gateway.domain.message import Channel
from gateway.domain.ports import DONE, RetryStep, Sender, Store, Verdict, dead, retry
from gateway.domain.turn import NotNow
from gateway.service.deliver import (
    LaneClaim,
    LaneRef,
    PartClaim,
    claim_lane,
    claim_part,
    fail_delivery,
    postpone_lane,
    postpone_part,
    release_lane,
    settle_delivery,
    settle_part,
    settle_part_and_delivery,
)
from gateway.telemetry import REPEATED, SENDS
from gateway.tracing import Kind, note, span
from workers.bells import Bells
from workers.liveness import Liveness

KINDS = frozenset({"message.outbound", "delivery.due"})
START_WITHIN = 3.0
"""Seconds after its claim in which a POST may start."""
POST_SECONDS = 12.0
"""How long a POST may take."""
RECONCILE_AFTER = 20
"""Seconds after its claim from which an unknown attempt is looked up."""
_LOOK_AGAIN = 10

_VERDICTS = {
    NotNow.ANSWERED: DONE,
    NotNow.NO_TURNS: DONE,
    NotNow.LEASED: retry(RetryStep.S5, "another worker has the lane"),
    NotNow.NOT_DUE: retry(RetryStep.S5, "the lane waits"),
}
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
    ) -> None:
        """What has no sender is sandboxed: such replies stay in the console's outbox."""
        self._store = store
        self._sender_of = sender_of
        self._liveness = liveness
        self._clock = liveness.clock
        self._bells = Bells()

    async def consume(self, envelope: Envelope) -> Verdict:
        """Send everything that is due in the lane that rings."""
        lane = envelope.data.get("lane")
        if envelope.type not in KINDS or not isinstance(lane, str):
            return dead(f"not a doorbell of a lane: type {envelope.type!r}")
        try:
            return await self._bells.answer(lane, self._send_due)
        except _LaneWaitsError:
            return retry(RetryStep.S5, "the lane waits")
        except Fenced:
            return retry(RetryStep.S5, "the lease was lost")

    async def _send_due(self, lane: str) -> Verdict:
        self._liveness.check()
        claim = await self._store.write(claim_lane, lane, self._liveness.worker_id)
        if isinstance(claim, NotNow):
            return _VERDICTS[claim]
        await self._drain_lane(claim)
        return DONE

    async def _drain_lane(self, claim: LaneClaim) -> None:
        delivery: Delivery | None = claim.delivery
        try:
            while delivery is not None:
                delivery = await self._deliver(claim.ref, delivery)
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
                return await self._store.write(
                    settle_part_and_delivery, ref, delivery, part, outcome.provider_message_id
                )
            await self._store.write(settle_part, part, outcome.provider_message_id)
        return await self._settle(ref, delivery, DeliveryState.SENT)

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
    ) -> SendOutcome | None:
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
    ) -> SendOutcome | None:
        """Claim, then send; an attempt whose outcome is open is looked up first. None: canceled."""
        if part.state in (PartState.SENDING, PartState.UNKNOWN):
            found = await self._look_up(ref, delivery, part, sender)
            if found is not None:
                return found
            REPEATED.labels(delivery.channel.value).inc()
        self._liveness.check()
        began = self._clock.monotonic()
        claim = await self._store.write(claim_part, ref, part, sender.provider, texts)
        if not isinstance(claim, PartClaim):
            return claim
        if claim.attempt > ATTEMPTS:
            return Refused(Failure.PERMANENT, "attempts_used_up")
        if self._clock.monotonic() - began > START_WITHIN or not self._liveness.alive():
            return Refused(Failure.TRANSIENT, "not_sent")
        outcome = await sender.send(
            delivery, replace(part, attempt=claim.attempt, claimed_at=claim.claimed_at), POST_SECONDS
        )
        SENDS.labels(delivery.channel.value, _name(outcome)).inc()
        return outcome

    async def _look_up(self, ref: LaneRef, delivery: Delivery, part: Part, sender: Sender) -> Taken | None:
        """Whether the provider has it. None: it has not, or cannot tell, and it is sent again."""
        claimed_at = part.claimed_at or 0
        age = (self._clock.now() - claimed_at) / SECOND
        if age < RECONCILE_AFTER:
            await self._store.write(postpone_lane, ref, RECONCILE_AFTER - age)
            raise _LaneWaitsError
        found = await sender.find(delivery, part)
        if isinstance(found, OutcomeUnknown):
            await self._store.write(postpone_lane, ref, _LOOK_AGAIN)
            raise _LaneWaitsError
        return found

    async def _not_taken(
        self, ref: LaneRef, delivery: Delivery, part: Part, outcome: Refused | OutcomeUnknown | None
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
                "code": outcome.code if isinstance(outcome, Refused) else outcome.reason,
            },
        )
        if isinstance(outcome, OutcomeUnknown):
            await self._store.write(
                postpone_part,
                ref,
                part,
                PartState.UNKNOWN,
                error_code=outcome.reason,
                delay_seconds=RECONCILE_AFTER,
            )
            raise _LaneWaitsError
        if outcome.failure is Failure.TRANSIENT:
            delay = outcome.retry_after or backoff(part.attempt + 1)
            await self._store.write(
                postpone_part,
                ref,
                part,
                PartState.PENDING,
                error_code=outcome.code,
                delay_seconds=delay - 0.5,
            )
            raise _LaneWaitsError
        return await self._store.write(fail_delivery, ref, delivery, part, outcome)


def _unstored(delivery: Delivery, index: int, text: PartText) -> Part:
    return Part(delivery_id=delivery.id, index=index, text=text.text, hash="", segments=text.segments)


def _name(outcome: SendOutcome) -> str:
    """The outcome as a metric's label."""
    match outcome:
        case Taken():
            return "taken"
        case Refused():
            return outcome.failure.value
        case OutcomeUnknown():
            return "unknown"
