"""HTTP/1.1 on one connection, bounded before a route sees the request: its head in size, its arrival in time.

The parser keeps a head in memory until it is whole, however long it is, and waits for a body for ever;
whoever can reach the port could fill the memory with one connection.
"""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from gateway.http_transport import GatheringTransport

MAX_HEAD: Final = 64 * 1024
"""Bytes of a request line with its headers. What comes in one read of the socket is not counted, so that up
to a quarter of a megabyte may pass."""
MAX_HEADERS: Final = 200
ARRIVAL_SECONDS = 30.0
"""From the connection, or the first byte of a further request on it, to the request's last byte …"""
SLOWEST = 262_144
"""… and a second more for each so many bytes of a body that somebody reads: a mail with its files is large,
and its line may be slow …"""
MAX_ARRIVAL_SECONDS: Final = 300.0
"""… but no more than so long."""

_TOO_LARGE = b'{"error":"payload_too_large","message":"the headers of a request may have at most 64 KiB"}'
_MALFORMED = b'{"error":"validation_error","message":"this is not an HTTP request that can be read"}'


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's protocol with bounds."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = False
        self._begun_now = False
        self._head = 0
        self._arrival: asyncio.TimerHandle | None = None
        self._awaited_since = 0.0
        self._came = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection that brings no request ends too."""
        self._gathering = GatheringTransport(transport, self.loop)
        super().connection_made(self._gathering)
        self._expect_arrival()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._arrived()
        super().connection_lost(exc)

    def eof_received(self) -> None:
        """Nothing more comes, and the connection closes; whoever asked may still read what was answered."""
        self._gathering.flush()

    def data_received(self, data: bytes) -> None:
        """Some bytes; a head that does not end is cut off."""
        self._begun_now = False
        self._came += len(data)
        super().data_received(data)
        if not self._in_head:
            return
        self._head = 0 if self._begun_now else self._head + len(data)
        if self._head > MAX_HEAD:
            self._refuse(431, _TOO_LARGE)

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        self._in_head = self._begun_now = True
        if self._arrival is None:
            self._expect_arrival()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._in_head = False
        if len(self.headers) > MAX_HEADERS:
            raise ValueError("too many headers")  # the parser's caller answers 400 and closes
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The last byte of a request."""
        self._arrived()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """In the form of every other error."""
        self._refuse(400, _MALFORMED)

    def _refuse(self, status: int, body: bytes) -> None:
        if self.transport.is_closing():
            return
        if not self._answering():  # else it would land in the other's answer
            head = b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
            self.transport.write(STATUS_LINE[status] + head % len(body) + body)
        self.transport.close()

    def _answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _expect_arrival(self) -> None:
        self._awaited_since, self._came = self.loop.time(), 0
        self._arrival = self.loop.call_later(ARRIVAL_SECONDS, self._late)

    def _arrived(self) -> None:
        if self._arrival is not None:
            self._arrival.cancel()
            self._arrival = None

    def _late(self) -> None:
        """Cut off what has not arrived; but while an earlier request is being answered, nothing is read."""
        if self.pipeline or (self._answering() and not self.cycle.more_body):
            self._expect_arrival()
        elif (left := self._time_left()) > 0:
            self._arrival = self.loop.call_later(left, self._late)
        elif not self.transport.is_closing():
            self.transport.close()

    def _time_left(self) -> float:
        """Of the time that a body has which is being read."""
        if not self._answering():
            return 0.0
        granted = min(ARRIVAL_SECONDS + self._came / SLOWEST, MAX_ARRIVAL_SECONDS)
        return self._awaited_since + granted - self.loop.time()
