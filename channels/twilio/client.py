"""Twilio's REST API through the official client, with an HTTP client of our own underneath.

The official HTTP clients have no time-out, and the asynchronous one posts again after a 503. Ours limits each
phase, never retries, and notes how far a request got, which tells a message that was not sent from one whose
outcome is unknown. Importing this module imports the vendor's SDK (0.4 s): do it where it is needed.
"""

import logging
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote_plus, urlencode

import aiohttp
from pydantic_core import from_json
from twilio.base.exceptions import TwilioException, TwilioRestException, TwilioServiceException
from twilio.http import AsyncHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from channels.exchange import Exchange, begin_exchange, current_exchange, open_session, read_answer
from channels.twilio.credentials import TwilioCredentials
from channels.twilio.errors import failure_of, retry_after
from gateway.domain.attachment import media_type_of
from gateway.domain.clock import SECOND
from gateway.domain.delivery import NOT_SENT, Failure, OutcomeUnknown, Refused, SendOutcome, Taken

LIST_SECONDS = 10.0
INBOUND_LIMIT = 200
"""How many of a number's newest messages are looked through for missed ones."""
MAX_MEDIA = 10
"""Files of one message."""
LIST_LIMIT = 50
"""How many messages a look for a lost one covers: the newest of one pair of numbers."""
NOT_SENDABLE = "not_sendable"
"""Our code for a message that cannot be made into a request, such as one with lone surrogates."""
UNREADABLE = (TwilioException, ValueError, KeyError, TypeError, AttributeError)
"""What the official client raises for an answer that is not what it expects."""
FAULTS = (TimeoutError, aiohttp.ClientError, OSError, *UNREADABLE)
"""Everything that a request may raise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMessage:
    """A message to send."""

    to: str
    sender: str
    body: str
    status_callback: str
    validity_seconds: int
    """After so long in Twilio's queue it is dropped, rather than sent late."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SentMessage:
    """A message as Twilio lists it."""

    sid: str
    body: str
    direction: str
    created_at: int
    """Microseconds since the epoch, UTC; Twilio rounds to whole seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedMessage:
    """A message that somebody has sent us, as Twilio lists it."""

    sid: str
    sender: str
    to: str
    body: str
    created_at: int
    media: tuple[tuple[str, str], ...] = ()
    """URL and media type of each file."""


class PhasedHttpClient(AsyncHttpClient):
    """The official client's transport on aiohttp. One request is one attempt."""

    def __init__(self, connections: int) -> None:
        super().__init__(logging.getLogger(__name__), True)
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def request(  # type: ignore[override]  # noqa: PLR0913 -- as the official asynchronous one
        self,
        method: str,
        uri: str,
        params: Mapping[str, str] | None = None,
        data: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> Response:
        """One HTTP request. Nothing is logged: URLs and bodies are personal."""
        exchange = current_exchange()
        exchange.timeout = timeout or exchange.timeout
        async with self._opened().request(
            method,
            uri,
            params=params,
            # encoded here: the session's own forms are made for files, and cost three times as much
            data=urlencode(data, doseq=True).encode() if data else None,
            headers={**(headers or {}), **_authorization(auth)},
            allow_redirects=allow_redirects,
            timeout=exchange.limits,
        ) as response:
            raw = await read_answer(exchange, response)
            return Response(response.status, raw.decode("utf-8", "replace"), response.headers)

    async def post(self, url: str, form: bytes, headers: Mapping[str, str]) -> bytes:
        """The answer to a form, whatever its status. Raises TimeoutError, aiohttp.ClientError, OSError."""
        exchange = current_exchange()
        async with self._opened().post(
            url, data=form, headers=headers, allow_redirects=False, timeout=exchange.limits
        ) as response:
            return await read_answer(exchange, response)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = open_session(self._connections)
        return self._session


def official_client(credentials: TwilioCredentials, http: PhasedHttpClient) -> Client:
    """The official client on our transport."""
    # The environment is not for the SDK to read: settings are read in one place.
    client = Client(
        credentials.account_sid,
        credentials.auth_tokens[0],
        http_client=http,
        environment={"TWILIO_EDGE": "", "TWILIO_REGION": ""},
    )
    client.api.base_url = credentials.api_url
    return client


@dataclass(slots=True)
class TwilioRest:
    """The REST calls the gateway makes. One per process; close it when done."""

    credentials: TwilioCredentials
    connections: int = 64
    """Concurrent requests; Twilio answers 429 when an account has too many."""
    _http: PhasedHttpClient = field(init=False, repr=False)
    _client: Client = field(init=False, repr=False)
    _messages: str = field(init=False, repr=False)
    _headers: Mapping[str, str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Raises ValueError without an account."""
        if not self.credentials.account_sid:
            raise ValueError("sending needs an account sid")
        self._http = PhasedHttpClient(self.connections)
        self._client = official_client(self.credentials, self._http)
        account, token = self.credentials.account_sid, self.credentials.auth_tokens[0]
        self._messages = f"{self.credentials.api_url}/2010-04-01/Accounts/{account}/Messages.json"
        self._headers = {**self._client.get_headers("POST", None), **_authorization((account, token))}

    async def create_message(self, message: NewMessage, timeout: float) -> SendOutcome:
        """Send one message within `timeout` seconds; never raises for Twilio's faults.

        Past the official client's own layers: of a form and an answer they make nothing that we need.
        """
        exchange = begin_exchange(timeout)
        try:
            answer = _read(await self._http.post(self._messages, _form(message), self._headers))
        except FAULTS as error:
            return not_taken(error, exchange)
        if not 200 <= exchange.status < 300:
            return _refused(exchange, answer.get("code"))
        sid = answer.get("sid")
        return Taken(sid) if sid and isinstance(sid, str) else OutcomeUnknown("unreadable_answer")

    async def list_messages(self, to: str, sender: str) -> Sequence[SentMessage] | OutcomeUnknown:
        """The newest messages between two numbers; OutcomeUnknown where Twilio does not answer."""
        exchange = begin_exchange(LIST_SECONDS)
        try:
            listed = await self._client.messages.list_async(
                to=to, from_=sender, page_size=LIST_LIMIT, limit=LIST_LIMIT
            )
            return [
                SentMessage(
                    sid=one.sid,
                    body=one.body or "",
                    direction=str(one.direction),
                    created_at=int(one.date_created.timestamp()) * SECOND,
                )
                for one in listed
                if one.sid and one.date_created
            ]
        except FAULTS as error:
            return not_told(error, exchange)

    async def list_inbound(self, to: str) -> Sequence[ListedMessage] | OutcomeUnknown:
        """The newest messages to one of our numbers that came from outside, each with its files."""
        exchange = begin_exchange(LIST_SECONDS)
        try:
            listed = await self._client.messages.list_async(
                to=to, page_size=INBOUND_LIMIT, limit=INBOUND_LIMIT
            )
            return [
                ListedMessage(
                    sid=one.sid,
                    sender=str(one.from_ or ""),
                    to=str(one.to),
                    body=one.body or "",
                    created_at=int(one.date_created.timestamp()) * SECOND,
                    media=await self._media(one.sid) if (one.num_media or "0") != "0" else (),
                )
                for one in listed
                if one.sid and one.date_created and str(one.direction) == "inbound"
            ]
        except FAULTS as error:
            return not_told(error, exchange)

    async def _media(self, sid: str) -> tuple[tuple[str, str], ...]:
        begin_exchange(LIST_SECONDS)
        files = await self._client.messages(sid).media.list_async(limit=MAX_MEDIA)
        api = self.credentials.api_url
        return tuple(
            (f"{api}{str(file.uri).removesuffix('.json')}", media_type_of(file.content_type))
            for file in files
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()


def not_taken(error: Exception, exchange: Exchange) -> SendOutcome:
    """What became of a request to change something that raised one of FAULTS."""
    match error:
        case TwilioRestException() | TwilioServiceException():
            return _refused(exchange, error.code)
        case TimeoutError() | aiohttp.ClientError() | OSError():
            return _broken(error, exchange)
    return _refused(exchange, None)


def not_told(error: Exception, exchange: Exchange) -> OutcomeUnknown:
    """Why a question that raised one of FAULTS is still open."""
    match error:
        case TimeoutError() | aiohttp.ClientError() | OSError():
            return OutcomeUnknown(type(error).__name__)
    return OutcomeUnknown("unreadable_answer" if exchange.status < 300 else f"http_{exchange.status}")


def _refused(exchange: Exchange, code: object) -> SendOutcome:
    """What an answer that names no message says about it; `code` is what its JSON says, whatever that is."""
    status = exchange.status
    if not exchange.written:
        return Refused(Failure.PERMANENT, NOT_SENDABLE)
    if status < 300:
        return OutcomeUnknown("unreadable_answer")
    if status == 408 or status >= 500:
        return OutcomeUnknown(f"http_{status}")
    known = code if isinstance(code, int) else status
    wait = exchange.retry_after if exchange.retry_after is not None else retry_after(known)
    return Refused(failure_of(status, known), "20429" if status == 429 else str(known), wait)


def _broken(error: Exception, exchange: Exchange) -> SendOutcome:
    """What a failed connection says about the message: not sent only where nothing was written."""
    if exchange.written:
        return OutcomeUnknown(type(error).__name__)
    return Refused(Failure.TRANSIENT, NOT_SENT)


def _form(message: NewMessage) -> bytes:
    """The parameters of a message. Raises ValueError where it holds lone surrogates."""
    return (
        f"To={quote_plus(message.to)}&From={quote_plus(message.sender)}&Body={quote_plus(message.body)}"
        f"&StatusCallback={quote_plus(message.status_callback)}&ValidityPeriod={message.validity_seconds}"
        "&SmartEncoded=false"
    ).encode()


def _read(raw: bytes) -> dict[str, object]:
    """What an answer says; nothing where it is not a JSON object."""
    try:
        answer = from_json(raw)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _authorization(auth: tuple[str, str] | None) -> dict[str, str]:
    if auth is None:
        return {}
    return {"Authorization": f"Basic {b64encode(':'.join(auth).encode()).decode()}"}
