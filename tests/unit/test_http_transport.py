"""What is written in one step of the loop leaves in one piece, in order, and as it comes where it is much."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from gateway.http_transport import ENOUGH, GatheringTransport


class Wire(asyncio.Transport):
    """The transport below: what was given to it, piece by piece."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed
        self.pieces.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.closed


def on_a_wire() -> tuple[Wire, GatheringTransport]:
    wire = Wire()
    return wire, GatheringTransport(wire, asyncio.get_running_loop())


async def test_head_and_body_leave_together() -> None:
    wire, transport = on_a_wire()
    transport.write(b"head ")
    transport.write(bytearray(b"body"))
    assert wire.pieces == []
    await asyncio.sleep(0)
    assert wire.pieces == [b"head body"]
    transport.write(b"event")
    await asyncio.sleep(0)
    assert wire.pieces == [b"head body", b"event"]


async def test_a_connection_closes_behind_what_was_written() -> None:
    wire, transport = on_a_wire()
    transport.write(b"last words")
    transport.close()
    assert wire.pieces == [b"last words"]
    assert transport.is_closing()
    await asyncio.sleep(0)
    assert wire.pieces == [b"last words"]


async def test_nothing_is_written_to_whoever_has_gone() -> None:
    wire, transport = on_a_wire()
    transport.write(b"too late")
    wire.close()
    await asyncio.sleep(0)
    assert wire.pieces == []


async def test_what_is_cut_off_is_not_sent() -> None:
    wire, transport = on_a_wire()
    transport.write(b"half")
    transport.abort()
    await asyncio.sleep(0)
    assert wire.closed
    assert wire.pieces == []


@given(st.lists(st.integers(0, 2 * ENOUGH), max_size=12))
def test_no_more_than_enough_waits_and_nothing_is_lost(sizes: list[int]) -> None:
    async def written() -> None:
        wire, transport = on_a_wire()
        sent = b""
        for number, size in enumerate(sizes):
            piece = bytes([number]) * size
            transport.write(piece)
            sent += piece
            assert len(sent) - len(b"".join(wire.pieces)) < ENOUGH
        await asyncio.sleep(0)
        assert b"".join(wire.pieces) == sent
        assert all(wire.pieces)

    asyncio.run(written())
