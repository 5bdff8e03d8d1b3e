"""The events the fake Telnyx sends, signed like the real ones with a key of its own."""

import json
import time
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import uuid4

import aiohttp
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from channels.telnyx.signature import SIGNATURE_HEADER, TIMESTAMP_HEADER, signed_text
from channels.twilio.fake.callbacks import Step
from channels.twilio.fake.ledger import Message
from channels.twilio.fake.webhooks import WebhookAnswer, WebhookUnreachable

TOTAL_SECONDS = 15.0
_FINAL = frozenset({"delivered", "delivery_unconfirmed", "sending_failed", "delivery_failed", "expired"})


class Events:
    """Signs and posts events for one account. Close it when done."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()
        self._session: aiohttp.ClientSession | None = None

    @property
    def public_key(self) -> str:
        """What the portal would show."""
        return b64encode(self._key.public_key().public_bytes_raw()).decode()

    def headers(self, body: bytes, timestamp: str | None = None) -> dict[str, str]:
        """The headers that prove a body, sent now or at `timestamp` (Unix seconds)."""
        at = timestamp if timestamp is not None else str(int(time.time()))
        signature = b64encode(self._key.sign(signed_text(at, body))).decode()
        return {
            "Content-Type": "application/json",
            SIGNATURE_HEADER: signature,
            TIMESTAMP_HEADER: at,
            "User-Agent": "telnyx-webhooks",
        }

    async def post(self, url: str, event_type: str, payload: Mapping[str, object]) -> WebhookAnswer:
        """Post one event; raises WebhookUnreachable where no answer comes."""
        body = event_body(event_type, payload)
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TOTAL_SECONDS))
        try:
            async with self._session.post(
                url, data=body, headers=self.headers(body), allow_redirects=False
            ) as response:
                return WebhookAnswer(response.status, response.content_type, await response.text())
        except (TimeoutError, aiohttp.ClientError) as error:
            raise WebhookUnreachable(type(error).__name__) from error

    async def report(self, message: Message, step: Step) -> WebhookAnswer:
        """Tell what became of a message, at the message's own webhook URL."""
        kind = "message.finalized" if step.status in _FINAL else "message.sent"
        errors = [] if step.error_code is None else [{"code": str(step.error_code), "title": "Not delivered"}]
        payload = message_payload(message, status=step.status) | {"errors": errors}
        return await self.post(message.status_callback, kind, payload)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def event_body(event_type: str, payload: Mapping[str, object]) -> bytes:
    """An event as it is sent."""
    data = {
        "record_type": "event",
        "id": str(uuid4()),
        "event_type": event_type,
        "occurred_at": datetime.now(UTC).isoformat(),
        "payload": payload,
    }
    return json.dumps({"data": data, "meta": {"attempt": 1, "delivered_to": ""}}).encode()


def message_payload(message: Message, *, status: str) -> dict[str, object]:
    """A message as events and answers show it."""
    return {
        "record_type": "message",
        "direction": "inbound" if message.direction == "inbound" else "outbound",
        "id": message.sid,
        "type": "MMS" if message.media else "SMS",
        "messaging_profile_id": "4000eba1-a0c0-4563-9925-b25e842a7cb6",
        "from": {"phone_number": message.from_, "carrier": "", "line_type": "Wireless"},
        "to": [{"phone_number": message.to, "status": status, "carrier": "", "line_type": "Wireless"}],
        "cc": [],
        "text": message.body,
        "media": [],
        "webhook_url": message.status_callback or None,
        "webhook_failover_url": None,
        "encoding": "GSM-7",
        "parts": 1,
        "tags": [],
        "cost": None,
        "errors": [],
    }
