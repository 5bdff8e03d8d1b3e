"""What is written to one HTTP connection in one step of the event loop leaves in one piece.

The server writes the head of a response and its body one after the other, and the socket sends each at once:
two packets, and two times that the other side is woken. Here they wait for each other, until the loop's next
step at the most.
"""

import asyncio
from typing import Any, Final

ENOUGH: Final = 16 * 1024
"""Bytes that do not wait for more: the transport below sees a long body as it comes, and can slow it down."""


class GatheringTransport(asyncio.Transport):
    """A transport around another one."""

    def __init__(self, inner: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._inner = inner
        self._loop = loop
        self._kept: list[bytes] = []
        self._size = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send soon, together with what else is written in this step."""
        if not data:
            return
        if not self._kept:
            self._loop.call_soon(self.flush)
        self._kept.append(bytes(data))
        self._size += len(data)
        if self._size >= ENOUGH:
            self.flush()

    def flush(self) -> None:
        """Send what waits."""
        kept, self._kept, self._size = self._kept, [], 0
        if kept and not self._inner.is_closing():  # whoever was to read it may have gone
            self._inner.write(b"".join(kept))

    def close(self) -> None:
        """Close once everything is sent."""
        self.flush()
        self._inner.close()

    def abort(self) -> None:
        """Close at once; what is not sent yet is lost."""
        self._kept, self._size = [], 0
        self._inner.abort()

    def is_closing(self) -> bool:
        """Whether it is closed, or about to be."""
        return self._inner.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What is known of the connection."""
        return self._inner.get_extra_info(name, default)

    def pause_reading(self) -> None:
        """Bring nothing more for now."""
        self._inner.pause_reading()

    def resume_reading(self) -> None:
        """Go on bringing what comes."""
        self._inner.resume_reading()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Have another protocol told of what comes."""
        self._inner.set_protocol(protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Who is told of what comes."""
        return self._inner.get_protocol()
