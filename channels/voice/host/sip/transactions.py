"""SIP transactions over UDP (RFC 3261 §17): what is repeated, what is answered again, what is given up.

A repeated request is answered as before and reaches nobody twice. A 2xx to INVITE is repeated here until its
ACK comes (§13.3.1.4), and an ACK is sent again for a 2xx that is repeated (§13.2.2.4).
"""

import asyncio
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from channels.voice.host.sip.message import MAGIC, MalformedMessage, Request, Response, answer, parse

T1 = 0.5
"""Seconds a round trip is thought to take (§17.1.1.1)."""
T2 = 4.0
"""The longest pause between two repetitions of what is no INVITE."""
MAX_TRANSACTIONS = 20_000
"""Beyond that new requests are left without an answer: their senders repeat them."""

Address = tuple[str, int]
log = logging.getLogger(__name__)


@dataclass(slots=True)
class ServerTransaction:
    """A request of a peer, until its end is certain."""

    request: Request
    peer: Address
    layer: "Transactions"
    last: bytes = b""
    final: bool = False
    unacknowledged: Callable[[], None] = lambda: None
    """What is done where no ACK of a 2xx has come in time (§13.3.1.4)."""
    _timer: asyncio.TimerHandle | None = None

    def respond(self, response: Response) -> None:
        """Answer; a final one only once."""
        if self.final:
            return
        self.last, self.final = bytes(response), response.status >= 200
        self.layer.send(self.last, self.peer)
        if not self.final:
            return
        if self.request.method == "INVITE":
            self._repeat(T1, 64 * T1)
        self.layer.forget_later(self)

    def reply(self, status: int, reason: str, tag: str = "") -> None:
        """Answer with nothing but a status."""
        self.respond(answer(self.request, status, reason, tag=tag))

    def acknowledged(self) -> None:
        """The ACK is here."""
        if self._timer is not None:
            self._timer.cancel()

    def _repeat(self, pause: float, left: float) -> None:
        """Timer G, and the core's timer for a 2xx: both double up to T2 and end after 64·T1."""
        if left <= 0:
            if self.last.startswith(b"SIP/2.0 2"):
                self.unacknowledged()
            return

        def again() -> None:
            self.layer.send(self.last, self.peer)
            self._repeat(min(2 * pause, T2), left - pause)

        self._timer = asyncio.get_running_loop().call_later(pause, again)


@dataclass(slots=True)
class _ClientTransaction:
    request: Request
    peer: Address
    final: "asyncio.Future[Response]"
    on_provisional: Callable[[Response], None]
    proceeding: bool = False
    timers: list[asyncio.TimerHandle] = field(default_factory=list)


Received = Callable[[ServerTransaction], None]


