"""Whose call it is, and what is said or happens in it as messages.

Every message of a call has the host's id of the call as `thread_key` and an id made of that and its place in
the call, so that one delivered twice is one message. Events carry `metadata["voice_event"]` in the form of
the queue contract's `voice.event`.
"""

import re
from dataclasses import dataclass
from typing import Any

from gateway.domain.message import Channel, InboundMessage, Role, SenderAuth
from gateway.domain.outcome import transfer_sentence

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
"""What JSON can spell and no database keeps as text: U+0000, and half a surrogate pair."""


def storable(text: str) -> str:
    """The text as it can be kept."""
    return _UNSTORABLE.sub("\ufffd", text)


def input_id(sid: str, n: int, session: str = "") -> str:
    """The id of input number `n` of a call, or of one of its sessions."""
    return f"{sid}:{session}:{n}" if session else f"{sid}:{n}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parties:
    """A call's two ends."""

    provider: str
    sid: str
    """The call's id at its provider."""
    theirs: str
    """Our form of their address; `anonymous:<sid>` where they do not want to be known."""
    ours: str
    proven: bool
    """Whether the network says that it is theirs, and not only they themselves."""
    direction: str = "inbound"
    """`outbound` where we called them."""

    def message(
        self, message_id: str, text: str, role: Role, metadata: dict[str, Any], received_at: int
    ) -> InboundMessage:
        """Something said or something that happens in the call."""
        return InboundMessage(
            channel=Channel.VOICE,
            provider=self.provider,
            provider_message_id=message_id,
            sender=self.theirs,
            recipient=self.ours,
            text=storable(text),
            received_at=received_at,
            sender_auth=SenderAuth.VERIFIED if self.proven else SenderAuth.UNVERIFIED,
            thread_key=self.sid,
            role=role,
            metadata=metadata,
        )

    def event(self, place: str, text: str, event: dict[str, Any], received_at: int) -> InboundMessage:
        """Something that happens, in the form of the queue contract's `voice.event`."""
        told = {"voice_event": {"call_id": self.sid, **event}}
        return self.message(f"{self.sid}:{place}", text, Role.SYSTEM_EVENT, told, received_at)

    def started(self, transport: str, received_at: int) -> InboundMessage:
        """The call is here, carried by `transport`."""
        event = {"kind": "call.started", "direction": self.direction, "transport": transport}
        return self.event("start", "Call started.", event, received_at)

    def greeted(self, text: str, received_at: int) -> InboundMessage:
        """What the caller hears first."""
        return self.message(f"{self.sid}:greeting", text, Role.ASSISTANT, {}, received_at)

    def left(self, text: str, received_at: int) -> InboundMessage:
        """What a machine is left."""
        return self.message(f"{self.sid}:machine", text, Role.ASSISTANT, {}, received_at)

    def keys_left(self, session: str, count: int, received_at: int) -> InboundMessage:
        """Keys that were pressed and not finished when this connection ended."""
        event = {"kind": "user.dtmf", "digits_left": count}
        return self.event(f"{session}:keys", "Keys were pressed and not finished.", event, received_at)

    def ended(self, reason: str, received_at: int) -> InboundMessage:
        """The call is over."""
        return self.event("end", "Call ended.", {"kind": "call.ended", "reason": reason}, received_at)

    def outcome(
        self, place: str, intent_id: str | None, fields: dict[str, Any], received_at: int
    ) -> InboundMessage:
        """How a transfer has ended; `fields` as `intent.outcome` has them."""
        event = {"kind": "intent.outcome", "intent_id": intent_id, **fields}
        text = transfer_sentence(fields["state"], fields["reason"])
        return self.event(place, text, event, received_at)

    def downgraded(self, place: str, field: str, substitute: str, received_at: int) -> InboundMessage:
        """The host cannot do exactly what was asked for, and the conversation says so."""
        event = {"kind": "capability_downgrade", "field": field, "substitute": substitute}
        text = f"This call cannot do what was asked for: {field} is {substitute}."
        return self.event(f"{place}:downgrade:{field}", text, event, received_at)
