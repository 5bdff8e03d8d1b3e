"""The agent protocol: what a turn gives an agent, and what an agent may answer.

The same models serve agents over HTTP (`protocol: 1`, one event a line) and in Python
(`async def function(turn: TurnRequest) -> AsyncIterator[AgentEvent]`); see contract/runtime.md.
"""

from base64 import b64decode
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter

from gateway.domain.intent import CallTransferIntent, DtmfInputSpec

MAX_TEXT = 100_000
"""Characters of one event's text; a reply is bounded by the same figure."""


MAX_FILES = 10
"""Files of one reply."""

MAX_FILE_BYTES = 10_485_760
"""Bytes of all files of one reply together: a mail of them still passes where 25 MB is the limit."""


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class AgentIdentity(_Wire):
    """Which agent is asked, and at which revision."""

    id: str
    revision_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryAttachment:
    """A file of a message, as an agent sees it."""

    id: str
    media_type: str
    size: int | None = None
    name: str | None = None
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryMessage:
    """One earlier message; on voice, an interrupted reply is the part that was heard.

    A plain dataclass: a turn makes up to fifty, from rows that need no validation.
    """

    seq: int
    role: str
    content: str
    authored_by: str
    created_at: str
    attachments: tuple[HistoryAttachment, ...] = ()


class ApprovalDecision(_Wire):
    """The decision that resumes a parked turn."""

    approval_id: str
    tool_call_id: str
    decision: Literal["approve", "reject"]
    note: str | None = None


class EvidenceSection(_Wire):
    """Where in a document a chunk stands."""

    path_titles: list[str] = Field(default_factory=list)
    path_numbers: list[str] = Field(default_factory=list)
    display_label: str | None = None
    confidence: str = "unknown"


class EvidenceItem(_Wire):
    """A knowledge chunk used for the reply."""

    chunk_id: str
    kb_id: str
    score: float
    text: str
    citation_marker: str | None = None
    label: str | None = None
    short_label: str | None = None
    document_title: str | None = None
    version_number: int | None = None
    section: EvidenceSection | None = None
    deep_link: str | None = None


def _is_none(value: object) -> bool:
    return value is None


class TurnRequest(_Wire):
    """One turn, as it is put to an agent. `turn_id` is the agent's idempotency key."""

    protocol: Literal[1] = 1
    turn_id: str
    conversation_id: str
    end_user_id: str
    channel: str
    session_type: str
    context_variables: dict[str, Any]
    agent: AgentIdentity
    messages: list[HistoryMessage]
    truncated: bool = False
    """True when older messages than these exist."""
    input: list[int]
    """The seqs of the messages this turn answers."""
    memory: list[dict[str, Any]] = Field(default_factory=list)
    approval: ApprovalDecision | None = None
    knowledge: list[EvidenceItem] | None = Field(default=None, exclude_if=_is_none)
    """Passages that fit the input, the best first; None where the agent has none, or a tool for them."""
    proven: bool = Field(default=True, exclude=True)
    """False where the sender's address was never proven: no memory, and no tools."""
    state: dict[str, Any] | None = Field(default=None, exclude=True)
    """How far an earlier attempt of this turn came; for agents of this process (`domain.steps.Progress`)."""
    facts: list[str] = Field(default_factory=list, exclude=True)
    """What is to be remembered of this conversation so far; for agents of this process."""
    digest: dict[str, Any] | None = Field(default=None, exclude=True)
    """What is kept of the conversation's beginning (`domain.steps.Digest`); for agents of this process."""

    @property
    def input_text(self) -> str:
        """What is to be answered, as one text."""
        wanted = set(self.input)
        return "\n".join(m.content for m in self.messages if m.seq in wanted)


class Delta(_Wire):
    """A piece of the reply."""

    type: Literal["delta"] = "delta"
    text: str = Field(max_length=MAX_TEXT)


class MessageEnd(_Wire):
    """Ends one reply message and begins another."""

    type: Literal["message"] = "message"


def _bytes(given: object) -> object:
    """Bytes, or a text of base64 (RFC 4648 §4), which lines may break."""
    if isinstance(given, str):
        return b64decode("".join(given.split()), validate=True)
    return given


class FileAttached(_Wire):
    """A file goes with the message it stands in, or after: mails carry it, elsewhere the API shows it."""

    type: Literal["attachment"] = "attachment"
    name: str = Field(max_length=1_000)
    media_type: str = Field(default="application/octet-stream", max_length=200)
    content: Annotated[bytes, BeforeValidator(_bytes), Field(max_length=MAX_FILE_BYTES, exclude=True)]
    """Over HTTP in base64."""


class ToolCalled(_Wire):
    """The agent calls a tool."""

    type: Literal["tool_call"] = "tool_call"
    id: str
    name: str
    arguments: dict[str, Any] = Field(default_factory=dict)


class ToolAnswered(_Wire):
    """A tool's result."""

    type: Literal["tool_result"] = "tool_result"
    id: str
    output: Any = None
    error: str | None = None


class Evidence(_Wire):
    """What was retrieved."""

    type: Literal["evidence"] = "evidence"
    items: list[EvidenceItem] = Field(max_length=200)


class ApprovalRequired(_Wire):
    """The turn must wait for a person's decision on a tool call."""

    type: Literal["approval_required"] = "approval_required"
    tool_call_id: str
    tool: str
    arguments: dict[str, Any] = Field(default_factory=dict)
    approver_role: str | None = None
    suspend_message: str | None = None
    safe_message: str | None = None
    timeout_seconds: int | None = Field(default=None, ge=1, le=31_536_000)
    on_reject: Literal["close", "continue"] | None = None
    """What follows a refusal; None: the conversation closes."""


class HandoffRequested(_Wire):
    """Control goes to a person."""

    type: Literal["handoff"] = "handoff"
    reason: str = ""
    static_text: str | None = None


class CallTransferRequested(CallTransferIntent):
    """The call goes to somebody else: the intent's fields, or a configured `label`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: Literal["call_transfer"] = "call_transfer"
    destination: str = Field(default="", max_length=255)
    briefing: str | None = Field(default=None, max_length=MAX_TEXT)
    """What a warm transfer's person is told of the conversation before they take the call."""


class DigitsRequested(DtmfInputSpec):
    """The next input is digits."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: Literal["dtmf_input"] = "dtmf_input"


class ConsentRevoked(_Wire):
    """The end user wants no more messages: nothing is sent to them any more, but one confirmation."""

    type: Literal["revoke_consent"] = "revoke_consent"


class ConversationEnd(_Wire):
    """The agent closes the conversation."""

    type: Literal["end"] = "end"
    reason: str | None = None


class Usage(_Wire):
    """What the reply cost."""

    type: Literal["usage"] = "usage"
    model: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0


class AgentError(_Wire):
    """The agent gave up; nothing of the reply is delivered."""

    type: Literal["error"] = "error"
    message: str = ""


AgentEvent = Annotated[
    Delta
    | MessageEnd
    | FileAttached
    | ToolCalled
    | ToolAnswered
    | Evidence
    | ApprovalRequired
    | HandoffRequested
    | CallTransferRequested
    | DigitsRequested
    | ConsentRevoked
    | ConversationEnd
    | Usage
    | AgentError,
    Field(discriminator="type"),
]
"""One thing an agent says or does while it answers."""

AGENT_EVENT: TypeAdapter[AgentEvent] = TypeAdapter(AgentEvent)


class AgentFailed(Exception):
    """No usable answer: an error event, a broken stream, an event that is not valid, nothing at all."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
