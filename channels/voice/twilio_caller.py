"""The way out for calls: Twilio's Calls resource.

Twilio has no idempotency key for calls, so one whose outcome was not learnt is looked for among those that
Twilio lists for the two numbers.
"""

from collections.abc import Callable

from channels.twilio.call_states import call_state
from channels.twilio.calls import ListedCall, NewCall, TwilioCalls
from channels.twilio.requests import PROVIDER
from channels.voice.outgoing import OutgoingLinks
from gateway.domain.call_rules import CallRules, OnMachine
from gateway.domain.clock import SECOND, Clock
from gateway.domain.delivery import OutcomeUnknown, SendOutcome
from gateway.domain.outgoing_call import Command, Found, OutgoingCall
from gateway.domain.ports.calls import BoundCalls

_SLACK = 5 * SECOND
"""Twilio dates calls in whole seconds of its own clock."""
_DETECTION = {
    OnMachine.HANG_UP: "Enable",
    OnMachine.GO_ON: "Enable",
    OnMachine.LEAVE_MESSAGE: "DetectMessageEnd",
}
"""Whether the result is wanted at once, or when the machine has finished greeting."""


class TwilioCaller:
    """Makes calls of one account."""

    provider = PROVIDER

    def __init__(
        self,
        calls: TwilioCalls,
        *,
        public_url: str,
        clock: Clock,
        rules_of: Callable[[str], CallRules],
        bound: BoundCalls,
    ) -> None:
        """`public_url`: what Twilio sees of us, without a trailing slash."""
        self._calls = calls
        self._public_url = public_url
        self._clock = clock
        self._rules_of = rules_of
        self._bound = bound

    async def dial(self, call: OutgoingCall, timeout: float) -> SendOutcome:
        """Begin the call within `timeout` seconds."""
        links, rules = self._links(call), self._rules_of(call.ours)
        detects = rules.on_machine is not None
        new = NewCall(
            to=call.theirs,
            sender=call.ours,
            url=links.answered,
            status_callback=links.progress,
            ring_seconds=rules.ring_seconds,
            machine_detection=_DETECTION[rules.on_machine] if rules.on_machine is not None else None,
            machine_callback=links.machine if detects else None,
        )
        return await self._calls.create(new, timeout)

    async def find(self, call: OutgoingCall) -> Found | OutcomeUnknown | None:
        """The oldest call that may be this one and is not another one's, since it was claimed."""
        listed = await self._calls.listed(call.theirs, call.ours)
        if isinstance(listed, OutcomeUnknown):
            return listed
        since, until = call.claimed_at - _SLACK, self._clock.now() + _SLACK
        candidates = [
            one for one in listed if since <= one.created_at <= until and one.direction.startswith("outbound")
        ]
        taken = await self._bound([one.sid for one in candidates]) if candidates else set()
        # Twilio lists the newest first
        free = [one for one in reversed(candidates) if one.sid not in taken]
        return _found(min(free, key=lambda one: one.created_at)) if free else None

    async def look(self, call_id: str) -> Found | OutcomeUnknown | None:
        """How a call stands; None: Twilio does not know it."""
        found = await self._calls.fetched(call_id)
        return _found(found) if isinstance(found, ListedCall) else found

    async def tell(self, call: OutgoingCall, command: Command, timeout: float) -> SendOutcome:
        """Hang up, or have the call say its message."""
        sid = call.call_id or ""
        if command is Command.HANG_UP:
            return await self._calls.hang_up(sid, timeout)
        return await self._calls.redirect(sid, self._links(call).message, timeout)

    async def close(self) -> None:
        """Close the connections to Twilio."""
        await self._calls.close()

    def _links(self, call: OutgoingCall) -> OutgoingLinks:
        return OutgoingLinks(self._public_url, call.conversation_id)


def _found(call: ListedCall) -> Found:
    return Found(call.sid, call_state(call.status), call.status)
