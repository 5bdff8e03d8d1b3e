"""The seam to the queues: consumers and their verdicts, the outbox behind them, the bus itself."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from gateway.domain.envelope import Envelope, Posting
from gateway.domain.ports.replies import Hosts, Replies


class Ack(StrEnum):
    """A consumer's verdict on a queue message."""

    DONE = "done"
    RETRY = "retry"
    """Put it on the retry queue of `Verdict.step`."""
    DEAD = "dead"
    """Keep it as a dead letter with `Verdict.reason`."""


class RetryStep(StrEnum):
    """The delays of the retry queues."""

    S5 = "5s"
    S30 = "30s"
    M2 = "2m"
    M10 = "10m"
    H1 = "1h"

    @property
    def seconds(self) -> int:
        """How long a message waits there."""
        return {"5s": 5, "30s": 30, "2m": 120, "10m": 600, "1h": 3600}[self.value]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a queue message."""

    ack: Ack
    step: RetryStep = RetryStep.S5
    reason: str = ""
    rung_again: bool = False
    """Of a retry: it is for somebody else, or for later, and a timer rings where nobody comes. So a message
    that has come too often is done with, and no dead letter."""


DONE = Verdict(Ack.DONE)


def retry(step: RetryStep, reason: str = "") -> Verdict:
    """Try again after a delay."""
    return Verdict(Ack.RETRY, step, reason)


def look_again(reason: str, step: RetryStep = RetryStep.S5) -> Verdict:
    """Try again after a delay what a timer, too, would find."""
    return Verdict(Ack.RETRY, step, reason, rung_again=True)


def dead(reason: str) -> Verdict:
    """Give up, keep it with its reason."""
    return Verdict(Ack.DEAD, reason=reason)


Consume = Callable[[Envelope], Awaitable[Verdict]]
"""Works off one message. What it raises counts as a retry, but for a body that is not valid."""


@dataclass(frozen=True, slots=True)
class Consumer:
    """Who takes from which queues. `queue` is a name without prefix, such as `turns.3`."""

    queue: str
    consume: Consume
    prefetch: int = 1
    """Messages worked off at once."""


class Outbox(Protocol):
    """The outbox table, as relays and the embedded bus use it. Every method may raise `Unavailable`."""

    async def claim(self, limit: int, claim_seconds: float) -> Sequence[Posting]:
        """Rows that are due; they are due again when the claim runs out, unless they are done by then."""
        ...

    async def done(self, ids: Sequence[str]) -> None:
        """Delete rows that have been published, or worked off."""
        ...

    async def postpone(self, posting: Posting, delay_seconds: float) -> None:
        """Make a row due later; one that there was not is stored."""
        ...

    async def give_back(self, ids: Sequence[str]) -> None:
        """Make rows due at once, and wake whoever looks for them."""
        ...

    async def next_due(self) -> float | None:
        """Seconds until the next row is due (0 or less: now); None when the outbox is empty."""
        ...

    async def bury(self, queue: str, reason: str, body: str, headers: Mapping[str, str]) -> None:
        """Keep an undeliverable or invalid message as a dead letter."""
        ...


class PublishResult(StrEnum):
    """What became of a publication."""

    PUBLISHED = "published"
    RETURNED = "returned"
    """No queue takes it."""
    FAILED = "failed"
    """Not confirmed; it may be published again, and may then arrive twice."""


class Bus(Protocol):
    """The queues: RabbitMQ, or the outbox table itself when embedded."""

    @property
    def replies(self) -> Replies:
        """The way back to waiting requests."""
        ...

    @property
    def hosts(self) -> Hosts:
        """The way to callers whose words are spoken while they are made."""
        ...

    async def start(self, consumers: Sequence[Consumer]) -> None:
        """Declare what is needed and begin to consume."""
        ...

    async def drain(self, timeout: float) -> None:
        """Take no more, wait for what is in flight at most `timeout` seconds, give the rest back."""
        ...

    async def stop(self) -> None:
        """Close connections."""
        ...

    async def check(self) -> str | None:
        """None when healthy, else what does not answer, in a few words."""
        ...
