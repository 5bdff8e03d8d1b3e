"""A turn: some input and its replies. States, the claim a worker works on, and the outcome."""

from enum import StrEnum

from gateway.domain.agent import TurnRequest
from gateway.domain.conversation import Conversation, Status
from gateway.domain.delivery import Thread
from gateway.domain.errors import ErrorCode
from gateway.domain.host_line import HostLine
from gateway.domain.message import JsonObject, ReplyAttachment, ToolCall
from gateway.domain.record import record
from gateway.domain.steps import Digest


class TurnState(StrEnum):
    """`running` covers every attempt; the rest is final, but for `parked`."""

    RUNNING = "running"
    PARKED = "parked"
    """Waits for an approval."""
    DONE = "done"
    FAILED = "failed"
    SUPERSEDED = "superseded"
    """A take-over, a close or a barge-in came first; its text was discarded."""
    DEAD = "dead"
    """Given up after five attempts, kept as a dead letter."""

    @property
    def final(self) -> bool:
        """Nothing more will happen to it by itself."""
        return self not in (TurnState.RUNNING, TurnState.PARKED)


class Path(StrEnum):
    """How a turn was decided (contract/http-api.md, "Turn answer")."""

    SINGLE = "single"
    QUEUED = "queued"
    APPROVAL = "approval"
    HANDOFF = "handoff"
    CLOSED_BY_AGENT = "closed_by_agent"
    BLOCKED = "blocked"


DECISION_SOURCE = {
    Path.SINGLE: "router",
    Path.APPROVAL: "policy",
    Path.HANDOFF: "agent",
    Path.CLOSED_BY_AGENT: "agent",
    Path.BLOCKED: "policy",
}


class InputKind(StrEnum):
    """How an input joins others."""

    CHANNEL = "channel"
    """Answered together with all that is pending when a turn starts."""
    API = "api"
    """A turn alone; gets its `seq` when the turn starts."""


@record(frozen=True, slots=True)
class TurnInput:
    """One input of a turn."""

    message_id: str
    seq: int
    kind: InputKind
    reply_to: str | None
    stream: bool
    """Whether the listener behind `reply_to` wants deltas."""


@record(frozen=True, slots=True)
class LeaseRef:
    """The right to run a conversation's turns: whose, and under which fencing number."""

    conversation_id: str
    worker_id: str
    fence: int


@record(frozen=True, slots=True, kw_only=True)
class Claim:
    """A turn to run, as read from the database under the lease."""

    lease: LeaseRef
    turn_id: str
    attempt: int
    conversation: Conversation
    inputs: tuple[TurnInput, ...]
    request: TurnRequest
    thread: Thread
    """Where a mail reply belongs."""
    started_at: int
    shown: bool = False
    """A listener has seen text of an earlier attempt: another's must not follow it."""

    @property
    def tells_caller(self) -> bool:
        """Somebody waits on a connection for this turn's answer or failure: it is not tried again by itself.

        One that goes on after a decision has answered its caller long ago.
        """
        waits = self.line is not None or any(i.kind is InputKind.API for i in self.inputs)
        return self.request.approval is None and waits

    @property
    def listeners(self) -> tuple[TurnInput, ...]:
        """The inputs somebody waits for."""
        return tuple(i for i in self.inputs if i.reply_to)

    @property
    def line(self) -> HostLine | None:
        """That of the caller at a voice host who is answered; None where there is none."""
        lines = (HostLine.read(i.reply_to) for i in reversed(self.inputs) if i.reply_to)
        return next((line for line in lines if line is not None), None)


class NotNow(StrEnum):
    """Why there was nothing to claim."""

    ANSWERED = "answered"
    """Nothing is pending, or the conversation is gone: the doorbell has done its work."""
    NO_TURNS = "no_turns"
    """The status runs no turns; whoever changes it rings again."""
    LEASED = "leased"
    """Another worker has it: ring again later."""
    BRAKED = "braked"
    """A pause or a day's cap: whoever lifts it rings again."""
    NOT_DUE = "not_due"
    """A retry is scheduled; the timer rings."""


@record(frozen=True, slots=True)
class ReplyFile:
    """A file as the agent gave it."""

    name: str
    media_type: str
    content: bytes


@record(frozen=True, slots=True, kw_only=True)
class ReplyMessage:
    """One assistant message of a reply."""

    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    files: tuple[ReplyFile, ...] = ()
    attachments: tuple[ReplyAttachment, ...] = ()
    """The files, once they are kept."""


@record(frozen=True, slots=True, kw_only=True)
class Reply:
    """Everything a turn produced, ready to be committed."""

    messages: tuple[ReplyMessage, ...]
    path: Path
    evidence: tuple[JsonObject, ...] = ()
    intents: tuple[JsonObject, ...] = ()
    """Voice intents `{intent_id, kind, payload}`, resolved."""
    handoff_reason: str | None = None
    handoff_text: str | None = None
    end_reason: str | None = None
    consent_revoked: bool = False
    """The end user wants no more messages."""
    approval: JsonObject | None = None
    transfer: JsonObject | None = None
    model_used: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    embedded_tokens: int = 0
    """That an embedding model has read, to find passages."""
    ttft_ms: int | None = None
    latency_ms: int | None = None
    policies: tuple[JsonObject, ...] = ()
    """The policies that matched, for the messages' metadata."""
    facts: tuple[str, ...] = ()
    """What is to be remembered of the end user."""
    digest: Digest | None = None
    """What later turns need not read again."""
    uttered: "Uttered | None" = None
    """What of it a voice host has been told already."""

    @property
    def text(self) -> str:
        """The whole reply, as the API answers it."""
        return "\n\n".join(m.text for m in self.messages if m.text)


@record(frozen=True, slots=True)
class Uttered:
    """What of a reply a voice host was told while it was made."""

    utterance_id: str
    pieces: int
    """How many, numbered from 0."""
    text: str
    """All of them together: the beginning of the reply."""


@record(frozen=True, slots=True)
class Said:
    """A piece of a reply, to be shown."""

    text: str


@record(frozen=True, slots=True, kw_only=True)
class TurnOutcome:
    """A turn as stored: what the API answers and what a waiting channel renders."""

    turn_id: str
    conversation_id: str
    state: TurnState
    path: Path | None
    decision_source: str | None
    text: str
    agent_id: str | None
    message_seqs: tuple[int, ...]
    session_status: Status
    ttft_ms: int | None
    started_at: int
    evidence: tuple[JsonObject, ...] = ()
    intents: tuple[JsonObject, ...] = ()
    error: ErrorCode | None = None
    error_message: str | None = None
    fence: int = 0

    @property
    def ended(self) -> bool:
        """Whether the conversation is over."""
        return self.session_status.terminal
