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
from gateway.domain.ports.bus import DONE, Verdict, dead, look_again
from gateway.domain.ports.egress import Sender
from gateway.domain.ports.store import Store
from gateway.domain.send_rules import SendRules
from gateway.domain.turn import NotNow
from gateway.service.deliver import LaneClaim, claim_lane, settle_delivery, settle_part_and_delivery
from gateway.service.fail import resume_sender
from gateway.service.lanes import LaneRef, held_lanes, put_down_lane, release_lane, wait_in_lane
from gateway.service.parts import (
    STOPPED,
    WAITING,
    PartClaim,
    claim_part,
    settle_part,
    settle_part_and_wait,
    unclaim_part,
)
from gateway.telemetry import SENDS
from gateway.tracing import Kind, note, span
from workers.bells import Bells, SeenTo
from workers.leases import Leases
from workers.liveness import Liveness
from workers.reconcile import GivenUp, LookAgain, Missing, look_up
from workers.setbacks import LaneWaitsError, RulesOf, Setbacks, name_of

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
    NotNow.LEASED: look_again("another worker has the lane"),
    NotNow.NOT_DUE: DONE,  # the lane rings by itself when it is due
}
_log = logging.getLogger(__name__)


SenderOf = Callable[[Channel, str], Sender | None]
"""Who sends from an address of ours on a channel; None: nobody."""


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
        self.leases = Leases(store, self._bells, liveness.worker_id, held_lanes, put_down_lane)
        self._setbacks = Setbacks(store, rules_of, liveness.clock)
        self._sent = SeenTo()
        """Deliveries."""

    async def consume(self, envelope: Envelope) -> Verdict:
        """Send everything that is due in the lane that rings."""
        lane = envelope.data.get("lane")
        if envelope.type not in KINDS or not isinstance(lane, str):
            return dead(f"not a doorbell of a lane: type {envelope.type!r}")
        told = envelope.data.get("delivery_id") if envelope.type == "message.outbound" else None
        return await self._sent.unless(told, lambda: self._rung(lane))

    async def _rung(self, lane: str) -> Verdict:
        try:
            return await self._bells.answer(lane, self._send_due)
        except Fenced:
            return look_again("the lease was lost")

    async def _send_due(self, lane: str) -> Verdict:
        self._liveness.check()
        claim = await self._store.write(claim_lane, lane, self._liveness.worker_id)
        if isinstance(claim, NotNow):
            return _VERDICTS[claim]
        with suppress(LaneWaitsError):
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
            outcome, since = await self._attempt(ref, delivery, part, sender, texts)
            texts = ()
            if not isinstance(outcome, Taken):
                return await self._not_taken(ref, delivery, replace(part, first_claimed_at=since), outcome)
            if part.index == parts[-1].index:
                return await self._taken_whole(ref, delivery, part, outcome.provider_message_id)
            gap = self._rules_of(delivery.channel, delivery.sender).gap(part.segments)
            await self._store.write(settle_part_and_wait, ref, part, outcome.provider_message_id, gap)
            raise LaneWaitsError
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

    async def _not_taken(
        self, ref: LaneRef, delivery: Delivery, part: Part, outcome: Refused | OutcomeUnknown | GivenUp | None
    ) -> Delivery | None:
        if outcome is None:
            return await self._settle(ref, delivery, DeliveryState.CANCELED)
        return await self._setbacks.met(ref, delivery, part, outcome)

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
    ) -> tuple[SendOutcome | GivenUp | None, int | None]:
        """One attempt, in a span of its own, and since when the part holds up others. None: canceled."""
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
            outcome, since = await self._claim_and_send(ref, delivery, part, sender, texts)
            note(outcome="canceled" if outcome is None else name_of(outcome))
        return outcome, since

    async def _claim_and_send(
        self,
        ref: LaneRef,
        delivery: Delivery,
        part: Part,
        sender: Sender,
        texts: tuple[PartText, ...],
    ) -> tuple[SendOutcome | GivenUp | None, int | None]:
        """Claim, then send; an attempt whose outcome is open is looked up first."""
        rules = self._rules_of(delivery.channel, delivery.sender)
        if part.state in (PartState.SENDING, PartState.UNKNOWN):
            found = await self._look_up(ref, delivery, part, sender, rules)
            if found is not None:
                return found, part.first_claimed_at
        self._liveness.check()
        began = self._clock.monotonic()
        claim = await self._store.write(claim_part, ref, part, sender.provider, texts, rules)
        if claim is WAITING:
            raise LaneWaitsError
        if claim is STOPPED:
            await self._setbacks.fail_over(ref, delivery, part, None, rules.failover)
            raise LaneWaitsError
        if not isinstance(claim, PartClaim):
            return claim, part.first_claimed_at
        if claim.attempt > rules.attempts:
            return Refused(Failure.PERMANENT, "attempts_used_up"), claim.first_claimed_at
        if self._clock.monotonic() - began > START_WITHIN or not self._liveness.alive():
            await self._store.write(unclaim_part, ref, part, claim, NOT_BEGUN_SECONDS)
            raise LaneWaitsError
        if part.late_tries and part.first_claimed_at is None:
            _log.info(
                "a text that did not arrive is sent once more",
                extra={"action": "delivery.again", "delivery_id": delivery.id, "part": part.index},
            )
        reach(CrashPoint.DELIVERY_CLAIMED)
        outcome = await sender.send(
            delivery, replace(part, attempt=claim.attempt, claimed_at=claim.claimed_at), POST_SECONDS
        )
        reach(CrashPoint.DELIVERY_SENT)
        SENDS.labels(delivery.channel, name_of(outcome)).inc()
        if claim.trying and isinstance(outcome, Taken):
            await self._resumed(delivery)
        return outcome, claim.first_claimed_at

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
            await self._setbacks.wait(ref, delivery, part, found.seconds)
            raise LaneWaitsError
        return None if isinstance(found, Missing) else found

    def _age(self, part: Part) -> float:
        """Seconds since the attempt's claim."""
        return (self._clock.now() - (part.claimed_at or 0)) / SECOND


def _unstored(delivery: Delivery, index: int, text: PartText) -> Part:
    return Part(delivery_id=delivery.id, index=index, text=text.text, hash="", segments=text.segments)
