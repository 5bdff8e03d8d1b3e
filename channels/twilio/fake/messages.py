"""The Messages resource of the fake Twilio: create, fetch, list."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from aiohttp import web

from channels.twilio.fake.callbacks import UNDELIVERED, StatusCallbacks, Step
from channels.twilio.fake.errors import not_found
from channels.twilio.fake.ledger import Ledger, Message
from channels.twilio.fake.outgoing import draft_of, segments
from channels.twilio.fake.rest import Gate, answer, api_date, form_of, page_of

BASE = "/2010-04-01/Accounts/{account}"


class MessagesResource:
    """Routes under `/Messages`."""

    def __init__(
        self,
        gate: Gate,
        ledger: Ledger,
        callbacks: StatusCallbacks,
        steps_to: Callable[[str], Sequence[Step]],
    ) -> None:
        """`steps_to` gives the statuses a message to a number takes, the first being that of the answer."""
        self._gate = gate
        self._ledger = ledger
        self._callbacks = callbacks
        self._steps_to = steps_to

    def routes(self) -> list[web.RouteDef]:
        """What to mount."""
        guard = self._gate.guard
        return [
            web.post(f"{BASE}/Messages.json", guard(self._create)),
            web.get(f"{BASE}/Messages.json", guard(self._list)),
            web.get(f"{BASE}/Messages/{{sid}}.json", guard(self._fetch)),
        ]

    async def _create(self, request: web.Request) -> web.StreamResponse:
        draft = draft_of(await form_of(request))
        steps = self._steps_to(draft.to)
        if draft.messaging_service_sid:
            steps = [Step("accepted"), *steps]
        if self._gate.dice.hits(self._gate.dice.faults.undelivered):
            steps = [*steps[:-1], UNDELIVERED]
        first, *later = steps
        message = self._ledger.accept(replace(draft, status=first.status))
        body = self._json(message)
        self._callbacks.begin(message, later)
        return self._gate.created(request, body)

    async def _fetch(self, request: web.Request) -> web.StreamResponse:
        message = self._ledger.get(request.match_info["sid"])
        if message is None:
            raise not_found(request.path)
        return answer(self._json(message))

    async def _list(self, request: web.Request) -> web.StreamResponse:
        to, sender = request.query.get("To"), request.query.get("From")
        found = self._ledger.to(to) if to else self._ledger.everything()
        newest_first = [one for one in reversed(found) if not sender or one.from_ == sender]
        page = page_of(request, newest_first, lambda message: message.sid)
        return answer(page.fields(request) | {"messages": [self._json(one) for one in page.records]})

    def _json(self, message: Message) -> dict[str, object]:
        uri = f"/2010-04-01/Accounts/{self._gate.account_sid}/Messages/{message.sid}"
        created = api_date(message.created_at)
        gone = message.direction == "inbound" or message.status not in ("accepted", "queued", "scheduled")
        return {
            "account_sid": self._gate.account_sid,
            "api_version": "2010-04-01",
            "body": message.body,
            "date_created": created,
            "date_sent": created if gone else None,
            "date_updated": created,
            "direction": message.direction,
            "error_code": message.error_code,
            "error_message": None,
            "from": message.from_ or None,
            "messaging_service_sid": message.messaging_service_sid,
            "num_media": str(message.media),
            # A Messaging Service has not chosen a sender yet, so nothing has been counted.
            "num_segments": "0" if message.status == "accepted" else str(segments(message.body)),
            "price": None,
            "price_unit": "USD",
            "sid": message.sid,
            "status": message.status,
            "subresource_uris": {"media": f"{uri}/Media.json"},
            "to": message.to,
            "uri": f"{uri}.json",
        }
