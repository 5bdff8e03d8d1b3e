"""Webhook routes on a real server, and small stand-ins for the core behind them."""

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from urllib.parse import urlencode

import aiohttp
import uvicorn
from starlette.applications import Starlette
from starlette.routing import BaseRoute
from yarl import URL

from channels.contract import Ingress
from channels.twilio.credentials import TwilioCredentials
from channels.twilio.signature import sign
from gateway.domain.call_rules import CallRules
from gateway.domain.clock import Clock
from gateway.domain.conversation import Status
from gateway.domain.delivery import Receipt
from gateway.domain.errors import GatewayError, UnknownAddress
from gateway.domain.message import Accepted, Channel, InboundMessage, Message
from gateway.domain.outgoing_call import AnsweredReport, CallReport, Recording, Standing
from gateway.domain.ports.dialogue import CallNews
from gateway.domain.turn import Said, TurnOutcome
from gateway.domain.warm.held import HeldCall
from tests.turns import outcome

ACCOUNT = "AC" + "0" * 32
TOKEN = "token-of-this-test"
OURS = "+15550100"
THEIRS = "+15550123"


@dataclass
class Calls:
    """CallReports: keeps what it is told, and says that every call is ours."""

    reports: list[CallReport] = field(default_factory=list)
    answered: list[AnsweredReport] = field(default_factory=list)
    recordings: list[Recording] = field(default_factory=list)
    left: list[tuple[str, str]] = field(default_factory=list)
    """(conversation, call) of machines that were left their message."""
    standing: Standing = field(default_factory=lambda: Standing(ours=True, status=Status.ACTIVE))
    failure: GatewayError | None = None

    async def progress(self, report: CallReport) -> Standing:
        """How far a call has come."""
        if self.failure is not None:
            raise self.failure
        self.reports.append(report)
        return self.standing

    async def answered_by(self, report: AnsweredReport) -> None:
        """Who has answered."""
        self.answered.append(report)

    async def leaves_message(self, conversation_id: str, call_id: str) -> None:
        """A machine is left its message."""
        self.left.append((conversation_id, call_id))

    async def recorded(self, recording: Recording) -> None:
        """A recording can be fetched."""
        self.recordings.append(recording)


class NothingKept:
    """KeptTransfers: no call is taken up here."""

    async def keep(self, held: HeldCall, holder: str) -> bool:
        """Nothing moves it but whoever keeps it."""
        return True

    async def take_up(self, provider: str, call_id: str, holder: str) -> HeldCall | None:
        """There is none."""
        return None


class NoConnections:
    """CallConnections: no call has a connection here."""

    async def connect(self, provider: str, call_id: str) -> int | None:
        """There is no such call."""
        return None

    async def take(self, provider: str, call_id: str, number: int) -> int | None:
        """Nor is there one to take over."""
        return None


