"""One leg of a call: its dialog, its keys, and what may be asked of the other side."""

import asyncio
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from channels.voice.host.rtp import KeyListener
from channels.voice.host.sdp import TELEPHONE_EVENT, Session, own_session, read_session
from channels.voice.host.sip.dialog import USER_AGENT, Dialog, cancel_of
from channels.voice.host.sip.message import Request, Response, answer
from channels.voice.host.sip.transactions import Address, ServerTransaction, Transactions
from gateway.domain.clock import Clock
from gateway.domain.digits import KeyPresses

ALLOW = "INVITE, ACK, BYE, CANCEL, INFO, MESSAGE, NOTIFY, OPTIONS"
MAX_TEXT = 10_000
"""Bytes of a MESSAGE."""
_RELAY = re.compile(rb"(?:^|\n)\s*Signal\s*=\s*([0-9*#A-D])\s*(?:\r?\n|$)", re.IGNORECASE)
_DTMF = re.compile(rb"\s*([0-9*#A-Da-d])\s*")
_SIPFRAG = re.compile(rb"SIP/2\.0 ([1-6][0-9]{2})")


@dataclass(slots=True)
class Happenings:
    """Who is told what happens on a leg."""

    pressed: Callable[[str], None]
    gone: Callable[[], None]
    said: Callable[[str], None] = lambda _text: None
    """Text that came as MESSAGE (RFC 3428): this host's stand-in for recognised speech."""
    notified: Callable[[int], None] = lambda _status: None
    """A NOTIFY told how a REFER goes (RFC 3515 §2.4.5): its status."""


def no_happenings() -> Happenings:
    """Nobody is told anything."""
    return Happenings(pressed=lambda _key: None, gone=lambda: None)


