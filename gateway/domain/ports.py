"""What the core needs from outside, and what channels are handed: small protocols, each with one reason."""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Concatenate, Literal, ParamSpec, Protocol, TypeVar

from gateway.domain.agent import EvidenceItem, TurnRequest
from gateway.domain.conversation import Status
from gateway.domain.delivery import Delivery, OutcomeUnknown, Part, PartText, Receipt, SendOutcome, Taken
from gateway.domain.envelope import Envelope, Posting
from gateway.domain.mail_report import MailReport
from gateway.domain.message import Accepted, Channel, InboundAttachment, InboundMessage, Message
from gateway.domain.steps import AgentStep
from gateway.domain.turn import Said, TurnOutcome

P = ParamSpec("P")
T = TypeVar("T")

_SHA256 = re.compile(r"[0-9a-f]{64}")
_ORGANISATION = re.compile(r"[0-9a-f-]{36}")

Row = Mapping[str, Any]
Param = str | int | float | bool | bytes | None | Sequence[str] | Sequence[int]


class Wake(StrEnum):
    """What a committed unit of work may wake."""

    OUTBOX = "outbox"
    TIMELINE = "timeline"


class Tx(Protocol):
    """A unit of work in progress. Queries go by name; a unit awaits nothing else."""

    @property
    def dialect(self) -> Literal["sqlite", "postgres"]:
        """Which variant of a query runs."""
        ...

    async def one(self, query: str, /, **params: Param) -> Row | None:
        """The first row, or None."""
        ...

    async def all(self, query: str, /, **params: Param) -> Sequence[Row]:
        """Every row; queries carry their own LIMIT."""
        ...

    async def run(self, query: str, /, **params: Param) -> int:
        """Run it; how many rows it touched."""
        ...

    async def many(self, query: str, rows: Sequence[Mapping[str, Param]], /) -> None:
        """Run it once for each set of parameters."""
        ...

    async def later(self, query: str, /, **params: Param) -> None:
        """Run it before the unit's next other statement, or its end; neighbours take one round trip.

        For writes whose answer nobody needs. Neighbours do not see each other's effects, and no two of them
        may touch the same row.
        """
        ...

    async def expect(self, query: str, assume: Row | None = None, /, **params: Param) -> Row | None:
        """Run a write that nearly always returns a row, in which the columns of `assume` have these values.

        Of the row only these may be looked at, the rest given on to `later` and `expect`, with a number added
        where it is one; `known` has it whole. So a unit that is marked for it (`at_once`) can be a single
        statement. In any other it is the row, and what was assumed may be otherwise.
        """
        ...

    async def known(self, row: Row, /) -> Row:
        """The row that was expected, as it is."""
        ...

    def after_commit(self, wake: Wake, /) -> None:
        """Wake somebody once this unit is durable."""
        ...


