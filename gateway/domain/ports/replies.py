"""The seam between a turn and whoever waits for it in another process: frames that may get lost."""

from dataclasses import dataclass
from typing import Protocol

from gateway.domain.envelope import Envelope


@dataclass(frozen=True, slots=True)
class ReplyFrame:
    """What travels on a transient reply queue to a waiting listener.

    `message_id` names the listener's input. A delta carries (turn, fence, n); the frame with
    `final` says only that the turn row is worth reading now.
    """

    message_id: str
    turn_id: str
    fence: int
    n: int
    text: str = ""
    final: bool = False


class Replies(Protocol):
    """Transient frames from a turn worker to listeners in other processes; may be lost at any time."""

    @property
    def address(self) -> str | None:
        """This process's reply queue, to be stored with an input; None while there is none."""
        ...

    def listen(self, message_id: str) -> "ReplyStream":
        """Frames for one input, until the stream is closed."""
        ...

    async def send(self, address: str, frame: ReplyFrame) -> None:
        """Send to a listener; silently dropped when it is gone."""
        ...


class ReplyStream(Protocol):
    """Frames for one listener."""

    async def next(self, timeout: float) -> ReplyFrame | None:
        """The next frame, or None when `timeout` seconds went by or the connection was renewed."""
        ...

    def close(self) -> None:
        """Stop listening."""
        ...


class Hosts(Protocol):
    """Voice hosts on the queues, as turn workers speak through them; what is said may be lost at any time."""

    async def say(self, host_id: str, told: Envelope) -> None:
        """Hand a host a piece of what it is to say, at once; silently dropped where there is none."""
        ...
