"""What happens in a Twilio call, as messages: start, what is said or pressed, a transfer's outcome, end.

Every message of a call has the call's SID as `thread_key` and an id made of the SID and its place in the
call, so that a webhook delivered twice is one message. Events carry `metadata["voice_event"]` in the form of
the queue contract's `voice.event`.
"""

from dataclasses import dataclass
from typing import Any

from channels.twilio.addresses import canonical_sender, is_withheld
from channels.twilio.requests import PROVIDER, TwilioForm
from channels.voice.steps import Step
from gateway.domain.message import Channel, InboundMessage, Role, SenderAuth

FINAL_STATUSES = frozenset({"completed", "busy", "failed", "no-answer", "canceled"})
"""CallStatus values after which nothing follows."""
TRANSFERRED = frozenset({"completed", "answered"})
"""DialCallStatus values that say that the two were connected."""
_REASONS = {"no-answer": "no_answer", "busy": "busy", "failed": "bridge_error", "canceled": "no_answer"}
GREETING = "greeting"
_SPOKEN = ("Digits", "SpeechResult", "UnstableSpeechResult", "StableSpeechResult")


def input_id(sid: str, n: int, session: str = "") -> str:
    """The id of input number `n` of a call, or of one of its ConversationRelay sessions."""
    return f"{sid}:{session}:{n}" if session else f"{sid}:{n}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parties:
    """Whose call it is."""

    sid: str
    theirs: str
    """As Twilio says it: a number, a SIP or client name, or that it is withheld."""
    ours: str

    @classmethod
    def of(cls, sid: str, sender: str, recipient: str, direction: str) -> "Parties":
        """The parties of a call in either direction."""
        ours, theirs = (sender, recipient) if direction.startswith("outbound") else (recipient, sender)
        return cls(sid=sid, theirs=theirs, ours=ours)

    def message(
        self, message_id: str, text: str, role: Role, metadata: dict[str, Any], received_at: int
    ) -> InboundMessage:
        """Something said or something that happens in the call."""
        withheld = is_withheld(self.theirs)
        # A SIP or client name is the caller's own claim; a number is what the carrier says.
        proven = self.theirs.startswith("+") and not withheld
        return InboundMessage(
            channel=Channel.VOICE,
            provider=PROVIDER,
            provider_message_id=message_id,
            sender=f"anonymous:{self.sid}" if withheld else canonical_sender(self.theirs),
            recipient=self.ours,
            text=text,
            received_at=received_at,
            sender_auth=SenderAuth.VERIFIED if proven else SenderAuth.UNVERIFIED,
            thread_key=self.sid,
            role=role,
            metadata=metadata,
        )

    def event(self, place: str, text: str, event: dict[str, Any], received_at: int) -> InboundMessage:
        """Something that happens, in the form of the queue contract's `voice.event`."""
        told = {"voice_event": {"call_id": self.sid, **event}}
        return self.message(f"{self.sid}:{place}", text, Role.SYSTEM_EVENT, told, received_at)


@dataclass(frozen=True, slots=True)
class Call:
    """One webhook of a call. WebhookRefused with 422 where a parameter that must be there is not."""

    form: TwilioForm
    received_at: int

    @property
    def sid(self) -> str:
        """The call's id."""
        return self.form.sid("CallSid")

    @property
    def parties(self) -> Parties:
        """Whose call it is."""
        form = self.form
        return Parties.of(self.sid, form.address("From"), form.address("To"), form.text("Direction"))

    @property
    def over(self) -> bool:
        """Whether this reports the end of the call."""
        return self.form.text("CallStatus") in FINAL_STATUSES

    @property
    def dial_status(self) -> str:
        """What became of a `<Dial>`; "" where this is not its callback."""
        return self.form.text("DialCallStatus")

    def heard(self, step: Step) -> str:
        """What the caller pressed, behind the prefix, or said; "" for silence. Keys come before speech."""
        digits = self.form.text("Digits").strip()
        if digits:
            return ((step.digits.prefix if step.digits else None) or "") + digits
        return self.form.text("SpeechResult").strip()

    def input_id(self, step: Step) -> str:
        """The id of the input that a step is about."""
        return input_id(self.sid, step.n, step.session)

    def input(self, step: Step) -> InboundMessage:
        """What the caller said or pressed, as a message."""
        return self._message(self.input_id(step), self.heard(step), Role.USER, {})

    def started(self) -> InboundMessage:
        """The call has come in."""
        event = {"kind": "call.started", "call_id": self.sid, "direction": "inbound"}
        return self._event("start", "Call started.", event)

    def greeting(self, text: str) -> InboundMessage:
        """What the caller hears first, where it is to be in the transcript."""
        return self._message(f"{self.sid}:{GREETING}", text, Role.ASSISTANT, {})

    def ended(self, reason: str) -> InboundMessage:
        """The call is over."""
        event = {"kind": "call.ended", "call_id": self.sid, "reason": reason}
        return self._event("end", "Call ended.", event)

    def transfer_outcome(self, step: Step, intent_id: str | None) -> InboundMessage:
        """How the transfer that input number `step.n` led to has ended."""
        done = self.dial_status in TRANSFERRED
        reason = None if done else step.reason or _REASONS.get(self.dial_status, "bridge_error")
        event = {
            "kind": "intent.outcome",
            "intent_id": intent_id,
            "call_id": self.sid,
            "attempt": 1,
            "destination_index": 0,
            "state": "transferred" if done else "failed",
            "reason": reason,
            "method_used": "bridge",
        }
        text = "Call transferred." if done else f"Call transfer failed: {reason}."
        return self._event(f"{step.place}:dialed", text, event)

    def _event(self, place: str, text: str, event: dict[str, Any]) -> InboundMessage:
        return self._message(f"{self.sid}:{place}", text, Role.SYSTEM_EVENT, {"voice_event": event})

    def _message(self, message_id: str, text: str, role: Role, event: dict[str, Any]) -> InboundMessage:
        metadata = self.form.metadata(*_SPOKEN) | event
        return self.parties.message(message_id, text, role, metadata, self.received_at)
