"""Key presses out of RTP (RFC 4733); all other packets are left where they are."""

import asyncio
from collections.abc import Callable
from typing import cast

KEYS = "0123456789*#ABCD"
"""RFC 4733 §3.2, by event code."""

Pressed = Callable[[str, tuple[int, int]], None]


class KeyListener(asyncio.DatagramProtocol):
    """The RTP port of one leg. `pressed` is told the key, SSRC and timestamp of every event packet."""

    def __init__(self, pressed: Pressed, payload_type: int | None) -> None:
        self._pressed = pressed
        self.payload_type = payload_type
        self._transport: asyncio.DatagramTransport | None = None
        self.port = 0

    async def open(self, host: str) -> None:
        """Listen on a free port."""
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self, local_addr=(host, 0))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is open."""
        self._transport = cast(asyncio.DatagramTransport, transport)
        self.port = transport.get_extra_info("sockname")[1]

    def close(self) -> None:
        """Stop listening."""
        if self._transport is not None:
            self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """A packet."""
        found = key_of(data, self.payload_type)
        if found is not None:
            self._pressed(*found)


def key_of(packet: bytes, payload_type: int | None) -> tuple[str, tuple[int, int]] | None:
    """The key of an event packet, and what is the same in all packets of its event; None for others.

    RFC 3550 §5.1, RFC 4733 §2.3: all packets of an event have its beginning as timestamp.
    """
    if payload_type is None or len(packet) < 16 or packet[0] >> 6 != 2 or packet[1] & 0x7F != payload_type:
        return None
    start = 12 + 4 * (packet[0] & 0x0F)
    if packet[0] & 0x10:  # a header extension
        if len(packet) < start + 4:
            return None
        start += 4 + 4 * int.from_bytes(packet[start + 2 : start + 4])
    if len(packet) < start + 4 or packet[start] >= len(KEYS):
        return None
    event = (int.from_bytes(packet[8:12]), int.from_bytes(packet[4:8]))
    return KEYS[packet[start]], event
