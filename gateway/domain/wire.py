"""The `data` of every message on the queues, as other programs may rely on it (contract/queues.md).

`gateway export asyncapi` is generated from these. Unknown keys are ignored, here as in the envelope.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

from gateway.domain.conversation import SessionType
from gateway.domain.message import Channel, SenderAuth

Identifier = Annotated[
    str, Field(description="36-character lower-case text of a UUID", json_schema_extra={"format": "uuid"})
]
Moment = Annotated[str, Field(description="RFC 3339, UTC", json_schema_extra={"format": "date-time"})]


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class WireAttachment(_Data):
    """A file that came with a message."""

    id: str
    media_type: str
    size: int | None = Field(description="bytes; null where the provider does not say")
    name: str | None
    url: str


class WireThread(_Data):
    """Where in a mail thread a reply belongs (RFC 5322 §3.6.4)."""

    subject: str | None = None
    in_reply_to: str | None = None
    references: list[str] = Field(default_factory=list)


class MessageInbound(_Data):
    """`message.inbound`: a message that was accepted, normalised."""

    message_id: Identifier
    seq: int | None = Field(description="null for an API input until its turn starts")
    channel: Channel
    provider: str
    provider_message_id: str
    end_user_id: Identifier
    sender: str = Field(alias="from")
    recipient: str = Field(alias="to")
    text: str
    attachments: list[WireAttachment]
    subject: str | None
    sender_auth: SenderAuth
    received_at: Moment
    session_type: SessionType
    reply_to: str | None = Field(None, description="transient reply queue of a listener")


class TurnDue(_Data):
    """`turn.due`: a conversation may have something to run. The database knows what."""


class MessageOutbound(_Data):
    """`message.outbound`: one reply to deliver. Its lane's row says whether it is still due."""

    lane: str = Field(description="deliveries of one lane leave in order")
    delivery_id: Identifier
    message_id: Identifier
    turn_id: Identifier | None
    channel: Channel
    recipient: str = Field(alias="to")
    sender: str = Field(alias="from")
    text: str
    attachments: list[WireAttachment]
    thread: WireThread
    intents: list[dict[str, object]]


class DeliveryDue(_Data):
    """`delivery.due`: a lane may have something to send."""

    lane: str


class OutgoingCallDue(_Data):
    """`call.due`: a call that the gateway begins may have to be dialled. The database knows what."""


class Fact(RootModel[dict[str, object]]):
    """What has happened: the same `data` as the webhook of that name."""


class FactType(StrEnum):
    """Facts, each also its routing key."""

    CONVERSATION_CLOSED = "conversation.closed"
    HANDOFF_REQUESTED = "conversation.handoff_requested"
    APPROVAL_REQUESTED = "approval.requested"
    MESSAGE_DELIVERED = "message.delivered"
    MESSAGE_FAILED = "message.failed"
    TRANSFER_FINISHED = "voice.transfer_finished"
    CAP_REACHED = "organisation.cap_reached"


STORABLE = r"^[^\x00]*$"
"""PostgreSQL keeps no text with U+0000."""
CallId = Annotated[
    str,
    Field(
        min_length=1,
        max_length=255,
        pattern=STORABLE,
        description="the host's own name of the call, and of no other call at any host (a UUID, say)",
    ),
]
HostId = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_-]+$")]
Word = Annotated[str, Field(max_length=64, pattern=STORABLE)]
_Count = Annotated[int, Field(ge=0, le=2**31 - 1)]


class HostEvent(_Data):
    """What a host reports of one of its calls."""

    kind: str
    call_id: CallId
    host_id: HostId | None = Field(
        None,
        description="who says so: what another host says of a call changes nothing, "
        "should it use a `call_id` twice",
    )


class CallStarted(_Data):
    """Host → gateway: a call has begun; answered by `call.accepted` or `call.refused` within 5 s."""

    kind: Literal["call.started"]
    host_id: HostId
    call_id: CallId
    direction: Literal["inbound", "outbound"] = "inbound"
    sender: str = Field(alias="from", max_length=255, pattern=STORABLE)
    recipient: str = Field(alias="to", max_length=255, pattern=STORABLE)
    transport: Word | None = Field(None, description="sip, pstn or webrtc")
    capabilities: list[Word] = Field(
        default_factory=list,
        max_length=50,
        description="refer, bridge, hold, dtmf_events, dtmf_collected, streaming_text",
    )


class CallEnded(HostEvent):
    """Host → gateway: the call is over."""

    kind: Literal["call.ended"]
    reason: Word = "ended"
    recording_url: str | None = Field(
        None,
        max_length=2048,
        pattern=r"^https?://[^\s]+$",
        description="where a recording of the call can be fetched",
    )


class UserSpeech(HostEvent):
    """Host → gateway: what the caller says; only what is final is answered."""

    kind: Literal["user.speech"]
    text: str = Field(max_length=100_000, pattern=STORABLE)
    final: bool = True


class UserDtmf(HostEvent):
    """Host → gateway: digits the caller pressed."""

    kind: Literal["user.dtmf"]
    digits: str = Field(
        max_length=1_000, pattern=STORABLE, description="behind the `prefix` that `collect_dtmf` asked for"
    )
    ended_by: Literal["termination", "max_digits", "timeout"] | None = Field(
        None, description="null for single digits, which the gateway collects"
    )
    n: _Count | None = Field(
        None,
        description="of single digits: 0, 1, … without gaps per call, so that they are taken in order "
        "whichever process of the gateway gets them; null: as they come",
    )


class UserInterrupted(HostEvent):
    """Host → gateway: the caller spoke over an utterance; how much of it was heard."""

    kind: Literal["user.interrupted"]
    spoken_text: str | None = Field(
        None,
        max_length=100_000,
        pattern=STORABLE,
        description="what was heard of the utterance, from its beginning",
    )
    spoken_ms: _Count | None = None


class CallDue(_Data):
    """`voice.due`: what was pressed on a call may be complete. The database knows what."""

    host_id: HostId
    call_id: CallId


class IntentReport(HostEvent):
    """Host → gateway: how an intent goes, and, exactly once, how it ended."""

    kind: Literal["intent.progress", "intent.outcome"]
    intent_id: str = Field(max_length=255, pattern=STORABLE)
    seq: _Count | None = Field(None, description="no gaps per call; null: the gateway's own `host_lost`")
    attempt: _Count | None = None
    destination_index: _Count | None = None
    state: Word
    reason: Word | None = None
    sip_code: _Count | None = None
    method_used: Word | None = None
    at: Annotated[Moment, Field(max_length=64, pattern=STORABLE)] | None = None


class CallAccepted(_Data):
    """Gateway → host: the call's conversation."""

    kind: Literal["call.accepted"]
    call_id: str
    conversation_id: Identifier
    end_user_id: Identifier


class CallRefused(_Data):
    """Gateway → host: the call is not taken."""

    kind: Literal["call.refused"]
    call_id: str
    reason: str


class VoiceEvent(
    RootModel[
        Annotated[
            CallStarted
            | CallEnded
            | UserSpeech
            | UserDtmf
            | UserInterrupted
            | IntentReport
            | CallAccepted
            | CallRefused,
            Field(discriminator="kind"),
        ]
    ]
):
    """`voice.event`: what happens on a call; `kind` says which."""