@dataclass
class Core:
    """Accept, Dialogue and ApplyReceipt in one: keeps what it is given, answers by a script."""

    messages: dict[str, InboundMessage] = field(default_factory=dict)
    receipts: list[Receipt] = field(default_factory=list)
    ended: list[InboundMessage] = field(default_factory=list)
    answers: dict[str, TurnOutcome | None] = field(default_factory=dict)
    """By the message's text; None: the turn takes longer than anybody waits."""
    failure: GatewayError | None = None
    asked: int = 0
    interrupted: list[tuple[str, str, str]] = field(default_factory=list)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    status: Status = Status.ACTIVE
    waits: bool = False
    said: tuple[Message, ...] = ()
    left_over: TurnOutcome | None = None
    """A turn whose transfer nobody has begun."""
    aliases: dict[str, TurnOutcome] = field(default_factory=dict)
    calls: Calls = field(default_factory=Calls)

    async def __call__(self, message: InboundMessage) -> Accepted:
        """Accept."""
        if self.failure is not None:
            raise self.failure
        if not self.serves(message.channel, message.recipient):
            raise UnknownAddress(message.channel)
        key = message.provider_message_id
        duplicate = self.messages.setdefault(key, message) is not message
        return Accepted(conversation_id="c", message_id=key, end_user_id="e", duplicate=duplicate)

    def serves(self, channel: Channel, address: str) -> bool:
        """Only one number is ours."""
        return address == OURS

    async def receive(self, receipt: Receipt) -> None:
        """ApplyReceipt."""
        if self.failure is not None:
            raise self.failure
        self.receipts.append(receipt)

    async def ask(self, message: InboundMessage, wait: float) -> TurnOutcome | None:
        """Dialogue: accept and answer."""
        self.asked += 1
        await self(message)
        return self.answers.get(message.text, outcome(f"You said {message.text}."))

    async def outcome(self, provider: str, provider_message_id: str, wait: float) -> TurnOutcome | None:
        """Dialogue: the answer to a message accepted before."""
        if self.failure is not None:
            raise self.failure
        if provider_message_id in self.aliases:
            return self.aliases[provider_message_id]
        message = self.messages.get(provider_message_id)
        if message is None:
            return None
        return self.answers.get(message.text, outcome(f"You said {message.text}."))

    async def stream(self, message: InboundMessage) -> AsyncGenerator[Said | TurnOutcome, None]:
        """Dialogue: the answer in two pieces, once `go_on` is set."""
        await self(message)
        yield Said("")
        await self.go_on.wait()
        answer = self.answers.get(message.text, outcome(f"You said {message.text}."))
        if answer is not None:
            for piece in answer.text.partition(" "):
                yield Said(piece)
            yield answer

    async def interrupt(
        self, provider: str, provider_message_id: str, sent: str, heard: str
    ) -> TurnOutcome | None:
        """Dialogue: keeps what was heard."""
        self.interrupted.append((provider_message_id, sent, heard))
        return None

    async def news(self, conversation_id: str, since: int) -> CallNews:
        """Dialogue: what there is."""
        return CallNews(self.status, tuple(m for m in self.said if m.seq > since), self.waits)

    async def take_transfer(
        self, conversation_id: str, provider: str, provider_message_id: str
    ) -> TurnOutcome | None:
        """Dialogue: what is left over, as the answer to this input."""
        if self.left_over is not None:
            self.aliases[provider_message_id] = self.left_over
        return self.left_over

    async def end(self, message: InboundMessage) -> None:
        """Dialogue: the call is over."""
        if self.failure is not None:
            raise self.failure
        self.ended.append(message)


@dataclass
class Site:
    """A running server and a signed way in."""

    url: str
    core: Core
    session: aiohttp.ClientSession
    _numbers: "count[int]" = field(default_factory=lambda: count(1))

    async def post(
        self,
        path: str,
        form: Mapping[str, str],
        *,
        signature: str | None = None,
        token: str = TOKEN,
        public_url: str | None = None,
    ) -> "Answer":
        """A signed form, or one with this signature ("" for none)."""
        url = (self.url if public_url is None else public_url) + path
        if signature is None:
            signature = sign(token, url, list(form.items()))
        headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
        if signature:
            headers["X-Twilio-Signature"] = signature
        return await self.send(path, data=urlencode(form).encode(), headers=headers)

    async def send(self, path: str, *, data: object, headers: Mapping[str, str]) -> "Answer":
        """Any POST."""
        target = URL(self.url + path, encoded=True)
        async with self.session.post(target, data=data, headers=headers) as response:
            return Answer(response.status, dict(response.headers), await response.text())

    def sms(self, **changes: str) -> dict[str, str]:
        """The parameters of a text message."""
        sid = f"SM{next(self._numbers):032x}"
        base = {"MessageSid": sid, "AccountSid": ACCOUNT, "From": THEIRS, "To": OURS, "Body": "Hello"}
        return base | {"NumMedia": "0", "FromCity": ""} | changes


@dataclass(frozen=True)
class Answer:
    """What came back; header names in lower case."""

    status: int
    raw_headers: dict[str, str]
    body: str

    @property
    def headers(self) -> dict[str, str]:
        """By name in lower case."""
        return {name.lower(): value for name, value in self.raw_headers.items()}


MakeRoutes = Callable[[Ingress, TwilioCredentials], Sequence[BaseRoute]]


@asynccontextmanager
async def site(
    make_routes: MakeRoutes,
    *,
    tokens: tuple[str, ...] = (TOKEN,),
    public_url: str | None = None,
    rules: CallRules | None = None,
) -> AsyncIterator[Site]:
    """Serve routes on loopback until the block ends."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    core = Core()
    ingress = Ingress(
        accept=core,
        receive=core.receive,
        dialogue=core,
        reports=core.calls,
        kept=NothingKept(),
        connections=NoConnections(),
        public_url=public_url or url,
        clock=Clock(),
        calls=lambda _number: rules or CallRules(),
    )
    routes = make_routes(ingress, TwilioCredentials(account_sid=ACCOUNT, auth_tokens=tokens))
    config = uvicorn.Config(Starlette(routes=routes), lifespan="off", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        async with aiohttp.ClientSession() as session:
            yield Site(url, core, session)
    finally:
        server.should_exit = True
        await serving
