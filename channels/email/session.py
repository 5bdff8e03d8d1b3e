"""One SMTP session, hardened: what aiosmtpd leaves open is closed here.

Source: reference/email.md, section 5. Bounded are the bytes of a mail, the idle time and the whole time of a
session; the gate bounds what all of them hold. A line may be of any length, as a mail's bytes are bounded.
Only CRLF . CRLF ends a mail, and one with a bare CR or LF is refused: another server might read it as two
(CVE-2023-51764 and its kin).
"""

import asyncio
import ssl
from typing import Any, cast

from aiosmtpd.proxy_protocol import V2_CMD, ProxyData
from aiosmtpd.smtp import MISSING, SMTP, syntax

from channels.email.gate import SHUTTING_DOWN, Gate

TRY_LATER = "451 4.3.0 Not now, try again later"
_TOO_MUCH = "552 5.3.4 Too much mail data"
_DOT = b".\r\n"
_END = b"\r\n.\r\n"


class MailSession(SMTP):
    """A session of the gateway's mail ingress."""

    line_length_limit = 131_072

    def __init__(
        self,
        hooks: object,
        gate: Gate,
        hostname: str,
        loop: asyncio.AbstractEventLoop,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._gate = gate
        self._received = 0
        self._address = ""
        self._expiry: asyncio.TimerHandle | None = None
        super().__init__(
            hooks,
            data_size_limit=gate.limits.mail_bytes,
            enable_SMTPUTF8=True,
            hostname=hostname,
            ident="ESMTP",
            timeout=gate.limits.idle_seconds,
            tls_context=tls,
            loop=loop,
        )

    @property
    def client(self) -> str:
        """The address of whoever is connected."""
        return self._address

    @property
    def has_mail(self) -> bool:
        """Whether a mail is on its way in."""
        return self.envelope is not None and self.envelope.mail_from is not None

    @property
    def task(self) -> asyncio.Task[None] | None:
        """What serves this session."""
        return self._handler_coroutine

    def dismiss(self, reply: str) -> None:
        """Say why, and end the session."""
        # uvloop's transports are none of asyncio's classes
        transport = cast("asyncio.Transport | None", self.transport)
        if transport is not None and not transport.is_closing():
            transport.write(reply.encode("ascii") + b"\r\n")
            transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the peer in, or turn it away. Called again when STARTTLS has begun."""
        if self._original_transport is not None:
            super().connection_made(transport)
            return
        connection = cast("asyncio.Transport", transport)
        peer = connection.get_extra_info("peername")
        self._address = str(peer[0]) if peer else ""
        refusal = self._gate.admit(self, self._address)
        if refusal is not None:
            connection.set_protocol(asyncio.Protocol())
            connection.write(refusal.encode("ascii") + b"\r\n")
            connection.close()
            return
        if self._gate.is_proxy(self._address):
            self._proxy_timeout = self._gate.limits.proxy_seconds
        seconds = self._gate.limits.session_seconds
        self._expiry = self.loop.call_later(seconds, self.dismiss, "421 4.4.2 This session took too long")
        super().connection_made(transport)

    def stands_for(self, proxied: ProxyData) -> bool:
        """Take over whom a proxy connects for (a health check: itself); False: that one is turned away."""
        if proxied.command is V2_CMD.LOCAL or proxied.src_addr is None:
            return True
        before, self._address = self._address, str(proxied.src_addr)
        refusal = self._gate.readmit(self, before, self._address)
        if refusal is not None:
            self.dismiss(refusal)
        return refusal is None

    def connection_lost(self, error: Exception | None) -> None:
        """The session is over."""
        self._gate.leave(self, self._address)
        if self._expiry is not None:
            self._expiry.cancel()
        super().connection_lost(error)

    def data_received(self, data: bytes) -> None:
        """Count before anything is kept: a peer that goes on beyond every limit is cut off."""
        self._received += len(data)
        if self._received > self._gate.limits.mail_bytes * 11 // 10 + self.line_length_limit:
            self.dismiss(_TOO_MUCH)
        else:
            super().data_received(data)

    def _set_post_data_state(self) -> None:
        self._received = 0
        super()._set_post_data_state()  # type: ignore[no-untyped-call]

    @syntax("DATA")
    async def smtp_DATA(self, arg: str | None) -> None:  # noqa: N802 -- aiosmtpd names the commands
        """Take a mail in and hand it to the DATA hook, whose reply is the client's."""
        if await self.check_helo_needed():
            return
        assert self.envelope is not None
        if not self.envelope.rcpt_tos:
            await self.push("503 5.5.1 Need RCPT first")
            return
        if arg:
            await self.push("501 5.5.4 Syntax: DATA")
            return
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        replies = len(self.envelope.rcpt_tos) if self._gate.limits.lmtp else 1
        try:
            reply = await self._receive()
            await self.push("\r\n".join([reply] * replies))
        finally:
            self._set_post_data_state()
        if self._gate.draining:
            self.dismiss(SHUTTING_DOWN)

    async def _receive(self) -> str:
        """The reply to a mail, which is read to its end whatever becomes of it (RFC 5321 §4.2.5)."""
        body = bytearray()
        held = 0
        try:
            refusal = await self._read_into(body)
            if refusal is None and _has_bare_line_end(body):
                refusal = "550 5.6.0 Bare CR or LF in the mail"
            if refusal is not None:
                return refusal
            assert self.envelope is not None
            held = len(body)
            self.envelope.content = _unstuffed(body)
            body.clear()
            reply: Any = await self._call_handler_hook("DATA")
            return TRY_LATER if reply is MISSING else str(reply)
        finally:
            self._gate.release(held or len(body))

    async def _read_into(self, body: bytearray) -> str | None:
        """Take the mail up to the dot that ends it, a line of its own; None, or why it is dropped.

        Read from one line that ends in a dot to the next: looking at every line costs more than the rest.
        """
        refusal: str | None = None
        before = b"\r\n"
        while True:
            try:
                piece = await self._reader.readuntil(_DOT)
            except asyncio.LimitOverrunError as overrun:
                piece = await self._reader.read(overrun.consumed)
            tail = before + piece
            ended = tail.endswith(_END)
            if refusal is None:
                refusal = self._keep(body, piece[: -len(_DOT)] if ended else piece)
            if ended:
                return refusal
            before = tail[-2:]

    def _keep(self, body: bytearray, piece: bytes) -> str | None:
        """Append a piece, or drop all and say why."""
        if len(body) + len(piece) > self._gate.limits.mail_bytes:
            refusal = _TOO_MUCH
        elif not self._gate.hold(len(piece)):
            refusal = "451 4.3.1 Too much mail at once, try again later"
        else:
            body += piece
            return None
        self._gate.release(len(body))
        body.clear()
        return refusal


class LmtpSession(MailSession):
    """The same for a mail server of ours in front, with a reply for each recipient (RFC 2033 §4.2)."""

    @syntax("LHLO hostname")
    async def smtp_LHLO(self, arg: str) -> None:  # noqa: N802 -- aiosmtpd names the commands
        """The greeting of LMTP."""
        await super().smtp_EHLO(arg)

    async def smtp_HELO(self, arg: str) -> None:  # noqa: N802
        """A greeting of SMTP."""
        await self.push("500 5.5.1 This is LMTP, say LHLO")

    async def smtp_EHLO(self, arg: str) -> None:  # noqa: N802
        """A greeting of SMTP."""
        await self.push("500 5.5.1 This is LMTP, say LHLO")


def _has_bare_line_end(body: bytearray) -> bool:
    """Whether a CR or LF stands alone: another server might end a line there (RFC 5321 §2.3.8)."""
    pairs = body.count(b"\r\n")
    return body.count(b"\r") != pairs or body.count(b"\n") != pairs


def _unstuffed(body: bytearray) -> bytes:
    """The mail without the dots that were put before its own (RFC 5321 §4.5.2)."""
    if body.startswith(b"."):
        del body[0]
    return bytes(body).replace(b"\r\n.", b"\r\n")
