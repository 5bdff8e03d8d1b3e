"""The fake Telnyx itself: the Messages resource on loopback, and a source of texts.

It keeps the ledger, the faults and the status machine of the fake Twilio.
"""

import asyncio
import json
from collections.abc import Iterable, Sequence
from uuid import uuid4

from aiohttp import web

from channels.telnyx.client import MESSAGES_PATH
from channels.telnyx.events import PATH, RECEIVED
from channels.telnyx.fake.events import Events, message_payload
from channels.twilio.fake.ledger import Draft, Ledger
from channels.twilio.fake.provider import FakeProvider
from channels.twilio.fake.rest import answer, drop
from channels.twilio.fake.webhooks import WebhookAnswer

STOPPED = "40300"
_REFUSALS = {
    "+15005550001": ("40310", "Invalid 'to' address", 422),
    "+15005550004": (STOPPED, "Blocked due to STOP message", 403),
}
"""Destinations that are always refused."""


class FakeTelnyx(FakeProvider):
    """One Telnyx account, served on a loopback port."""

    def __init__(
        self,
        api_key: str,
        *,
        webhook_url: str = "",
        statuses: Sequence[str] = ("queued", "sent", "delivered"),
        callback_delay: float = 0.02,
    ) -> None:
        self.events = Events()
        self._api_key = api_key
        super().__init__(
            self.events.report,
            Ledger(),
            webhook_url=webhook_url,
            statuses=statuses,
            callback_delay=callback_delay,
        )

    def routes(self) -> Iterable[web.RouteDef]:
        """The messages, and the balance that shows whether the key is right."""
        return [web.post(MESSAGES_PATH, self._create), web.get("/v2/balance", self._balance)]

    async def stop(self) -> None:
        """Close everything; events that have not been sent are not sent."""
        await super().stop()
        await self.events.close()

    async def text(self, from_: str, to: str, body: str, *, via: str = "", **extra: str) -> WebhookAnswer:
        """A person texts one of our numbers; returns what the webhook answered.

        `extra` replaces fields of the payload (the same `id` twice is a repeated event); `via` is a base URL
        to post to instead of `webhook_url`. Raises WebhookUnreachable.
        """
        sid = extra.get("id") or str(uuid4())
        message = self._ledger.accept(Draft(to, from_, body, "received", direction="inbound", sid=sid))
        payload = message_payload(message, status="webhook_delivered") | extra
        return await self.events.post((via or self.webhook_url) + PATH, RECEIVED, payload)

    def _knows(self, request: web.Request) -> bool:
        return request.headers.get("Authorization") == f"Bearer {self._api_key}"

    async def _balance(self, request: web.Request) -> web.StreamResponse:
        if not self._knows(request):
            return _refusal("10009", "Authentication failed", 401)
        return answer({"data": {"record_type": "balance", "balance": "1.00", "currency": "USD"}})

    async def _create(self, request: web.Request) -> web.StreamResponse:
        if not self._knows(request):
            return _refusal("10009", "Authentication failed", 401)
        faults = self._dice.faults
        if self._dice.hits(faults.delay_probability):
            await asyncio.sleep(faults.delay_seconds)
        if self._dice.hits(faults.drop_before):
            return drop(request)
        if self._dice.hits(faults.rate_429):
            return _refusal("10011", "Too many requests", 429)
        if self._dice.hits(faults.rate_5xx):
            return _refusal("10007", "Unexpected error", 503)
        draft = _draft(await request.read())
        if not isinstance(draft, Draft):
            return draft
        first, *later = self._steps
        message = self._ledger.accept(draft)
        message.status = first.status
        body = {"data": message_payload(message, status=first.status)}
        self._callbacks.begin(message, later)
        return drop(request) if self._dice.hits(faults.drop_after_accept) else answer(body)


def _draft(raw: bytes) -> Draft | web.Response:
    try:
        fields = json.loads(raw)
    except ValueError:
        return _refusal("10015", "Bad Request", 400)
    if not isinstance(fields, dict) or not all(
        isinstance(fields.get(name), str) and fields[name] for name in ("from", "to", "text")
    ):
        return _refusal("10004", "Missing required parameter", 422)
    if fields["to"] in _REFUSALS:
        return _refusal(*_REFUSALS[fields["to"]])
    return Draft(
        fields["to"],
        fields["from"],
        fields["text"],
        "queued",
        sid=str(uuid4()),
        status_callback=fields.get("webhook_url") or "",
    )


def _refusal(code: str, title: str, status: int) -> web.Response:
    return answer({"errors": [{"code": code, "title": title, "detail": title}]}, status)
