"""What follows where a part was not taken: the lane waits, another sender takes over, the delivery ends."""

import logging
import random
from collections.abc import Callable

from gateway.domain.clock import SECOND, Clock
from gateway.domain.delivery import (
    Delivery,
    Failure,
    OutcomeUnknown,
    Part,
    PartState,
    Refused,
    SendOutcome,
    Taken,
)
from gateway.domain.message import Channel
from gateway.domain.ports.store import Store
from gateway.domain.send_rules import RECONCILE_AFTER, SendRules, Wait
from gateway.service.aside import put_aside, put_part_aside
from gateway.service.fail import GIVEN_UP, fail_delivery, give_up_part, stop_sender
from gateway.service.failover import calls_for_another, fail_over
from gateway.service.lanes import LaneRef, postpone_lane
from gateway.service.parts import postpone_part
from gateway.service.senders import TRY_AGAIN_SECONDS
from workers.reconcile import GivenUp

RulesOf = Callable[[Channel, str], SendRules]
"""The rules for what goes out from one of our addresses."""
_log = logging.getLogger(__name__)


class LaneWaitsError(Exception):
    """The lane was let go until later."""


class Setbacks:
    """Those of one delivery worker, which holds the lanes."""

    def __init__(self, store: Store, rules_of: RulesOf, clock: Clock) -> None:
        self._store = store
        self._rules_of = rules_of
        self._clock = clock

    async def met(
        self, ref: LaneRef, delivery: Delivery, part: Part, outcome: Refused | OutcomeUnknown | GivenUp
    ) -> Delivery | None:
        """The delivery ends, and the next of the lane is returned; or LaneWaitsError is raised."""
        _log.warning(
            "a part was not taken",
            extra={
                "action": "part.not_taken",
                "delivery_id": delivery.id,
                "part": part.index,
                "attempt": part.attempt + 1,
                "outcome": name_of(outcome),
                "code": _code(outcome),
            },
        )
        rules, held = self._rules_of(delivery.channel, delivery.sender), self._held(part)
        if isinstance(outcome, Refused) and calls_for_another(outcome, part):
            await self.fail_over(ref, delivery, part, outcome, rules.failover)
        match outcome:
            case GivenUp():
                return await self._store.write(give_up_part, ref, delivery, part)
            case OutcomeUnknown(reason=reason):
                await self._postpone(ref, part, PartState.UNKNOWN, reason, rules.wait(held, RECONCILE_AFTER))
            case Refused(failure=Failure.TRANSIENT, code=code, retry_after=least):
                wait = rules.wait_refused(held, part.refusals + 1, _jitter(), least or 0.0)
                await self._postpone(ref, part, PartState.PENDING, code, wait)
            case Refused(failure=Failure.CONFIGURATION):
                await self._stop_sender(ref, delivery, part, outcome)
            case Refused():
                return await self._store.write(fail_delivery, ref, delivery, part, outcome)
        raise LaneWaitsError

    async def fail_over(
        self, ref: LaneRef, delivery: Delivery, part: Part, refused: Refused | None, to: str | None
    ) -> None:
        """Raise LaneWaitsError where another sender, `to`, has taken over.

        Else the lane is held as before, or, where nothing was refused because the sender is stopped, let go.
        """
        moved = 0 if to is None else await self._store.write(fail_over, ref, delivery, part, refused, to)
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
            raise LaneWaitsError
        if refused is None:
            await self._store.write(postpone_lane, ref, TRY_AGAIN_SECONDS)

    async def wait(self, ref: LaneRef, delivery: Delivery, part: Part, seconds: float) -> None:
        """Nothing more is known for so long: the lane waits, or the delivery aside of it."""
        wait = self._rules_of(delivery.channel, delivery.sender).wait(self._held(part), seconds)
        if wait.aside:
            await self._store.write(put_aside, ref, delivery.id, wait.seconds)
        else:
            await self._store.write(postpone_lane, ref, wait.seconds)

    async def _postpone(self, ref: LaneRef, part: Part, state: PartState, code: str, wait: Wait) -> None:
        put_off = put_part_aside if wait.aside else postpone_part
        await self._store.write(put_off, ref, part, state, error_code=code, delay_seconds=wait.seconds)

    def _held(self, part: Part) -> float:
        """Seconds for which the part has held up what is behind it."""
        return 0.0 if part.first_claimed_at is None else (self._clock.now() - part.first_claimed_at) / SECOND

    async def _stop_sender(self, ref: LaneRef, delivery: Delivery, part: Part, refused: Refused) -> None:
        if await self._store.write(stop_sender, ref, delivery, part, refused):
            _log.error(
                "a sender is stopped: its provider takes nothing from it; see gateway doctor",
                extra={"action": "sender.halted", "channel": delivery.channel.value, "code": refused.code},
            )


def _jitter() -> float:
    """What a wait is multiplied with, so that what was refused together does not come again together."""
    return random.uniform(0.8, 1.2)  # noqa: S311 - spreads attempts


def name_of(outcome: SendOutcome | GivenUp) -> str:
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


def _code(outcome: Refused | OutcomeUnknown | GivenUp) -> str:
    match outcome:
        case Refused(code=code):
            return code
        case OutcomeUnknown(reason=reason):
            return reason
        case GivenUp():
            return GIVEN_UP
