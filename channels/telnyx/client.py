"""Telnyx's REST API for messages. One request is one attempt; nothing is retried here.

Source: https://developers.telnyx.com/api-reference/messages/send-a-message. The vendor's library would bring
its own HTTP client, time-outs and retries, for an API of which one call is needed.
"""

import json
from dataclasses import dataclass, field

import aiohttp
from pydantic import BaseModel, Field, ValidationError

from channels.exchange import Exchange, begin_exchange, json_headers, open_session, read_answer
from channels.telnyx.errors import failure_of
from gateway.domain.delivery import NOT_SENT, Failure, OutcomeUnknown, Refused, SendOutcome, Taken

MESSAGES_PATH = "/v2/messages"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMessage:
    """A message to send."""

    to: str
    sender: str
    text: str
    webhook_url: str
    """Where its receipts go."""


class _Created(BaseModel):
    id: str = Field(min_length=1, max_length=64)


class _Answer(BaseModel):
    data: _Created


class _Error(BaseModel):
    code: str = Field("", coerce_numbers_to_str=True)


class _Errors(BaseModel):
    errors: list[_Error] = Field(default_factory=list)


@dataclass(slots=True)
class TelnyxRest:
    """The REST calls the gateway makes. One per process; close it when done."""

    api_key: str = field(repr=False)
    api_url: str
    """Without a trailing slash."""
    connections: int = 64
    """Concurrent requests."""
    _session: aiohttp.ClientSession | None = field(default=None, init=False, repr=False)

    async def create_message(self, message: NewMessage, timeout: float) -> SendOutcome:
        """Send one message within `timeout` seconds; never raises for Telnyx's faults."""
        exchange = begin_exchange(timeout)
        try:
            body = json.dumps(
                {
                    "from": message.sender,
                    "to": message.to,
                    "text": message.text,
                    "type": "SMS",
                    "webhook_url": message.webhook_url,
                    "use_profile_webhooks": False,
                },
                ensure_ascii=False,
            ).encode()
        except UnicodeEncodeError:
            return Refused(Failure.PERMANENT, "not_sendable")
        try:
            raw = await self._post(body, exchange)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            if exchange.written:
                return OutcomeUnknown(type(error).__name__)
            return Refused(Failure.TRANSIENT, NOT_SENT)
        return _outcome(exchange, raw)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _post(self, body: bytes, exchange: Exchange) -> bytes:
        if self._session is None:
            self._session = open_session(self.connections)
        async with self._session.post(
            self.api_url + MESSAGES_PATH,
            data=body,
            headers=json_headers(self.api_key),
            allow_redirects=False,
            timeout=exchange.limits,
        ) as response:
            return await read_answer(exchange, response)


def _outcome(exchange: Exchange, raw: bytes) -> SendOutcome:
    """What an answer says about the message."""
    status = exchange.status
    if status == 408 or status >= 500:
        return OutcomeUnknown(f"http_{status}")
    if status < 300:
        try:
            return Taken(_Answer.model_validate_json(raw).data.id)
        except ValidationError:
            return OutcomeUnknown("unreadable_answer")
    code = _code(raw) or str(status)
    return Refused(failure_of(status, code), code, exchange.retry_after)


def _code(raw: bytes) -> str:
    """The first error code of an answer; empty where it has none."""
    try:
        errors = _Errors.model_validate_json(raw).errors
    except ValidationError:
        return ""
    return errors[0].code[:16] if errors else ""
