"""Messages: what people, agents and operators said, normalised over all channels."""

from dataclasses import field
from enum import StrEnum
from typing import Any

from gateway.domain.consent import Keyword
from gateway.domain.record import record

JsonObject = dict[str, Any]
"""JSON that is the user's own and passed through untouched (metadata, context variables)."""


class Channel(StrEnum):
    """A medium. `web` behaves exactly as `api`."""

    API = "api"
    WEB = "web"
    SMS = "sms"
    EMAIL = "email"
    VOICE = "voice"

    @property
    def delivers(self) -> bool:
        """Whether a reply has to be brought to the end user by a delivery worker."""
        return self in (Channel.SMS, Channel.EMAIL)


class Role(StrEnum):
    """Who a message is from, as a model sees it."""

    USER = "user"
    ASSISTANT = "assistant"
    SYSTEM = "system"
    """Notices, such as that of a handoff."""
    TOOL = "tool"
    SYSTEM_EVENT = "system_event"
    """Calls and digits."""


class Author(StrEnum):
    """Who really wrote it."""

    AGENT = "agent"
    HUMAN_OPERATOR = "human_operator"
    END_USER = "end_user"
    SYSTEM = "system"


class SenderAuth(StrEnum):
    """How sure we are of the sender's address."""

    VERIFIED = "verified"
    """The provider signs for it, or DMARC aligns."""
    REPLY_TOKEN = "reply_token"  # noqa: S105
    """Our own signed reply address came back from the address it was sent to."""
    UNVERIFIED = "unverified"
    FAILED = "failed"
    """The rules of the sender's own domain are broken: kept for people to see, not answered."""

    @property
    def proven(self) -> bool:
        """Whether the address may stand for the person behind it."""
        return self in (SenderAuth.VERIFIED, SenderAuth.REPLY_TOKEN)


@record(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file that came with a message; the bytes are behind `url`."""

    id: str
    media_type: str
    size: int | None
    """Bytes; None where the provider does not say."""
    name: str | None
    url: str


@record(frozen=True, slots=True, kw_only=True)
class InboundAttachment:
    """A file as an adapter hands it over: in the attachment store already, or still at its provider."""

    id: str
    media_type: str
    size: int | None = None
    name: str | None = None
    sha256: str | None = None
    """What it is called in the attachment store."""
    noted: bool = True
    """False: it is in the store, and the database, which was away then, does not know yet."""
    source: str | None = None
    """Where the provider has it: it is fetched once the message is accepted."""


@record(frozen=True, slots=True)
class ReplyAttachment:
    """A file of a reply, kept in the attachment store."""

    shown: Attachment
    sha256: str
    """What it is called there."""


@record(frozen=True, slots=True, kw_only=True)
class InboundMessage:
    """One message as a channel adapter hands it over: proven, parsed, not yet stored.

    `provider_message_id` is the de-duplication key within the organisation and provider.
    """

    channel: Channel
    provider: str
    provider_message_id: str
    sender: str
    """Their address, canonical: E.164 number, mailbox, or the provider's own id for an anonymous one."""
    recipient: str
    """Our address, canonical."""
    text: str
    received_at: int
    """Microseconds since the epoch, UTC."""
    subject: str | None = None
    attachments: tuple[InboundAttachment, ...] = ()
    original: InboundAttachment | None = None
    """The message as it came (a raw mail): kept with it, and not shown to the agent."""
    sender_auth: SenderAuth = SenderAuth.VERIFIED
    sender_domain: str = ""
    """The domain that was registered for the sender's mailbox, which others may be under (mail)."""
    conversation_id: str | None = None
    """The conversation a proven thread marker names (mail reply token, call in progress)."""
    thread_ids: tuple[str, ...] = ()
    """Message-IDs this one answers, newest first (mail)."""
    thread_names: tuple[str, ...] = ()
    """What later messages of its thread may name it by, besides its own Message-ID."""
    answers_subject: str | None = None
    """The subject it answers (`domain.subject`), where it names no message that it answers."""
    thread_key: str | None = None
    """What makes one open conversation of several messages, besides the two addresses (call sid)."""
    message_id: str | None = None
    """The id it gets, where somebody listens for its turn already; None: a new one."""
    reply_to: str | None = None
    """Transient reply queue of a listener that waits for this message's turn."""
    stream: bool = False
    """Whether that listener wants the reply while it is made."""
    role: Role = Role.USER
    keyword: Keyword | None = None
    """What the provider took it for; it has answered that itself."""
    unreadable: bool = False
    """Nothing, or not all, could be read of it: a person has to look at the original."""
    answerable: bool = True
    """False where no reply would reach the sender, or it would reach others too."""
    metadata: JsonObject = field(default_factory=dict)


@record(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What `accept` did with a message.

    Of one that was spooled, because the database is away, the conversation and the end user are "" so far; of
    one that is left out, for ever.
    """

    conversation_id: str
    message_id: str
    end_user_id: str
    duplicate: bool
    """True when the provider had delivered the same message before: nothing was stored."""
    turn_expected: bool = True
    """False when the conversation's status runs no turns now, or the agent is not asked."""
    unanswered: str | None = None
    """Why the agent is not asked, in one of a few fixed words."""
    goes_on: bool = False
    """Whether a call begins with it that goes on with the conversation of one that is over."""
    left_out: bool = False
    """Whether it tells of somebody who was erased, or of what was deleted: nothing was stored."""


@record(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A tool invocation of an agent and what came of it."""

    id: str
    name: str
    arguments: JsonObject
    output: Any = None
    error: str | None = None


SPOKEN_TEXT = "spoken_text"
"""In the metadata of a reply that was spoken over: the part that was heard."""


@record(frozen=True, slots=True, kw_only=True)
class Message:
    """One row of a conversation; `seq` starts at 0 and has no gaps."""

    id: str
    conversation_id: str
    seq: int
    turn_id: str | None
    role: Role
    content: str
    author: Author
    created_at: int
    tool_calls: tuple[ToolCall, ...] = ()
    model_used: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    latency_ms: int | None = None
    delivery_status: str | None = None
    metadata: JsonObject = field(default_factory=dict)
    evidence: tuple[JsonObject, ...] = ()
    attachments: tuple[Attachment, ...] = ()

    @property
    def heard(self) -> str:
        """What of it reached the end user: of a reply that was spoken over, the part before that."""
        spoken = self.metadata.get(SPOKEN_TEXT)
        return spoken if isinstance(spoken, str) else self.content
