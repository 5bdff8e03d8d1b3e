"""The conversation: its vocabulary, its status table and its record."""

from dataclasses import field
from enum import StrEnum

from gateway.domain.errors import InvalidTransition
from gateway.domain.message import Channel, JsonObject
from gateway.domain.record import record


class Status(StrEnum):
    """The eleven statuses of a conversation."""

    QUEUED = "queued"
    RINGING = "ringing"
    ACTIVE = "active"
    PAUSED = "paused"
    WAITING_FOR_HUMAN = "waiting_for_human"
    TRANSFERRED = "transferred"
    AWAITING_APPROVAL = "awaiting_approval"
    CLOSED = "closed"
    EXPIRED = "expired"
    ERROR = "error"
    SUPERSEDED = "superseded"

    @property
    def terminal(self) -> bool:
        """Nothing leaves a terminal status."""
        return self in _TERMINAL

    @property
    def runs_turns(self) -> bool:
        """Whether the agent answers now; elsewhere input waits."""
        return self is Status.ACTIVE


_TERMINAL = frozenset({Status.CLOSED, Status.EXPIRED, Status.ERROR, Status.SUPERSEDED})
OPEN_STATUSES = frozenset(Status) - _TERMINAL


class Cause(StrEnum):
    """Why a status changes."""

    HOST = "host"
    """The voice host: rings, answers, holds, fails."""
    HANDOFF = "handoff"
    """The agent, a policy or an operator's take-over gives control to a person."""
    RETURN = "return"
    """The person gives control back, or a transfer failed."""
    TRANSFER_PROVEN = "transfer_proven"
    POLICY = "policy"
    """A tool call needs approval."""
    DECISION = "decision"
    """An approver decided, or the time ran out."""
    CLOSE = "close"
    """Close, end_session, the agent's end, a resolved handoff, the end of a call."""
    IDLE = "idle"
    REPLACED = "replaced"
    """A newer conversation takes over the same thread or call."""


_MOVES: dict[tuple[Status, Status], frozenset[Cause]] = {
    (Status.QUEUED, Status.RINGING): frozenset({Cause.HOST}),
    (Status.RINGING, Status.ACTIVE): frozenset({Cause.HOST}),
    (Status.ACTIVE, Status.PAUSED): frozenset({Cause.HOST}),
    (Status.PAUSED, Status.ACTIVE): frozenset({Cause.HOST}),
    (Status.ACTIVE, Status.WAITING_FOR_HUMAN): frozenset({Cause.HANDOFF}),
    (Status.WAITING_FOR_HUMAN, Status.ACTIVE): frozenset({Cause.RETURN}),
    (Status.WAITING_FOR_HUMAN, Status.TRANSFERRED): frozenset({Cause.TRANSFER_PROVEN}),
    (Status.ACTIVE, Status.AWAITING_APPROVAL): frozenset({Cause.POLICY}),
    (Status.AWAITING_APPROVAL, Status.ACTIVE): frozenset({Cause.DECISION}),
    (Status.AWAITING_APPROVAL, Status.CLOSED): frozenset({Cause.DECISION, Cause.CLOSE}),
    (Status.QUEUED, Status.ERROR): frozenset({Cause.HOST}),
    (Status.RINGING, Status.ERROR): frozenset({Cause.HOST}),
}
for _status in OPEN_STATUSES:
    _MOVES.setdefault((_status, Status.CLOSED), frozenset({Cause.CLOSE}))
    _MOVES[_status, Status.SUPERSEDED] = frozenset({Cause.REPLACED})
    if _status is not Status.AWAITING_APPROVAL:
        _MOVES[_status, Status.EXPIRED] = frozenset({Cause.IDLE})


def allowed(before: Status, after: Status, cause: Cause) -> bool:
    """Whether the status table lists this move for this cause."""
    return cause in _MOVES.get((before, after), frozenset())


def sources(after: Status, cause: Cause) -> list[Status]:
    """The statuses from which `cause` may lead to `after`: the guard of a conditional update."""
    return sorted(before for (before, to), causes in _MOVES.items() if to is after and cause in causes)


def move(before: Status, after: Status, cause: Cause) -> Status:
    """`after`, or InvalidTransition if the table does not list the move."""
    if not allowed(before, after, cause):
        raise InvalidTransition(before, after)
    return after


class SessionType(StrEnum):
    """Whether a conversation counts."""

    LIVE = "live"
    TEST = "test"
    SIMULATION = "simulation"

    @property
    def sandboxed(self) -> bool:
        """Nothing leaves the gateway."""
        return self is not SessionType.LIVE


class Priority(StrEnum):
    """An operator's ordering."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"
    URGENT = "urgent"


class Origin(StrEnum):
    """Who began."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


@record(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A session between one end user and the agent (or the person who took over). Times in µs, UTC."""

    id: str
    organization_id: str
    end_user_id: str
    channel: Channel
    status: Status
    session_type: SessionType
    priority: Priority
    assistant_id: str
    assigned_agent_id: str
    pinned_revision_id: str
    our_address: str | None
    their_address: str | None
    message_count: int
    started_at: int
    created_at: int
    updated_at: int
    origin: Origin | None = None
    external_session_id: str | None = None
    subject: str | None = None
    retention_policy_id: str | None = None
    summary: str | None = None
    metadata: JsonObject = field(default_factory=dict)
    context_variables: JsonObject = field(default_factory=dict)
    first_message_at: int | None = None
    last_message_at: int | None = None
    ended_at: int | None = None
    closed_at: int | None = None
    ttl_expires_at: int | None = None
    retention_expires_at: int | None = None
    archived_at: int | None = None
    memory_synced: bool = False
    has_recording: bool = False
    recording_url: str | None = None

    @property
    def duration_ms(self) -> int | None:
        """From start to end, milliseconds; None while open."""
        return None if self.ended_at is None else (self.ended_at - self.started_at) // 1000
