"""Twilio's Calls resource: begin calls, see which there are, hang up or redirect one.

Source: https://www.twilio.com/docs/voice/api/call-resource. Importing this module imports the vendor's SDK.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from twilio.base.exceptions import TwilioRestException, TwilioServiceException
from twilio.base.values import unset
from twilio.rest import Client
from twilio.rest.api.v2010.account.call import CallInstance

from channels.exchange import begin_exchange
from channels.twilio.client import (
    FAULTS,
    LIST_LIMIT,
    LIST_SECONDS,
    PhasedHttpClient,
    not_taken,
    not_told,
    official_client,
)
from channels.twilio.credentials import TwilioCredentials
from gateway.domain.clock import SECOND
from gateway.domain.delivery import OutcomeUnknown, SendOutcome, Taken

PROGRESS_EVENTS = ["initiated", "ringing", "answered", "completed"]
NO_SUCH_CALL = 20404
"""The error of what is asked of, or told to, a call that the account does not have."""
OVER = 21220
"""The error of a change to a call that has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCall:
    """A call to begin. The URLs are asked with POST."""

    to: str
    sender: str
    url: str
    """What the call does once it is answered."""
    status_callback: str
    ring_seconds: int
    machine_detection: str | None = None
    """`Enable`, or `DetectMessageEnd` where a message is to be left; None: nobody looks who answers."""
    machine_callback: str | None = None
    """Told who has answered; the call goes on meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedCall:
    """A call as Twilio lists it."""

    sid: str
    status: str
    direction: str
    created_at: int
    """Microseconds since the epoch, UTC; Twilio rounds to whole seconds."""


@dataclass(slots=True)
class TwilioCalls:
    """The calls of one account. One per process; close it when done."""

    credentials: TwilioCredentials
    connections: int = 16
    _http: PhasedHttpClient = field(init=False, repr=False)
    _client: Client = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Raises ValueError without an account."""
        if not self.credentials.account_sid:
            raise ValueError("calling needs an account sid")
        self._http = PhasedHttpClient(self.connections)
        self._client = official_client(self.credentials, self._http)

    async def create(self, call: NewCall, timeout: float) -> SendOutcome:
        """Begin a call within `timeout` seconds; never raises for Twilio's faults."""
        exchange = begin_exchange(timeout)
        detects = call.machine_detection is not None
        try:
            created = await self._client.calls.create_async(
                to=call.to,
                from_=call.sender,
                url=call.url,
                method="POST",
                status_callback=call.status_callback,
                status_callback_method="POST",
                status_callback_event=PROGRESS_EVENTS,
                timeout=call.ring_seconds,
                machine_detection=call.machine_detection if detects else unset,
                async_amd="true" if detects else unset,
                async_amd_status_callback=call.machine_callback or unset,
                async_amd_status_callback_method="POST" if detects else unset,
            )
        except FAULTS as error:
            return not_taken(error, exchange)
        return Taken(created.sid) if created.sid else OutcomeUnknown("unreadable_answer")

    async def listed(self, to: str, sender: str) -> Sequence[ListedCall] | OutcomeUnknown:
        """The newest calls from one number to another; OutcomeUnknown where Twilio does not answer."""
        exchange = begin_exchange(LIST_SECONDS)
        try:
            found = await self._client.calls.list_async(
                to=to, from_=sender, page_size=LIST_LIMIT, limit=LIST_LIMIT
            )
            return [_listed(one) for one in found if one.sid and one.date_created]
        except FAULTS as error:
            return not_told(error, exchange)

    async def fetched(self, sid: str) -> ListedCall | OutcomeUnknown | None:
        """One call as it stands; None: Twilio has no such call. OutcomeUnknown where it does not answer."""
        exchange = begin_exchange(LIST_SECONDS)
        try:
            return _listed(await self._client.calls(sid).fetch_async())
        except FAULTS as error:
            return None if _is(error, NO_SUCH_CALL) else not_told(error, exchange)

    async def hang_up(self, sid: str, timeout: float) -> SendOutcome:
        """End a call, whether it rings or is answered; one that is over, or not there, is as good."""
        return await self._update(sid, timeout, status="completed")

    async def redirect(self, sid: str, url: str, timeout: float) -> SendOutcome:
        """Have an answered call go on with the document at `url`."""
        return await self._update(sid, timeout, url=url, method="POST")

    async def perform(self, sid: str, twiml: str, timeout: float) -> SendOutcome:
        """Have an answered call go on with this document."""
        return await self._update(sid, timeout, twiml=twiml)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def _update(self, sid: str, timeout: float, **change: str) -> SendOutcome:
        exchange = begin_exchange(timeout)
        try:
            await self._client.calls(sid).update_async(**change)
        except FAULTS as error:
            gone = _is(error, OVER) or _is(error, NO_SUCH_CALL)
            return Taken(sid) if gone else not_taken(error, exchange)
        return Taken(sid)


def _is(error: Exception, code: int) -> bool:
    return isinstance(error, TwilioRestException | TwilioServiceException) and error.code == code


def _listed(call: CallInstance) -> ListedCall:
    """Raises ValueError for a call without what every call has."""
    if call.sid is None or call.date_created is None:
        raise ValueError("not a call")
    return ListedCall(
        sid=call.sid,
        status=str(call.status),
        direction=str(call.direction),
        created_at=int(call.date_created.timestamp()) * SECOND,
    )
