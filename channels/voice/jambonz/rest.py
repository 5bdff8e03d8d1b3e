"""jambonz's REST API for calls. One request is one attempt; nothing is retried here.

Source: https://docs.jambonz.org/reference/rest-call-control/calls, and accounts.js of its API server.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote

import aiohttp
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from channels.exchange import Exchange, begin_exchange, json_headers, open_session, read_answer
from channels.voice.jambonz.account import JambonzAccount
from gateway.domain.delivery import NOT_SENT, Failure, OutcomeUnknown, Refused, SendOutcome, Taken

ASK_SECONDS = 10.0
MISSING = 404
NO_SERVER = 480
"""No machine of jambonz's can make the call now; it was not made."""
_FAULTS = (TimeoutError, aiohttp.ClientError, OSError)
_BUSY = frozenset({408, 425, 429, NO_SERVER})
_OURS = frozenset({401, 403, MISSING})


class ListedCall(BaseModel):
    """A call as jambonz lists it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    call_sid: str = Field(min_length=1, max_length=64)
    call_status: str = Field("", max_length=64)
    direction: str = Field("", max_length=64)
    sender: str = Field("", alias="from", max_length=255)
    recipient: str = Field("", alias="to", max_length=255)
    application_sid: str | None = Field(None, max_length=64)
    """Whose call it is; an account may have other applications with the same numbers."""
    parent_call_sid: str | None = Field(None, max_length=64)
    """The call that has dialled it: of a transfer, say."""
    trunk: str | None = Field(None, alias="originating_sip_trunk_name", max_length=255)
    """Of the carrier it came over."""


class _Created(BaseModel):
    sid: str = Field(min_length=1, max_length=64)


_CALL: TypeAdapter[ListedCall] = TypeAdapter(ListedCall)
_LIST: TypeAdapter[list[ListedCall]] = TypeAdapter(list[ListedCall])
T = TypeVar("T")


@dataclass(slots=True)
class JambonzRest:
    """The calls of one account. One per process; close it when done."""

    account: JambonzAccount
    connections: int = 16
    _session: aiohttp.ClientSession | None = field(default=None, init=False, repr=False)

    async def create(self, call: dict[str, Any], timeout: float) -> SendOutcome:
        """Begin a call within `timeout` seconds; never raises for jambonz's faults."""
        exchange = begin_exchange(timeout)
        body = {"application_sid": self.account.application_sid, **call}
        raw = await self._request("POST", "", exchange, body)
        if not isinstance(raw, bytes):
            return raw
        if exchange.status < 300:
            try:
                return Taken(_Created.model_validate_json(raw).sid)
            except ValidationError:
                return OutcomeUnknown("unreadable_answer")
        return _refused(exchange)

    async def listed(self, to: str, sender: str) -> Sequence[ListedCall] | OutcomeUnknown:
        """The calls from one number to another that jambonz remembers; OutcomeUnknown: it does not answer."""
        query = f"?direction=outbound&from={quote(sender, safe='')}&to={quote(to, safe='')}"
        found = await self._read(query, _LIST)
        return OutcomeUnknown(f"http_{MISSING}") if found is None else found

    async def under_way(self) -> Sequence[ListedCall] | OutcomeUnknown:
        """Our application's calls that are answered and not over; OutcomeUnknown: jambonz does not answer."""
        found = await self._read("?callStatus=in-progress", _LIST)
        if not isinstance(found, list):
            return OutcomeUnknown(f"http_{MISSING}") if found is None else found
        ours = (None, self.account.application_sid)
        return [
            one
            for one in found
            if one.call_status == "in-progress" and one.application_sid in ours and not one.parent_call_sid
        ]

    async def dialled(self) -> Sequence[ListedCall] | OutcomeUnknown:
        """The calls that calls of ours have begun by a `dial`; OutcomeUnknown: jambonz does not answer."""
        found = await self._read("?direction=outbound", _LIST)
        if not isinstance(found, list):
            return OutcomeUnknown(f"http_{MISSING}") if found is None else found
        return [one for one in found if one.parent_call_sid]

    async def fetched(self, sid: str) -> ListedCall | OutcomeUnknown | None:
        """One call as it stands; None where jambonz knows of none (any more)."""
        return await self._read(f"/{quote(sid, safe='')}", _CALL)

    async def change(self, sid: str, change: dict[str, Any], timeout: float) -> SendOutcome:
        """Have a call do something else; one that is over is as good."""
        exchange = begin_exchange(timeout)
        raw = await self._request("PUT", f"/{quote(sid, safe='')}", exchange, change)
        if not isinstance(raw, bytes):
            return raw
        return Taken(sid) if exchange.status < 300 or exchange.status == MISSING else _refused(exchange)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _read(self, path: str, shape: TypeAdapter[T]) -> T | OutcomeUnknown | None:
        exchange = begin_exchange(ASK_SECONDS)
        raw = await self._request("GET", path, exchange, None)
        if not isinstance(raw, bytes):
            return OutcomeUnknown("no_answer")
        if exchange.status == MISSING:
            return None
        try:
            return shape.validate_json(raw) if exchange.status < 300 else OutcomeUnknown(_code(exchange))
        except ValidationError:
            return OutcomeUnknown("unreadable_answer")

    async def _request(
        self, method: str, path: str, exchange: Exchange, body: dict[str, Any] | None
    ) -> bytes | Refused | OutcomeUnknown:
        if self._session is None:
            self._session = open_session(self.connections)
        place = f"{self.account.api_url}/v1/Accounts/{quote(self.account.account_sid, safe='')}/Calls{path}"
        try:
            async with self._session.request(
                method,
                place,
                data=None if body is None else json.dumps(body).encode(),
                headers=json_headers(self.account.api_key),
                allow_redirects=False,
                timeout=exchange.limits,
            ) as response:
                return await read_answer(exchange, response)
        except _FAULTS as error:
            if exchange.written:
                return OutcomeUnknown(type(error).__name__)
            return Refused(Failure.TRANSIENT, NOT_SENT)


def _code(exchange: Exchange) -> str:
    return f"http_{exchange.status}"


def _refused(exchange: Exchange) -> SendOutcome:
    """What an answer that is no success says; after a 5xx jambonz may have dialled all the same."""
    status = exchange.status
    if status in _BUSY:
        return Refused(Failure.TRANSIENT, _code(exchange), exchange.retry_after)
    if status >= 500:
        return OutcomeUnknown(_code(exchange))
    return Refused(Failure.CONFIGURATION if status in _OURS else Failure.OUR_REQUEST, _code(exchange))