class Store(Protocol):
    """The database: units of work, durable when `write` returns. Raises `Unavailable` when it is away."""

    async def write(
        self, unit: Callable[Concatenate[Tx, P], Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a unit of work in one transaction."""
        ...

    async def read(
        self, unit: Callable[Concatenate[Tx, P], Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a unit that only reads."""
        ...

    def on_wake(self, wake: Wake, callback: Callable[[], None]) -> None:
        """Call `callback` (on the event loop) whenever such a unit has committed."""
        ...


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


DONE = Verdict(Ack.DONE)


def retry(step: RetryStep, reason: str = "") -> Verdict:
    """Try again after a delay."""
    return Verdict(Ack.RETRY, step, reason)


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


class Outbox(Protocol):
    """The outbox table, as relays and the embedded bus use it. Every method may raise `Unavailable`."""

    async def claim(self, limit: int, claim_seconds: float) -> Sequence[Posting]:
        """Rows that are due; they are due again when the claim runs out, unless they are done by then."""
        ...

    async def done(self, ids: Sequence[str]) -> None:
        """Delete rows that have been published, or worked off."""
        ...

    async def postpone(self, posting_id: str, delay_seconds: float) -> None:
        """Make a row due later."""
        ...

    async def next_due(self) -> float | None:
        """Seconds until the next row is due (0 or less: now); None when the outbox is empty."""
        ...

    async def bury(self, queue: str, reason: str, body: str, headers: Mapping[str, str]) -> None:
        """Keep an undeliverable or invalid message as a dead letter."""
        ...


class Bus(Protocol):
    """The queues: RabbitMQ, or the outbox table itself when embedded."""

    @property
    def replies(self) -> Replies:
        """The way back to waiting requests."""
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


class Agent(Protocol):
    """Answers turns."""

    def answer(self, turn: TurnRequest) -> AsyncIterator[AgentStep]:
        """Stream the answer; raises AgentFailed. Closing the iterator cancels the agent."""
        ...


class Knowledge(Protocol):
    """What an organisation has written down, searched by agents."""

    async def search(
        self, organization_id: str, folders: Sequence[str], question: str, limit: int
    ) -> Sequence[EvidenceItem]:
        """The chunks of these folders (as gateway.toml names them) that fit a question best, the best first.

        Scores compare within one answer only. Where nothing fits, or is indexed yet, it is empty. Raises
        Unavailable.
        """
        ...


class Sender(Protocol):
    """The way out of one channel through one provider."""

    @property
    def provider(self) -> str:
        """The provider's name, as stored with a part."""
        ...

    def split(self, delivery: Delivery) -> Sequence[PartText]:
        """Cut a reply into parts; called once per delivery, the result is stored. Pure."""
        ...

    async def send(self, delivery: Delivery, part: Part, timeout: float) -> SendOutcome:
        """Hand one part to the provider within `timeout` seconds. Never raises for the provider's faults."""
        ...

    async def find(self, delivery: Delivery, part: Part) -> Taken | OutcomeUnknown | None:
        """Whether the provider has a part whose outcome was not learnt.

        None: it has not. OutcomeUnknown: it could not be asked now. A provider that cannot
        tell answers None, and the part is sent again (counted as possibly doubled).
        """
        ...


class Accept(Protocol):
    """Stores an inbound message durably; what every ingress adapter is handed."""

    async def __call__(self, message: InboundMessage) -> Accepted:
        """Raises UnknownAddress, or Unavailable (retryable; nothing was stored)."""
        ...

    def serves(self, channel: Channel, address: str) -> bool:
        """Whether this canonical address is one of ours."""
        ...


@dataclass(frozen=True, slots=True)
class CallNews:
    """How a call's conversation stands, and what it has to be told."""

    status: Status
    said: tuple[Message, ...]
    """To the end user, by the agent or a person, in order."""


class Dialogue(Protocol):
    """For channels whose answer goes back on the same connection (a phone call's webhooks)."""

    def stream(self, message: InboundMessage) -> AsyncGenerator[Said | TurnOutcome, None]:
        """Accept a message and show its turn as it is made; the outcome comes last. Raises GatewayError.

        The first piece is empty: from then on the message is stored, whatever becomes of the stream.
        """
        ...

    async def interrupt(
        self, provider: str, provider_message_id: str, sent: str, heard: str
    ) -> TurnOutcome | None:
        """The reply to a message was spoken over: of `sent`, which was shown, only the beginning `heard` was.

        A turn that is still running is over with that, and its agent is stopped. The turn's outcome where it
        was over already, else None.
        """
        ...

    async def news(self, conversation_id: str, since: int) -> CallNews:
        """How the conversation stands, and what was said to the end user after message `since`."""
        ...

    async def ask(self, message: InboundMessage, wait: float) -> TurnOutcome | None:
        """Accept a message and wait at most `wait` seconds for its turn; None when it takes longer."""
        ...

    async def outcome(self, provider: str, provider_message_id: str, wait: float) -> TurnOutcome | None:
        """The turn of a message accepted before; None when it is still running."""
        ...

    async def end(self, message: InboundMessage) -> None:
        """The call is over: record the event and close its conversation."""
        ...


@dataclass(frozen=True, slots=True)
class FileKey:
    """What a file in the attachment store is called: its content, within an organisation."""

    organization_id: str
    sha256: str
    """Lower-case hex."""

    def __post_init__(self) -> None:
        """Raises ValueError: such names become paths."""
        if not _SHA256.fullmatch(self.sha256) or not _ORGANISATION.fullmatch(self.organization_id):
            raise ValueError("a file is named by an organisation's id and 64 hex digits")


class AttachmentStore(Protocol):
    """Where the bytes of attachments are: a folder, or a bucket. Every method may raise `Unavailable`."""

    async def check(self) -> None:
        """Keep a file for a moment. Raises WrongSetting where it is refused, Unavailable."""
        ...

    async def put(self, key: FileKey, content: bytes) -> None:
        """Keep a file; durable when it returns. One that is there already stays."""
        ...

    def read(self, key: FileKey) -> AsyncGenerator[bytes, None]:
        """A file in pieces; raises FileMissing before the first of them where it is not there."""
        ...

    async def remove(self, key: FileKey) -> None:
        """Delete a file; one that is not there is as good."""
        ...


class KeepAttachment(Protocol):
    """Keeps a file that came with a message, before that is accepted; what ingress adapters are handed."""

    async def __call__(
        self, content: bytes, *, media_type: str, name: str | None, whole: bool = False
    ) -> InboundAttachment:
        """The attachment to hand over with the message; its name is made harmless.

        `whole`: it is the message itself, which its way in has bounded, and is kept whatever its size.
        Raises GatewayError `payload_too_large`, or Unavailable (retryable). What no message is accepted with
        is forgotten after a day.
        """
        ...


class ReadAttachment(Protocol):
    """Reads a file that a reply carries; what senders are handed."""

    async def __call__(self, organization_id: str, attachment_id: str) -> bytes:
        """The whole file. Raises FileMissing where it is there no more, Unavailable (retryable)."""
        ...


class BindToken(Protocol):
    """Binds a token that a provider has signed to the content it came with, over all processes."""

    async def __call__(self, provider: str, token: str, digest: str) -> bool:
        """False where the token came with another content before. Raises Unavailable (retryable)."""
        ...


class TakeReport(Protocol):
    """Takes what a server reports about a mail of ours."""

    async def __call__(self, report: MailReport) -> None:
        """Idempotent but for what a machine wrote; raises Unavailable (retryable)."""
        ...


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that a provider has handed out."""

    content: bytes
    media_type: str
    name: str | None


@dataclass(frozen=True, slots=True)
class NotFetched:
    """Why it did not, in one of a few fixed words; `again`: whether it may yet."""

    reason: str
    again: bool


class FetchMedia(Protocol):
    """Fetches a file that a provider keeps of a message."""

    async def __call__(self, url: str, media_type: str, max_bytes: int) -> Fetched | NotFetched:
        """`media_type`: what the provider said of it. Never raises for the provider's faults."""
        ...


class ApplyReceipt(Protocol):
    """Applies what a provider says about a part it took."""

    async def __call__(self, receipt: Receipt) -> None:
        """Idempotent and order-safe; an unknown part is kept as such, not refused."""
        ...