class Transactions(asyncio.DatagramProtocol):
    """All transactions of one UDP socket."""

    def __init__(self, received: Received) -> None:
        """`received`: is handed each request once, but for ACK."""
        self._received = received
        self._servers: dict[tuple[str, str, str], ServerTransaction] = {}
        self._accepted: dict[tuple[str, str, int], ServerTransaction] = {}
        self._clients: dict[tuple[str, str], _ClientTransaction] = {}
        self._acks: dict[tuple[str, int, str], tuple[bytes, Address]] = {}
        self._transport: asyncio.DatagramTransport | None = None
        self.local: Address = ("", 0)

    async def open(self, host: str, port: int) -> None:
        """Listen; `local` is the address then."""
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self, local_addr=(host, port))

    def close(self) -> None:
        """Stop; nothing is answered any more."""
        if self._transport is not None:
            self._transport.close()
        for client in self._clients.values():
            _cancel_timers(client)
        for server in self._servers.values():
            server.acknowledged()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is open."""
        self._transport = cast(asyncio.DatagramTransport, transport)
        host, port = transport.get_extra_info("sockname")[:2]
        self.local = (host, port)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """A datagram; what is no SIP message is dropped (RFC 3261 §18.1.2, §18.3)."""
        if not data.strip():
            return  # a keep-alive (RFC 5626 §3.5.1)
        try:
            message = parse(data)
        except MalformedMessage as problem:
            log.info(
                "a datagram is no SIP message", extra={"action": "sip.malformed", "reason": str(problem)}
            )
            return
        if isinstance(message, Response):
            self._response(message)
        else:
            self._request(message, (addr[0], addr[1]))

    def send(self, message: bytes, peer: Address) -> None:
        """Put a datagram on the wire."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(message, peer)

    def via(self) -> tuple[str, str]:
        """A Via of ours with a branch that nobody has used (§8.1.1.7; RFC 3581)."""
        host, port = self.local
        return ("via", f"SIP/2.0/UDP {host}:{port};rport;branch={MAGIC}{secrets.token_hex(12)}")

    async def ask(
        self, request: Request, peer: Address, on_provisional: Callable[[Response], None] = lambda _: None
    ) -> Response:
        """Send a request with a Via of ours on top; its final response, or a 408 of our own after 64·T1.

        An INVITE that rings is not given up here: cancel it. One that was refused is acknowledged.
        """
        loop = asyncio.get_running_loop()
        client = _ClientTransaction(request, peer, loop.create_future(), on_provisional)
        key = (request.branch, request.method)
        self._clients[key] = client
        self._resend(client, T1)
        client.timers.append(loop.call_later(64 * T1, self._time_out, client))
        try:
            return await client.final
        finally:
            _cancel_timers(client)
            loop.call_later(64 * T1, self._clients.pop, key, None)

    def acknowledge(self, ack: Request, peer: Address) -> None:
        """Send the ACK of a 2xx, now and whenever that is repeated."""
        key = (ack.call_id, ack.cseq.number, ack.to_tag)
        self._acks[key] = (bytes(ack), peer)
        self.send(bytes(ack), peer)
        asyncio.get_running_loop().call_later(64 * T1, self._acks.pop, key, None)

    def forget_later(self, server: ServerTransaction) -> None:
        """Timers H, I, J: what is repeated later than that is a new request."""
        request = server.request
        key = _server_key(request)
        loop = asyncio.get_running_loop()
        loop.call_later(64 * T1, self._servers.pop, key, None)
        if request.method == "INVITE":
            accepted = (request.call_id, request.from_tag, request.cseq.number)
            self._accepted[accepted] = server
            loop.call_later(64 * T1, self._accepted.pop, accepted, None)

    def find_invite(self, cancel: Request) -> ServerTransaction | None:
        """The INVITE that a CANCEL means (§9.2)."""
        return self._servers.get((cancel.branch, cancel.sent_by, "INVITE"))

    def _request(self, request: Request, peer: Address) -> None:
        if request.method == "ACK":
            accepted = self._accepted.get((request.call_id, request.from_tag, request.cseq.number))
            if accepted is not None:
                accepted.acknowledged()
            return
        key = _server_key(request)
        known = self._servers.get(key)
        if known is not None:
            if known.last:
                self.send(known.last, known.peer)
            return
        if len(self._servers) >= MAX_TRANSACTIONS:
            return
        self._servers[key] = server = ServerTransaction(request, peer, self)
        self._received(server)

    def _response(self, response: Response) -> None:
        client = self._clients.get((response.branch, response.cseq.method))
        if client is None:
            return
        if response.status < 200:
            if not client.proceeding and client.request.method == "INVITE":
                _cancel_timers(client)
            client.proceeding = True
            if not client.final.done():
                client.on_provisional(response)
            return
        if client.request.method == "INVITE" and response.status >= 300:
            self.send(bytes(_ack_of_refusal(client.request, response)), client.peer)
        elif client.final.done():
            again = self._acks.get((response.call_id, response.cseq.number, response.to_tag))
            if again is not None:
                self.send(*again)
        if not client.final.done():
            client.final.set_result(response)

    def _resend(self, client: _ClientTransaction, pause: float) -> None:
        """Timers A and E: an INVITE's pauses double, those of others up to T2."""
        self.send(bytes(client.request), client.peer)
        longer = 2 * pause if client.request.method == "INVITE" else min(2 * pause, T2)
        client.timers.append(asyncio.get_running_loop().call_later(pause, self._resend, client, longer))

    def _time_out(self, client: _ClientTransaction) -> None:
        """Timers B and F."""
        if not client.final.done():
            client.final.set_result(answer(client.request, 408, "Request Timeout"))


def _server_key(request: Request) -> tuple[str, str, str]:
    """§17.2.3: what a repetition has in common with the first."""
    return (request.branch, request.sent_by, request.method)


def _ack_of_refusal(invite: Request, response: Response) -> Request:
    """§17.1.1.3: of the same transaction."""
    headers = (
        ("via", invite.get("via")),
        ("max-forwards", "70"),
        ("from", invite.get("from")),
        ("to", response.get("to")),
        ("call-id", invite.call_id),
        ("cseq", f"{invite.cseq.number} ACK"),
        *((name, value) for name, value in invite.headers if name == "route"),
    )
    return Request(headers, b"", "ACK", invite.uri)


def _cancel_timers(client: _ClientTransaction) -> None:
    for timer in client.timers:
        timer.cancel()
    client.timers.clear()
