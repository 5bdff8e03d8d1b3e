"""Server-Sent Events: of a turn, deltas and then exactly one complete or error; of a timeline, numbered ones.

Lines end in LF and data is one line. A comment goes out while nothing else does, so that proxies
keep the connection.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

from pydantic import BaseModel
from pydantic_core import to_json
from starlette.responses import StreamingResponse

from gateway.domain.errors import ErrorCode, GatewayError

Frames = AsyncGenerator[bytes, None]

KEEP_ALIVE_SECONDS = 15.0
_KEEP_ALIVE = b": keep-alive\n\n"
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

_log = logging.getLogger(__name__)


def event(name: str, data: bytes) -> bytes:
    """One frame; `data` is JSON, which has no line ends of its own."""
    return b"event: %s\ndata: %s\n\n" % (name.encode(), data)


def numbered(event_id: str, name: str, data: bytes) -> bytes:
    """One frame that a reader may go on after, by sending its id as Last-Event-ID."""
    return b"id: %s\n%s" % (event_id.encode(), event(name, data))


def delta(text: str) -> bytes:
    """A piece of the reply."""
    return event("delta", to_json({"text": text}))


def complete(answer: BaseModel) -> bytes:
    """The turn's answer."""
    return event("complete", answer.model_dump_json().encode())


def failure(error: GatewayError) -> bytes:
    """What went wrong after the stream had begun."""
    return event("error", to_json({"error": error.code.value, "message": error.message}))


def stream_response(frames: Frames, *, replayed: bool = False) -> StreamingResponse:
    """Send the frames; an exception among them becomes the one `error` that ends the stream."""
    headers = {**_HEADERS, "Idempotency-Replayed": "true"} if replayed else _HEADERS
    return StreamingResponse(
        kept_alive(_ended(frames), KEEP_ALIVE_SECONDS), headers=headers, media_type="text/event-stream"
    )


async def _ended(frames: Frames) -> Frames:
    try:
        async with aclosing(frames):
            async for frame in frames:
                yield frame
    except GatewayError as error:
        yield failure(error)
    except Exception:
        _log.exception("a stream failed", extra={"action": "http.stream_failed"})
        yield failure(GatewayError(ErrorCode.UNAVAILABLE, "the gateway failed to answer; its log says why"))


async def kept_alive(frames: Frames, every: float) -> Frames:
    """The frames, with a comment whenever `every` seconds went by without one."""
    async with aclosing(frames):
        waiting = asyncio.create_task(_next(frames))
        try:
            while True:
                done, _ = await asyncio.wait({waiting}, timeout=every)
                if not done:
                    yield _KEEP_ALIVE
                    continue
                frame = waiting.result()
                if frame is None:
                    return
                yield frame
                waiting = asyncio.create_task(_next(frames))
        finally:
            # the reader went away: what is still being waited for ends before it is closed
            waiting.cancel()
            with suppress(asyncio.CancelledError):
                await waiting


async def _next(frames: Frames) -> bytes | None:
    return await anext(frames, None)
