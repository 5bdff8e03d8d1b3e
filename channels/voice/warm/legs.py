"""The `Legs` port at Twilio: persons are called by REST, and their calls ask for documents."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from channels.twilio.calls import ListedCall, NewCall, TwilioCalls
from channels.voice.calls import FINAL_STATUSES
from channels.voice.destination import destination_kind
from channels.voice.steps import Links, Step
from channels.voice.twiml import document
from channels.voice.verbs import HangUp, Say
from gateway.domain.call_rules import CallRules
from gateway.domain.delivery import Failure, Refused, SendOutcome, Taken
from gateway.domain.outcome import TransferReason
from gateway.domain.warm.held import HeldCall
from gateway.domain.warm.words import Dial

log = logging.getLogger(__name__)

REQUEST_SECONDS = 10.0
DETECTION = "Enable"
_MEANS = {
    Failure.BAD_ADDRESS: TransferReason.INVALID_DESTINATION,
    Failure.NOT_ALLOWED: TransferReason.UNSUPPORTED,
}
"""Why Twilio would not call; anything else is its own trouble."""


@dataclass(frozen=True, slots=True)
class TwilioLegs:
    """Calls to persons, from the number that the caller has called."""

    calls: TwilioCalls
    links: Links
    rules_of: Callable[[str], CallRules]
    """What holds for the calls of a number."""

    async def dial(self, held: HeldCall, dial: Dial) -> str | TransferReason | None:
        """Call a person, once."""
        if destination_kind(dial.destination) is None:
            return TransferReason.INVALID_DESTINATION
        step = Step(n=0, transfer=held.id, attempt=dial.attempt)
        outcome = await self.calls.create(
            NewCall(
                to=dial.destination,
                sender=held.recipient,
                url=self.links.leg(step),
                status_callback=self.links.leg_status(step),
                ring_seconds=dial.timeout_seconds,
                machine_detection=DETECTION if dial.screen else None,
                machine_callback=self.links.leg_detected(step) if dial.screen else None,
            ),
            REQUEST_SECONDS,
        )
        match outcome:
            case Taken(sid):
                return sid
            case Refused(failure):
                return _MEANS.get(failure, TransferReason.BRIDGE_ERROR)
            case _:
                return None

    async def recall(self, held: HeldCall, told: int) -> bool:
        """Have a caller ask again who waits for somebody; one whose call is over need not."""
        step = Step(n=held.n, session=held.session, transfer=held.id, told=told)
        redirected = await self.calls.redirect(held.call_id, self.links.hold(step), REQUEST_SECONDS)
        return _taken(held.call_id, redirected)

    async def caller_left(self, held: HeldCall) -> bool:
        """Whether the caller's call is over, of which no callback may have come."""
        call = await self.calls.fetched(held.call_id)
        return isinstance(call, ListedCall) and call.status in FINAL_STATUSES

    async def hang_up(self, leg_id: str) -> bool:
        """End a call."""
        return _taken(leg_id, await self.calls.hang_up(leg_id, REQUEST_SECONDS))

    async def part(self, held: HeldCall, leg_id: str, text: str) -> bool:
        """Say this and end a call; one that does not take a document any more is over as well."""
        told = document((Say(text), HangUp()), self.rules_of(held.recipient).speech)
        return _taken(leg_id, await self.calls.perform(leg_id, told, REQUEST_SECONDS))


def _taken(sid: str, outcome: SendOutcome) -> bool:
    """Whether a call does what it was told, or is over; anything else leaves somebody where they are."""
    if isinstance(outcome, Taken):
        return True
    why = outcome.code if isinstance(outcome, Refused) else outcome.reason
    extra = {"action": "voice.command_refused", "call_sid": sid, "code": why}
    log.warning("a call was not told what it should do", extra=extra)
    return False
