"""The Calls resource of the fake Twilio: create, fetch, list, update.

A created call rings in the background, and is answered at once unless its phone is told otherwise: its
TwiML is fetched and acted on while the create has long been answered, as at Twilio.
"""

import asyncio
from collections.abc import Coroutine, Sequence

from aiohttp import web

from channels.twilio.fake.calls import FakeCall
from channels.twilio.fake.callstate import CallParties, CallStatus
from channels.twilio.fake.errors import RestError, not_found
from channels.twilio.fake.phones import Dialling, Phone
from channels.twilio.fake.rest import Gate, answer, api_date, form_of, page_of
from channels.twilio.fake.rooms import Rooms
from channels.twilio.fake.webhooks import Webhooks

BASE = "/2010-04-01/Accounts/{account}"
_SUBRESOURCES = (
    "Notifications",
    "Recordings",
    "Payments",
    "Events",
    "Siprec",
    "Streams",
    "Transcriptions",
    "UserDefinedMessageSubscriptions",
    "UserDefinedMessages",
)
_EVENTS = frozenset({"initiated", "ringing", "answered", "completed"})


class CallsResource:
    """Routes under `/Calls`, and all calls there have been, in order."""

    def __init__(self, gate: Gate, webhooks: Webhooks) -> None:
        self.rooms = Rooms(gate.account_sid, webhooks)
        self.second = 0.0
        """How long a second of the pauses of calls to come takes."""
        self.calls: dict[str, FakeCall] = {}
        self.phones: dict[str, Phone] = {}
        """How numbers behave that are called; one that is not here answers at once."""
        self._gate = gate
        self._webhooks = webhooks
        self._running: set[asyncio.Task[None]] = set()

    def routes(self) -> list[web.RouteDef]:
        """What to mount."""
        guard = self._gate.guard
        return [
            web.post(f"{BASE}/Calls.json", guard(self._create)),
            web.get(f"{BASE}/Calls.json", guard(self._list)),
            web.get(f"{BASE}/Calls/{{sid}}.json", guard(self._fetch)),
            web.post(f"{BASE}/Calls/{{sid}}.json", guard(self._update)),
        ]

    def add(self, parties: CallParties) -> FakeCall:
        """A new call, that nobody has answered yet."""
        call = FakeCall(self._gate.account_sid, parties, self._webhooks, self.rooms, self.second)
        self.calls[call.sid] = call
        return call

    async def stop(self) -> None:
        """Stop what runs in the background."""
        for call in self.calls.values():
            await call.stop()
        await self.rooms.stop()
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _create(self, request: web.Request) -> web.StreamResponse:
        form = await form_of(request)
        fields = dict(form)
        call = self.add(_parties(form))
        body = self._json(call)
        phone = self.phones.get(call.parties.to, Phone())
        self._run(Dialling(call, fields, self._webhooks).reach(phone))
        return self._gate.created(request, body)

    async def _fetch(self, request: web.Request) -> web.StreamResponse:
        return answer(self._json(self._call(request)))

    async def _update(self, request: web.Request) -> web.StreamResponse:
        call = self._call(request)
        fields = dict(await form_of(request))
        if call.ended:
            raise RestError(21220, "Call is not in-progress. Cannot redirect.")
        status = fields.get("Status")
        if status in ("completed", "canceled"):
            self._run(call.finish(CallStatus(status)))
        elif status is not None:
            raise RestError(20001, f"Status {status} is not valid")
        elif "Twiml" in fields:
            self._run(call.perform(fields["Twiml"]))
        elif "Url" in fields:
            self._run(call.fetch(fields["Url"], (), fields.get("Method", "POST")))
        else:
            raise RestError(21218, "Url, Twiml or Status is required")
        return answer(self._json(call))

    async def _list(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        found = [
            call
            for call in reversed(self.calls.values())
            if query.get("To") in (None, call.parties.to)
            and query.get("From") in (None, call.parties.from_)
            and query.get("Status") in (None, call.status)
        ]
        page = page_of(request, found, lambda call: call.sid)
        return answer(page.fields(request) | {"calls": [self._json(one) for one in page.records]})

    def _call(self, request: web.Request) -> FakeCall:
        call = self.calls.get(request.match_info["sid"])
        if call is None:
            raise not_found(request.path)
        return call

    def _run(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def _json(self, call: FakeCall) -> dict[str, object]:
        uri = f"/2010-04-01/Accounts/{self._gate.account_sid}/Calls/{call.sid}"
        created = api_date(call.created_at)
        return {
            "account_sid": self._gate.account_sid,
            "answered_by": None,
            "api_version": "2010-04-01",
            "caller_name": None,
            "date_created": created,
            "date_updated": api_date(call.ended_at) or created,
            "direction": call.parties.direction,
            "duration": str(call.duration) if call.ended else None,
            "end_time": api_date(call.ended_at),
            "forwarded_from": None,
            "from": call.parties.from_,
            "from_formatted": call.parties.from_,
            "group_sid": None,
            "parent_call_sid": None,
            "phone_number_sid": None,
            "price": None,
            "price_unit": "USD",
            "queue_time": "0",
            "sid": call.sid,
            "start_time": None if call.status == CallStatus.QUEUED else created,
            "status": call.status,
            "subresource_uris": {_snake(name): f"{uri}/{name}.json" for name in _SUBRESOURCES},
            "to": call.parties.to,
            "to_formatted": call.parties.to,
            "trunk_sid": None,
            "uri": f"{uri}.json",
        }


def _parties(form: Sequence[tuple[str, str]]) -> CallParties:
    fields = dict(form)
    if not fields.get("To"):
        raise RestError(21201, "No 'To' number is specified")
    if not fields.get("From"):
        raise RestError(21213, "A 'From' phone number is required.")
    if not (fields.get("Url") or fields.get("Twiml")):
        raise RestError(21205, "Url parameter is required.")
    asked = frozenset(word for name, value in form if name == "StatusCallbackEvent" for word in value.split())
    if not asked <= _EVENTS:
        raise RestError(21626, "Invalid StatusCallbackEvent")
    return CallParties(
        from_=fields["From"],
        to=fields["To"],
        direction="outbound-api",
        status_callback=fields.get("StatusCallback", ""),
        status_events=asked or frozenset({"completed"}),
    )


def _snake(name: str) -> str:
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in name).lstrip("_")
