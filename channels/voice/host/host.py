"""The host: calls come in by SIP, are announced, and are answered when the gateway has accepted them."""

import asyncio
import logging
from collections.abc import Callable

from pydantic import ValidationError

from channels.voice.host.call import HostedCall
from channels.voice.host.intake import fault
from channels.voice.host.ledger import Json
from channels.voice.host.leg import ALLOW, Happenings, Leg
from channels.voice.host.sdp import Session, read_session
from channels.voice.host.sip.message import Request, address, answer, sip_uri
from channels.voice.host.sip.transactions import ServerTransaction, Transactions
from channels.voice.host.site import Site
from gateway.domain.ids import new_id
from gateway.domain.outcome import TransferState
from gateway.domain.voice import VoiceIntent

ACCEPT_SECONDS = 5.0
"""How long the gateway may take to accept a call (contract/queues.md)."""
MAX_CALLS = 500
log = logging.getLogger(__name__)


class _Waiting:
    """A call that has not been answered yet."""

    def __init__(self, call: HostedCall, invite: ServerTransaction, session: Session) -> None:
        self.call = call
        self.invite = invite
        self.session = session
        self.timer: asyncio.TimerHandle | None = None


class VoiceHost:
    """All calls of one host. Hand `received` to the SIP layer, and `told` to the queues."""

    def __init__(self) -> None:
        self._site: Site | None = None
        self._calls: dict[str, HostedCall] = {}
        self._waiting: dict[str, _Waiting] = {}
        self._legs: dict[tuple[str, str], Leg] = {}

    def start(self, site: Site) -> None:
        """Begin to take calls. Those of a predecessor that was killed are over, with all that ran on them."""
        self._site = site
        for call_id in site.ledger.open_calls:
            self._past(call_id).end("host_lost", intents=TransferState.HOST_LOST)

    def close(self) -> None:
        """Stop taking anything in; what is up is left to a successor to end."""
        for leg in tuple(self._legs.values()):
            leg.close()
        self._here.layer.close()

    def add_leg(self, happenings: Happenings, call_id: str = "") -> Leg:
        """A leg whose requests find it; `call_id`: the SIP one of a call that has come in."""
        site = self._here
        leg = Leg(site.layer, site.clock, happenings, call_id)
        leg.closed = self._forget
        self._legs[leg.call_id, leg.tag] = leg
        return leg

    def received(self, server: ServerTransaction) -> None:
        """A request that is no repetition and no ACK."""
        request = server.request
        leg = self._legs.get((request.call_id, request.to_tag)) if request.to_tag else None
        if leg is not None:
            leg.received(server)
        elif request.method == "INVITE" and not request.to_tag:
            self._invited(server)
        elif request.method == "CANCEL":
            self._cancelled(server)
        elif request.method == "OPTIONS":
            server.respond(answer(request, 200, "OK", tag=new_id(), more=(("allow", ALLOW),)))
        else:
            server.reply(481, "Call/Transaction Does Not Exist")

    def told(self, kind: str, data: Json) -> Callable[[], None]:
        """A message of the gateway's."""
        if kind == "voice.event":
            return lambda: self._answered(data)
        if kind != "voice.intent":
            raise ValueError("a voice host is told voice.intent and voice.event")
        try:
            intent = VoiceIntent.model_validate(data)
        except ValidationError as error:
            raise ValueError(f"not a valid voice.intent: {fault(error)}") from None
        call = self._calls.get(intent.call_id)
        if call is None:  # over, or of a predecessor: answered all the same
            call = self._past(intent.call_id)
            call.over = True
        return call.take(intent)

    @property
    def calls(self) -> int:
        """How many there are now."""
        return len(self._calls)

    def _invited(self, server: ServerTransaction) -> None:
        request = server.request
        if len(self._calls) >= MAX_CALLS:
            server.reply(503, "Service Unavailable", new_id())
            return
        try:
            session = read_session(request.body)
            caller, called = _users(request)
        except ValueError:
            server.reply(488, "Not Acceptable Here", new_id())
            return
        server.reply(100, "Trying")
        call = HostedCall(new_id(), self._here, called, request.call_id)
        call.ended = self._ended
        self._calls[call.call_id] = call
        self._waiting[call.call_id] = waiting = _Waiting(call, server, session)
        loop = asyncio.get_running_loop()
        waiting.timer = loop.call_later(
            ACCEPT_SECONDS, self._refuse, call.call_id, 503, "Service Unavailable"
        )
        call.announce(caller, called)
        server.reply(180, "Ringing", call.leg.tag)

    def _answered(self, event: Json) -> None:
        call_id = str(event.get("call_id"))
        if event.get("kind") == "call.refused":
            self._refuse(call_id, 404, "Not Found")
        elif event.get("kind") == "call.accepted" and call_id in self._waiting:
            waiting = self._let_go(call_id)
            waiting.call.begin(waiting.invite, waiting.session)

    def _refuse(self, call_id: str, status: int, reason: str) -> None:
        if call_id not in self._waiting:
            return
        waiting = self._let_go(call_id)
        waiting.invite.reply(status, reason, waiting.call.leg.tag)
        waiting.call.leg.close()
        waiting.call.end("refused")

    def _cancelled(self, server: ServerTransaction) -> None:
        """RFC 3261 §9.2."""
        invite = self._here.layer.find_invite(server.request)
        if invite is None:
            server.reply(481, "Call/Transaction Does Not Exist")
            return
        server.reply(200, "OK")
        for call_id, waiting in tuple(self._waiting.items()):
            if waiting.invite is invite:
                self._let_go(call_id)
                invite.reply(487, "Request Terminated", waiting.call.leg.tag)
                waiting.call.leg.close()
                waiting.call.end("caller")

    def _past(self, call_id: str) -> HostedCall:
        """A call that is not up any more."""
        call = HostedCall(call_id, self._here, "")
        call.leg.close()
        return call

    def _let_go(self, call_id: str) -> _Waiting:
        waiting = self._waiting.pop(call_id)
        if waiting.timer is not None:
            waiting.timer.cancel()
        return waiting

    def _ended(self, call: HostedCall) -> None:
        self._calls.pop(call.call_id, None)

    def _forget(self, leg: Leg) -> None:
        self._legs.pop((leg.call_id, leg.tag), None)

    @property
    def _here(self) -> Site:
        assert self._site is not None, "the host was not started"
        return self._site


def _users(request: Request) -> tuple[str, str]:
    """Who calls whom, by the user parts; ValueError where a URI is none. No user is "anonymous"."""
    caller = sip_uri(address(request.get("from"))).user or "anonymous"
    return caller[:255], sip_uri(request.uri).user[:255]


async def open_layer(host: VoiceHost, address: str, port: int) -> Transactions:
    """The SIP layer of a host, listening."""
    layer = Transactions(host.received)
    await layer.open(address, port)
    return layer
