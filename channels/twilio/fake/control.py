"""The control API of the fake Twilio, `/_fake/…`: how another process reads its ledger and drives it.

`GET /_fake/messages?after=ORDINAL` the ledger, both directions; `DELETE /_fake/messages` forgets it;
`GET /_fake/callbacks` how many status callbacks were taken and not, and how many messages are under way;
`POST /_fake/faults` replaces all faults; `POST /_fake/text` `{"from", "to", "body", "via"?, …form fields}`.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Protocol

from aiohttp import web

from channels.twilio.fake.callbacks import StatusCallbacks
from channels.twilio.fake.faults import Faults
from channels.twilio.fake.ledger import Ledger
from channels.twilio.fake.rest import answer
from channels.twilio.fake.webhooks import WebhookAnswer, WebhookUnreachable


class Controlled(Protocol):
    """What the control API drives: the fake."""

    faults: Faults

    @property
    def callbacks(self) -> StatusCallbacks:
        """The status callbacks."""
        ...

    async def text(self, from_: str, to: str, body: str, *, via: str = "", **extra: str) -> WebhookAnswer:
        """Send a text to the webhook."""
        ...


class Control:
    """Routes under `/_fake`."""

    def __init__(self, fake: Controlled, ledger: Ledger) -> None:
        self._fake = fake
        self._ledger = ledger

    def routes(self) -> Sequence[web.RouteDef]:
        """What to mount."""
        return [
            web.get("/_fake/messages", self._messages),
            web.delete("/_fake/messages", self._forget),
            web.get("/_fake/callbacks", self._callbacks),
            web.post("/_fake/faults", self._set_faults),
            web.post("/_fake/text", self._text),
        ]

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        try:
            after = int(request.query.get("after", "-1"))
        except ValueError as error:
            raise web.HTTPBadRequest(text="after is not a number") from error
        return answer({"messages": [message.line() for message in self._ledger.everything(after)]})

    async def _callbacks(self, _request: web.Request) -> web.StreamResponse:
        callbacks = self._fake.callbacks
        return answer({"sent": callbacks.sent, "failed": callbacks.failed, "under_way": callbacks.under_way})

    async def _forget(self, request: web.Request) -> web.StreamResponse:
        self._ledger.clear()
        return web.Response(status=204)

    async def _set_faults(self, request: web.Request) -> web.StreamResponse:
        try:
            self._fake.faults = Faults.parse(await _object(request))
        except ValueError as error:
            raise web.HTTPBadRequest(text=str(error)) from error
        return answer(asdict(self._fake.faults))

    async def _text(self, request: web.Request) -> web.StreamResponse:
        fields = {name: str(value) for name, value in (await _object(request)).items()}
        try:
            from_, to, body = fields.pop("from"), fields.pop("to"), fields.pop("body")
        except KeyError as error:
            raise web.HTTPBadRequest(text=f"{error} is missing") from error
        via = fields.pop("via", "")
        try:
            webhook = await self._fake.text(from_, to, body, via=via, **fields)
        except ValueError as error:
            raise web.HTTPBadRequest(text=str(error)) from error
        except WebhookUnreachable as error:
            raise web.HTTPBadGateway(text=str(error)) from error
        return answer({"status": webhook.status, "body": webhook.body})


async def _object(request: web.Request) -> dict[str, Any]:
    try:
        value = await request.json()
    except json.JSONDecodeError as error:
        raise web.HTTPBadRequest(text="not JSON") from error
    if not isinstance(value, dict):
        raise web.HTTPBadRequest(text="not a JSON object")
    return value
