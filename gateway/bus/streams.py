"""Reply frames within one process: who listens for which message, with bounded buffers."""

import asyncio
from collections import deque

from gateway.domain.envelope import Envelope
from gateway.domain.ports.replies import ReplyFrame

MAX_FRAMES = 1000
"""Frames a listener may leave unread; one that falls further behind gets no more and reads the turn row."""
LOCAL = "local"


class FrameStream:
    """The frames for one listener. Closed by its listener, or by itself when that does not keep up."""

    def __init__(self, streams: "FrameStreams", message_id: str) -> None:
        self._streams = streams
        self._message_id = message_id
        self._frames: deque[ReplyFrame] = deque()
        self._woken = asyncio.Event()

    async def next(self, timeout: float) -> ReplyFrame | None:
        """The next frame; None after `timeout` seconds, on a new connection, and once on falling behind."""
        if not self._frames:
            try:
                async with asyncio.timeout(timeout):
                    await self._woken.wait()
            except TimeoutError:
                return None
        frame = self._frames.popleft() if self._frames else None
        if not self._frames:
            self._woken.clear()
        return frame

    def close(self) -> None:
        """Stop listening."""
        self._streams.remove(self._message_id, self)
        self._frames.clear()

    def put(self, frame: ReplyFrame) -> None:
        """Hand a frame to the listener; one too many ends the stream and wakes it with None."""
        if len(self._frames) >= MAX_FRAMES:
            self.close()
        else:
            self._frames.append(frame)
        self._woken.set()

    def wake(self) -> None:
        """Have `next` return None: frames may have been lost, so those still unread are dropped too."""
        self._frames.clear()
        self._woken.set()


class FrameStreams:
    """All listeners of this process, by the message each waits for."""

    def __init__(self) -> None:
        self._by_message: dict[str, set[FrameStream]] = {}

    def listen(self, message_id: str) -> FrameStream:
        """A new listener; a message may have several."""
        stream = FrameStream(self, message_id)
        self._by_message.setdefault(message_id, set()).add(stream)
        return stream

    def remove(self, message_id: str, stream: FrameStream) -> None:
        """Forget a listener; harmless when it is already forgotten."""
        listening = self._by_message.get(message_id, set())
        listening.discard(stream)
        if not listening:
            self._by_message.pop(message_id, None)

    def deliver(self, frame: ReplyFrame) -> None:
        """Give a frame to whoever listens for its message; nobody: dropped."""
        for stream in tuple(self._by_message.get(frame.message_id, ())):
            stream.put(frame)

    def wake_all(self) -> None:
        """The connection was renewed: everybody should look at the turn row."""
        for streams in tuple(self._by_message.values()):
            for stream in tuple(streams):
                stream.wake()


class LocalReplies:
    """Replies where turn worker and listener are one process."""

    def __init__(self) -> None:
        self._streams = FrameStreams()

    @property
    def address(self) -> str | None:
        """Always there."""
        return LOCAL

    def listen(self, message_id: str) -> FrameStream:
        """Frames for one input."""
        return self._streams.listen(message_id)

    async def send(self, address: str, frame: ReplyFrame) -> None:
        """Hand it over; dropped when nobody listens, or the address is another process's of before."""
        if address == LOCAL:
            self._streams.deliver(frame)


class NoHosts:
    """Voice hosts have queues, and there are none here: their calls cannot have been announced."""

    async def say(self, host_id: str, told: Envelope) -> None:
        """Nobody is there."""
