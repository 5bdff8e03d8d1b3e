"""Event streams: frames as the seed's reader needs them, comments while nothing is said, one end."""

import asyncio

from gateway.api import sse
from gateway.domain.errors import ErrorCode, GatewayError


async def _body(frames: sse.Frames) -> bytes:
    response = sse.stream_response(frames)
    return b"".join([bytes(chunk) async for chunk in response.body_iterator])  # type: ignore[arg-type]


async def test_a_failure_ends_the_stream_as_its_one_error() -> None:
    async def frames() -> sse.Frames:
        yield sse.delta("a\r\nb\n\u2028é")
        raise GatewayError(ErrorCode.TURN_INTERRUPTED, "begun anew")

    assert (
        await _body(frames())
        == (
            'event: delta\ndata: {"text":"a\\r\\nb\\n\u2028é"}\n\n'
            'event: error\ndata: {"error":"turn_interrupted","message":"begun anew"}\n\n'
        ).encode()
    )


async def test_a_fault_of_ours_is_an_error_that_tells_nothing() -> None:
    async def frames() -> sse.Frames:
        yield sse.delta("a")
        raise RuntimeError("hunter2")

    body = await _body(frames())
    assert body.count(b"event: error") == 1
    assert b"hunter2" not in body


async def test_silence_is_kept_alive() -> None:
    spoken = asyncio.Event()

    async def frames() -> sse.Frames:
        await spoken.wait()
        yield b"frame"

    seen = []
    async for chunk in sse.kept_alive(frames(), 0.001):
        seen.append(chunk)
        if len(seen) == 3:
            spoken.set()
    assert seen[:3] == [b": keep-alive\n\n"] * 3
    assert seen[-1] == b"frame"


async def test_a_reader_that_goes_away_closes_what_it_read() -> None:
    closed = asyncio.Event()

    async def frames() -> sse.Frames:
        try:
            yield b"first"
            await asyncio.Event().wait()
        finally:
            closed.set()

    stream = sse.kept_alive(frames(), 60)
    assert await anext(stream) == b"first"
    reading = asyncio.create_task(anext(stream, None))
    await asyncio.sleep(0)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    assert closed.is_set()
