"""The way out for calls over jambonz: its Calls resource.

The call is our application's, so it comes to the WebSocket as every other; its tag says which conversation it
is. jambonz has no idempotency key, and lists calls without their tags: one whose outcome was not learnt tells
of itself on that WebSocket, and is looked for among those between the two numbers.
"""

from collections.abc import Callable
from typing import Any

from channels.voice.jambonz.account import JambonzAccount
from channels.voice.jambonz.address import PROVIDER, canonical
from channels.voice.jambonz.call_states import call_state
from channels.voice.jambonz.messages import MACHINE_HOOK, MESSAGE_HOOK
from channels.voice.jambonz.rest import JambonzRest, ListedCall
from channels.voice.jambonz.tag import TAG
from gateway.domain.call_rules import CallRules
from gateway.domain.delivery import OutcomeUnknown, SendOutcome, Taken
from gateway.domain.outgoing_call import CallState, Command, Found, OutgoingCall
from gateway.domain.ports.calls import BoundCalls


class JambonzCaller:
    """Makes calls of one account."""

    provider = PROVIDER

    def __init__(
        self, account: JambonzAccount, *, rules_of: Callable[[str], CallRules], bound: BoundCalls
    ) -> None:
        self._rest = JambonzRest(account)
        self._application_sid = account.application_sid
        self._rules_of = rules_of
        self._bound = bound

    async def dial(self, call: OutgoingCall, timeout: float) -> SendOutcome:
        """Begin the call within `timeout` seconds."""
        return await self._rest.create(request_of(call, self._rules_of(call.ours)), timeout)

    async def find(self, call: OutgoingCall) -> Found | OutcomeUnknown | None:
        """A call of ours between the two numbers that is not another conversation's; rather one under way.

        One that has ended, which jambonz remembers for an hour, ours must have been: nobody else has it.
        """
        listed = await self._rest.listed(call.theirs, call.ours)
        if isinstance(listed, OutcomeUnknown):
            return listed
        candidates = [
            one
            for one in listed
            if (canonical(one.sender), canonical(one.recipient)) == (call.ours, call.theirs)
            and one.application_sid in (None, self._application_sid)
            and not one.parent_call_sid
            and (one.application_sid or not call_state(one.call_status).over)
        ]
        candidates.sort(key=lambda one: call_state(one.call_status).over)
        taken = await self._bound([one.call_sid for one in candidates]) if candidates else set()
        return next((_found(one) for one in candidates if one.call_sid not in taken), None)

    async def look(self, call_id: str) -> Found | OutcomeUnknown | None:
        """How a call stands; None: jambonz does not know it any more, as an hour after its end."""
        found = await self._rest.fetched(call_id)
        return _found(found) if isinstance(found, ListedCall) else found

    async def tell(self, call: OutgoingCall, command: Command, timeout: float) -> SendOutcome:
        """Hang up, or have the call say its message."""
        sid = call.call_id or ""
        if command is Command.LEAVE_MESSAGE:
            return await self._rest.change(sid, {"call_hook": MESSAGE_HOOK}, timeout)
        found = await self.look(sid)
        if isinstance(found, OutcomeUnknown):
            return found
        if found is None or found.state.over:
            return Taken(sid)
        # a call that rings is not ended by the word for one that is answered, nor the other way round
        status = "completed" if found.state is CallState.ANSWERED else "no-answer"
        return await self._rest.change(sid, {"call_status": status}, timeout)

    async def close(self) -> None:
        """Close the connections to jambonz."""
        await self._rest.close()


def request_of(call: OutgoingCall, rules: CallRules) -> dict[str, Any]:
    """What jambonz is asked for, less the application; it makes a `rest:dial` of it."""
    asked: dict[str, Any] = {
        "from": call.ours,
        "to": {"type": "phone", "number": call.theirs},
        "timeout": rules.ring_seconds,
        "tag": {TAG: call.conversation_id},
    }
    return asked if rules.on_machine is None else asked | {"amd": {"actionHook": MACHINE_HOOK}}


def _found(call: ListedCall) -> Found:
    return Found(call.call_sid, call_state(call.call_status), call.call_status)