class Leg:
    """A leg; `dialog` is there once it was answered."""

    def __init__(self, layer: Transactions, clock: Clock, happenings: Happenings, call_id: str = "") -> None:
        """`call_id`: of a call that has come in."""
        self._layer = layer
        self._clock = clock
        self._presses = KeyPresses()
        self._media = KeyListener(self._rtp, TELEPHONE_EVENT)
        self._invite: Request | None = None
        self._peer: Address = ("", 0)
        self._rings = False
        self._cancelled = False
        self._cancelling: set[asyncio.Task[Response]] = set()
        self.happenings = happenings
        self.dialog: Dialog | None = None
        self.tag = secrets.token_hex(8)
        self.call_id = call_id or secrets.token_hex(16)
        self.theirs: bytes = b""
        """Their newest session description."""
        self.over = False
        self.closed: Callable[[Leg], None] = lambda _leg: None

    async def open(self) -> None:
        """Have a port for RTP."""
        await self._media.open(self._layer.local[0])

    def take(self, invite: ServerTransaction, session: Session) -> None:
        """Answer a call that has come in, with the payload types it offers (RFC 3264 §6.1)."""
        request = invite.request
        self.theirs = request.body
        self._media.payload_type = session.events
        self.dialog = Dialog.called(request, self.tag, invite.peer)
        invite.unacknowledged = self.hang_up_later
        invite.respond(self._accepted(request))

    async def dial(self, uri: str, caller: str, peer: Address) -> int:
        """Call somebody: the final status, 487 where `hang_up` was quicker (RFC 3261 §9.1).

        An answer that crosses with our CANCEL is acknowledged and hung up at once.
        """
        host, port = self._layer.local
        headers = (
            self._layer.via(),
            ("max-forwards", "70"),
            ("from", f"<{caller}>;tag={self.tag}"),
            ("to", f"<{uri}>"),
            ("call-id", self.call_id),
            ("cseq", "1 INVITE"),
            ("contact", f"<sip:{host}:{port}>"),
            ("user-agent", USER_AGENT),
            ("allow", ALLOW),
            ("content-type", "application/sdp"),
        )
        self._invite = Request(headers, self._own(), "INVITE", uri)
        self._peer = peer
        response = await self._layer.ask(self._invite, peer, self._ringing)
        if response.status >= 300:
            self.close()
            return response.status
        self.dialog = Dialog.calling(self._invite, response, peer)
        self.theirs = response.body
        self._acknowledge(1)
        if self._cancelled:
            await self.hang_up()
            return 487
        return response.status

    async def hang_up(self) -> None:
        """End the leg in whatever state it is."""
        if self.over:
            return
        if self.dialog is None:
            self._cancelled = True
            if self._rings:
                self._cancel()
            return
        self.close()
        await self._ask("BYE")

    async def refer(self, uri: str) -> Response:
        """Ask the other side to call somebody else (RFC 3515 §2.4.1)."""
        assert self.dialog is not None
        host, port = self._layer.local
        return await self._ask(
            "REFER", (("refer-to", f"<{uri}>"), ("referred-by", f"<sip:{host}:{port}>")), dialog=self.dialog
        )

    async def re_invite(self, offer: bytes) -> bytes | None:
        """Have the other side talk to somebody else (RFC 3725): its answer, None where it will not."""
        assert self.dialog is not None
        response = await self._ask("INVITE", (("content-type", "application/sdp"),), offer, self.dialog)
        if response.status >= 300:
            return None
        self._acknowledge(response.cseq.number)
        try:
            read_session(response.body)
        except ValueError:
            return None
        self.theirs = response.body
        return response.body

    def received(self, server: ServerTransaction) -> None:
        """A request within the dialog."""
        request = server.request
        if self.dialog is None or not self.dialog.matches(request):
            server.reply(481, "Call/Transaction Does Not Exist")
        elif not self.dialog.in_order(request):
            server.reply(500, "Server Internal Error")  # RFC 3261 §12.2.2
        else:
            self._within(server, request)

    def close(self) -> None:
        """It is over; nothing more happens on it."""
        self.over = True
        self._media.close()
        self.closed(self)

    def hang_up_later(self) -> None:
        """The other side never acknowledged our answer."""
        if not self.over:
            self.close()
            self.happenings.gone()

    def _within(self, server: ServerTransaction, request: Request) -> None:
        match request.method:
            case "BYE":
                server.reply(200, "OK")
                if not self.over:
                    self.close()
                    self.happenings.gone()
            case "INFO":
                server.reply(200, "OK")
                self._info(request)
            case "MESSAGE":
                self._message(server, request)
            case "NOTIFY":
                server.reply(200, "OK")
                status = _SIPFRAG.match(request.body)
                if status is not None:
                    self.happenings.notified(int(status[1]))
            case "INVITE":
                server.respond(self._accepted(request))
            case "OPTIONS":
                server.respond(answer(request, 200, "OK", more=(("allow", ALLOW),)))
            case _:
                server.respond(answer(request, 405, "Method Not Allowed", more=(("allow", ALLOW),)))

    def _info(self, request: Request) -> None:
        """A key as application/dtmf-relay or application/dtmf; other packages are nothing to us."""
        kind = request.get("content-type").partition(";")[0].strip().lower()
        pattern = {"application/dtmf-relay": _RELAY.search, "application/dtmf": _DTMF.fullmatch}.get(kind)
        found = None if pattern is None else pattern(request.body[:256])
        if found is not None:
            self._key("info", found[1].decode().upper(), None)

    def _message(self, server: ServerTransaction, request: Request) -> None:
        kind = request.get("content-type").partition(";")[0].strip().lower()
        if kind != "text/plain" or len(request.body) > MAX_TEXT:
            server.reply(415, "Unsupported Media Type")
            return
        server.reply(200, "OK")
        self.happenings.said(request.body.decode("utf-8", "replace"))

    def _rtp(self, key: str, event: tuple[int, int]) -> None:
        self._key("rtp", key, event)

    def _key(self, source: str, key: str, event: tuple[int, int] | None) -> None:
        if self._presses.is_new(source, key, self._clock.now(), event):
            self.happenings.pressed(key)

    def _accepted(self, request: Request) -> Response:
        host, port = self._layer.local
        more = (
            ("contact", f"<sip:{host}:{port}>"),
            ("allow", ALLOW),
            ("user-agent", USER_AGENT),
            ("content-type", "application/sdp"),
        )
        return answer(request, 200, "OK", tag=self.tag, more=more, body=self._own())

    def _own(self) -> bytes:
        return own_session(self._layer.local[0], self._media.port, self._media.payload_type)

    def _ringing(self, _response: Response) -> None:
        """Only now may it be cancelled (RFC 3261 §9.1)."""
        first, self._rings = not self._rings, True
        if first and self._cancelled:
            self._cancel()

    def _cancel(self) -> None:
        assert self._invite is not None
        task = asyncio.create_task(self._layer.ask(cancel_of(self._invite), self._peer))
        self._cancelling.add(task)
        task.add_done_callback(self._cancelling.discard)

    def _acknowledge(self, sequence: int) -> None:
        assert self.dialog is not None
        ack = self.dialog.request(self._layer, "ACK", sequence=sequence)
        self._layer.acknowledge(ack, self.dialog.destination)

    async def _ask(
        self,
        method: str,
        more: tuple[tuple[str, str], ...] = (),
        body: bytes = b"",
        dialog: Dialog | None = None,
    ) -> Response:
        dialog = dialog or self.dialog
        assert dialog is not None
        return await self._layer.ask(dialog.request(self._layer, method, more, body), dialog.destination)
